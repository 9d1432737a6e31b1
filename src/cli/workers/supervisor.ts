import cluster from 'node:cluster';
import { createServer } from 'node:net';
import { createLocalCounters } from '../../auth/local-counters.ts';
import { rateLimitWindowMs } from '../../auth/rate-limit.ts';
import type { Config } from '../../config/config.ts';
import { startMetricsServer } from '../../http/server.ts';
import { createLog, openOutput } from '../../telemetry/log.ts';
import { announce } from '../announcement.ts';
import { startEmbedded } from '../embedded.ts';
import { onLevelSignal } from '../log-level.ts';
import { onStop } from '../process-end.ts';
import { coordinateDrain } from './drain.ts';
import { createFleet, type Fleet, WorkerFailure, type WorkerProcess } from './fleet.ts';
import type { FromWorker } from './messages.ts';
import { type CollectedMetrics, collectMetrics } from './metrics.ts';
import { createLineMerger } from './output.ts';
import { relayWrites } from './writes.ts';

/** Time for the workers to end, beyond the times that they take by themselves. */
const endMs = 5_000;
/**
 * A worker that does not respond for `OPERATION_TIMEOUT_MS` has no operation left that could end in time. Shorter stalls happen on busy
 * machines.
 */
const minHangMs = 10_000;
const failureExitCode = 1;

/**
 * Starts the workers and serves what exists once for all of them: stdout, `/metrics`, the counters of the rate limit and the embedded
 * sandbox. Resolves when all workers listen.
 *
 * @returns the exit code if a worker cannot start, which has printed the reason; otherwise `undefined`.
 * @throws the system error if an address cannot be used.
 */
export async function supervise(config: Config, environment: NodeJS.ProcessEnv): Promise<number | undefined> {
  const { host, port, workers: count, metricsPort } = config;
  let metrics: CollectedMetrics | undefined;
  const output = openOutput((lines) => metrics?.logLinesDropped(lines));
  const log = createLog(config.logLevel, output.write);
  let fleet: Fleet | undefined;
  onLevelSignal(log, (level) => fleet?.send({ type: 'log-level', level }));
  const reusePort = await canReusePort();
  if (port > 0) await assertFree(host, port);
  const embedded = config.provider === 'sandbox' ? await startEmbedded(config) : undefined;
  const counters = createLocalCounters({ windowMs: rateLimitWindowMs });
  const { add: onOutput } = createLineMerger(output);

  cluster.setupPrimary({
    args: ['serve'],
    // Structured clones: JSON has no NaN, which gauges of Node can hold.
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const workers = createFleet({
    count,
    hangMs: Math.max(minHangMs, config.operationTimeoutMs),
    start: () => ({ type: 'start', port, reusePort, sandbox: embedded?.shared, logLevel: log.level }),
    log,
    onMessage: receive,
    onOutput,
    onEnd(worker) {
      metrics?.retire(worker);
      writes.retire(worker);
      drain.retire(worker);
    },
    onRestart: () => metrics?.restarted(),
  });
  fleet = workers;
  const writes = relayWrites(workers.running);
  const drain = coordinateDrain(workers.running);
  if (metricsPort !== undefined) metrics = collectMetrics(workers.running);
  const stops: (() => Promise<void> | undefined)[] = [() => embedded?.sandbox.close()];
  // Workers must not outlive an exit that does not drain, such as the one at a second signal.
  process.once('exit', workers.kill);
  try {
    const numbers = metrics && (await startMetricsServer(metrics, { host, port: metricsPort ?? 0 }));
    if (numbers) stops.push(() => numbers.close());
    const { url } = await workers.open();
    announce({ config, environment, log, output, embedded, url, metricsUrl: numbers && `${numbers.url}/metrics` });
  } catch (error) {
    workers.kill();
    await stopAll();
    if (error instanceof WorkerFailure) return failureExitCode;
    throw error;
  }

  onStop({ log, output }, async () => {
    drain.begin();
    try {
      await workers.close(config.shutdownDelayMs + config.shutdownGraceMs + endMs);
    } finally {
      await stopAll();
      if (!embedded) log.info('stopped');
    }
  });
  return undefined;

  function receive(worker: WorkerProcess, message: FromWorker): void {
    if (message.type === 'metrics') metrics?.receive(worker, message.snapshot, message.id);
    else if (message.type === 'announce') writes.announce(worker, message.id, message.writes);
    else if (message.type === 'invalidated') writes.invalidated(worker, message.id);
    else if (message.type === 'reached') drain.reached(worker, message.phase);
    else if (message.type === 'count') {
      const counts = message.keys.map((keys) => keys.map(counters));
      worker.send({ type: 'counts', id: message.id, counts });
    }
  }

  function stopAll() {
    return Promise.all(stops.map((stop) => stop()));
  }
}

/** Workers share a port with any process that does. An attempt without sharing finds other gateways, too. */
async function assertFree(host: string, port: number): Promise<void> {
  await listenOnce({ host, port, exclusive: true });
}

/** Whether the system distributes connections between listeners of one port. Otherwise `node:cluster` shares one listener. */
function canReusePort(): Promise<boolean> {
  return listenOnce({ host: '127.0.0.1', port: 0, reusePort: true }).then(
    () => true,
    () => false,
  );
}

function listenOnce(options: { host: string; port: number; exclusive?: boolean; reusePort?: boolean }): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(options, () => server.close(() => resolve()));
  });
}
