import cluster from 'node:cluster';
import type { Count } from '../../auth/local-counters.ts';
import type { DrainPhase, OtherListeners } from '../../http/server.ts';
import type { LeveledLog, LogLevel } from '../../telemetry/log.ts';
import type { MetricsRegistry } from '../../telemetry/metrics.ts';
import type { FromWorker, StartMessage, ToWorker, Write } from './messages.ts';
import { createRequests } from './requests.ts';

/** The connection of a worker to its supervisor. */
export interface SupervisorLink extends OtherListeners {
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
  /** Tells the other workers about a write. Resolves when they know, or after {@link announceMs}. Never rejects. */
  announce(write: Write): Promise<unknown>;
  /** Calls the listener for each write of another worker. */
  onWrite(listener: (write: Write) => void): void;
  /** Sends the last metrics, so that the totals of this worker are kept. Never rejects. */
  finish(): Promise<void>;
}

/** Maximum wait for the counts of the supervisor. */
const countMs = 250;
/** Maximum delay of the response to a write by a worker that does not react. */
const announceMs = 100;
/** Announcements that wait for a stalled supervisor. Further ones are not sent. */
const maxUnsent = 1_000;
/** Maximum wait for the last metrics to be sent. */
const finishMs = 500;

/** @returns `undefined` if this process is no worker. */
export async function joinSupervisor(environment: NodeJS.ProcessEnv): Promise<SupervisorLink | undefined> {
  const own = cluster.worker;
  if (own === undefined) return undefined;
  // Without it, `node:cluster` ends the process at once if the supervisor dies. The command drains it instead.
  own.exitedAfterDisconnect = true;

  const { promise: started, resolve: start } = Promise.withResolvers<StartMessage>();
  const counts = createRequests<readonly string[], readonly Count[]>(
    (id, keys) => send({ type: 'count', id, keys }),
    countMs,
  );
  const writes = createRequests<Write, undefined>(async (id, items) => {
    unsent += 1;
    const isSent = await send({ type: 'announce', id, writes: items });
    unsent -= 1;
    return isSent;
  }, announceMs);
  /** Announcements that a stalled supervisor does not read. */
  let unsent = 0;
  let onWrite: (write: Write) => void = () => undefined;
  const phases = { drained: Promise.withResolvers<void>(), closed: Promise.withResolvers<void>() } satisfies Record<
    DrainPhase,
    unknown
  >;
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
    } else if (message.type === 'counts') counts.settle(message.id, message.counts);
    else if (message.type === 'announced') writes.settle(message.id, undefined);
    else if (message.type === 'all-reached') phases[message.phase].resolve();
    else if (message.type === 'invalidate') {
      for (const write of message.writes) onWrite(write);
      send({ type: 'invalidated', id: message.id }).catch(() => undefined);
    } else if (message.type === 'read-metrics') sendMetrics(message.id).catch(() => undefined);
  });

  // Without a supervisor, a worker drains alone.
  process.once('disconnect', () => {
    for (const { resolve } of Object.values(phases)) resolve();
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
    async count(keys) {
      // While it is paused, this worker counts alone, so that the unread messages to a stalled supervisor stay bounded.
      return counts.isPaused || !process.connected ? undefined : counts.ask(keys);
    },
    async announce(write) {
      if (!process.connected || unsent >= maxUnsent) return;
      const known = writes.ask(write);
      if (!writes.isPaused) await known;
    },
    onWrite(listener) {
      onWrite = listener;
    },
    async reach(phase, timeoutMs) {
      const allReach = async () => {
        if (await send({ type: 'reached', phase })) await phases[phase].promise;
      };
      await withinMs(timeoutMs, allReach());
    },
    async finish() {
      await withinMs(finishMs, sendMetrics(undefined)).catch(() => undefined);
    },
  };

  function hold(): void {
    process.channel?.ref();
  }

  function release(): void {
    process.channel?.unref();
  }

  async function sendMetrics(id: number | undefined): Promise<void> {
    if (registry === undefined) return;
    const snapshot = await registry.snapshot();
    await send({ type: 'metrics', ...(id !== undefined && { id }), snapshot });
  }
}

async function withinMs(ms: number, promise: Promise<void>): Promise<void> {
  const { promise: timeout, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

/** Never rejects. @returns whether the message was sent. */
function send(message: FromWorker): Promise<boolean> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve(false);
    process.send(message, undefined, {}, (error) => resolve(error === null));
  });
}
