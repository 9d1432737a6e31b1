import { performance } from 'node:perf_hooks';
import type { LineWriter } from '../telemetry/line-writer.ts';
import type { Log } from '../telemetry/log.ts';

/** How long the end of the process may wait for a log that is written slowly, or not at all. */
const flushMs = 1_000;

/**
 * A terminal sends SIGINT to npm or the launcher and to this process, and those pass it on: within this time it counts
 * once.
 */
const samePressMs = 500;

/**
 * Ends the process. The first signal stops cleanly with exit code 0, the second at once. An error that nothing handled stops cleanly
 * too, with exit code 1; further ones are counted, and do not cut the drain short.
 */
export function onStop({ log, output }: { log: Log; output: LineWriter }, stop: () => Promise<unknown>): void {
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
    if (isSignalled && isPassedOn && signal === 'SIGINT' && performance.now() - signalledAtMs < samePressMs) return;
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
  // A reader of stderr that goes away is no reason to stop.
  process.stderr.on('error', () => undefined);
}
