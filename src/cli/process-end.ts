import { performance } from 'node:perf_hooks';
import type { LineWriter } from '../telemetry/line-writer.ts';
import type { Log } from '../telemetry/log.ts';

/** Maximum wait for queued log lines before the process exits. */
const flushMs = 1_000;

/**
 * A terminal sends SIGINT to the whole process group, and npm or the launcher then forwards it again. Within this time, both count as
 * one.
 */
const duplicateSignalMs = 500;

/**
 * Shuts the process down on signals and unhandled errors. The first signal drains and exits with code 0; the second exits at once. The
 * first unhandled error drains and exits with code 1. Further unhandled errors are counted and do not interrupt the drain.
 *
 * @param isWorker ignores further signals. The supervisor decides when to stop waiting, and a signal to a whole process group, or of
 *   systemd to all processes of a unit, arrives at each worker twice.
 */
export function onStop(
  { log, output, isWorker = false }: { log: Log; output: LineWriter; isWorker?: boolean },
  stop: () => Promise<unknown>,
): void {
  let isEnding = false;
  let isSignalled = false;
  let signalledAtMs = 0;
  let unhandled = 0;
  const isPassedOn = process.connected || process.env['npm_command'] !== undefined;

  const finish = async (code: number) => {
    if (unhandled > 1) log.error('further unhandled errors', { count: unhandled - 1 });
    await output.flush(flushMs);
    output.end(unhandled > 0 ? 1 : code);
  };
  const end = () => {
    if (isEnding) return;
    isEnding = true;
    void stop().then(
      () => finish(0),
      () => finish(1),
    );
  };
  const onSignal = (signal: NodeJS.Signals) => {
    if (isSignalled && isPassedOn && signal === 'SIGINT' && performance.now() - signalledAtMs < duplicateSignalMs)
      return;
    if (isSignalled && isWorker) return;
    if (isSignalled) output.end(1);
    isSignalled = true;
    signalledAtMs = performance.now();
    end();
  };
  const onUnhandled = (cause: unknown) => {
    unhandled += 1;
    if (unhandled === 1) log.error('unhandled error: draining, then exit code 1', { cause });
    end();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('uncaughtException', onUnhandled);
  process.on('unhandledRejection', onUnhandled);
  // Without a listener, a closed stderr pipe would end the process.
  process.stderr.on('error', () => undefined);
}
