import cluster from 'node:cluster';
import { performance } from 'node:perf_hooks';
import type { Count } from '../../auth/local-counters.ts';
import type { LeveledLog, LogLevel } from '../../telemetry/log.ts';
import type { MetricsRegistry } from '../../telemetry/metrics.ts';
import type { FromWorker, StartMessage, ToWorker } from './messages.ts';

/** The connection of a worker to its supervisor. */
export interface SupervisorLink {
  /** 1 for the first worker. */
  readonly worker: number;
  readonly start: StartMessage;
  /**
   * Keeps the process alive until it exits or {@link release} is called. A listener that `node:cluster` shares does not: it exists in
   * the supervisor.
   */
  hold(): void;
  release(): void;
  /** Applies the level of the supervisor's log whenever it changes. SIGUSR2 to a worker has no effect. */
  followLevel(log: LeveledLog): void;
  /** Reports that this worker accepts connections. */
  listening(server: { readonly port: number; readonly url: string }): void;
  /** Sends the metrics whenever the supervisor asks for them. */
  serveMetrics(metrics: MetricsRegistry): void;
  /**
   * Counts in the supervisor, which counts for all workers. Never rejects.
   *
   * @returns `undefined` if the supervisor does not reply in time.
   */
  count(keys: readonly string[]): Promise<readonly Count[] | undefined>;
  /** Sends the last metrics, so that the totals of this worker are kept. Never rejects. */
  finish(): Promise<void>;
}

/** Maximum wait for a reply of the supervisor. */
const replyMs = 250;
/** After a missing reply, this worker counts alone for so long. The unread messages to a stalled supervisor stay bounded. */
const pauseMs = 1_000;
/** Maximum wait for the last metrics to be sent. */
const finishMs = 500;

/** @returns `undefined` if this process is no worker. */
export async function joinSupervisor(environment: NodeJS.ProcessEnv): Promise<SupervisorLink | undefined> {
  const own = cluster.worker;
  if (own === undefined) return undefined;
  // Without it, `node:cluster` ends the process at once if the supervisor dies. The command drains it instead.
  own.exitedAfterDisconnect = true;

  const { promise: started, resolve: start } = Promise.withResolvers<StartMessage>();
  const waiting = new Map<number, (counts: readonly (readonly Count[])[] | undefined) => void>();
  let lastId = 0;
  let batch: { keys: readonly string[]; resolve: (counts: readonly Count[] | undefined) => void }[] = [];
  let pausedUntilMs = 0;
  let registry: MetricsRegistry | undefined;
  let log: LeveledLog | undefined;
  let level: LogLevel | undefined;

  // The default action ends the process. A signal to all processes of a service reaches the workers, too.
  if (process.platform !== 'win32') process.on('SIGUSR2', () => undefined);
  process.on('message', (message: ToWorker) => {
    if (message.type === 'start') start(message);
    else if (message.type === 'ping') send({ type: 'alive' }).catch(() => undefined);
    else if (message.type === 'log-level') {
      level = message.level;
      log?.setLevel(level);
    } else if (message.type === 'counts') waiting.get(message.id)?.(message.counts);
    else if (message.type === 'read-metrics') sendMetrics(message.id).catch(() => undefined);
  });

  // Nothing else keeps the process alive until it has its settings.
  hold();
  const firstMessage = await started;
  release();

  return {
    worker: Number(environment['CUSTOMER_GATEWAY_WORKER']),
    start: firstMessage,
    hold,
    release,
    followLevel(own) {
      log = own;
      if (level !== undefined) log.setLevel(level);
    },
    listening({ port, url }) {
      send({ type: 'listening', port, url }).catch(() => undefined);
    },
    serveMetrics(metrics) {
      registry = metrics;
    },
    count(keys) {
      if (performance.now() < pausedUntilMs || !process.connected) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        // One message for the operations of one turn of the event loop.
        if (batch.push({ keys, resolve }) === 1) setImmediate(sendBatch);
      });
    },
    async finish() {
      const timeout = new Promise((resolve) => setTimeout(resolve, finishMs).unref());
      await Promise.race([sendMetrics(undefined), timeout]).catch(() => undefined);
    },
  };

  function hold(): void {
    process.channel?.ref();
  }

  function release(): void {
    process.channel?.unref();
  }

  function sendBatch(): void {
    const counted = batch;
    batch = [];
    const id = ++lastId;
    const timer = setTimeout(() => {
      pausedUntilMs = performance.now() + pauseMs;
      settle(undefined);
    }, replyMs);
    const settle = (counts: readonly (readonly Count[])[] | undefined) => {
      clearTimeout(timer);
      waiting.delete(id);
      counted.forEach(({ resolve }, index) => {
        resolve(counts?.[index]);
      });
    };
    waiting.set(id, settle);
    send({ type: 'count', id, keys: counted.map(({ keys }) => keys) }).then(
      (isSent) => {
        if (!isSent) settle(undefined);
      },
      settle.bind(undefined, undefined),
    );
  }

  async function sendMetrics(id: number | undefined): Promise<void> {
    if (registry === undefined) return;
    const snapshot = await registry.snapshot();
    await send({ type: 'metrics', ...(id !== undefined && { id }), snapshot });
  }
}

/** Never rejects. @returns whether the message was sent. */
function send(message: FromWorker): Promise<boolean> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve(false);
    process.send(message, undefined, {}, (error) => resolve(error === null));
  });
}
