import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import type { Readable } from 'node:stream';
import type { Log } from '../../telemetry/log.ts';
import type { FromWorker, StartMessage, ToWorker } from './messages.ts';

/** A process that serves the port. */
export interface WorkerProcess {
  /** 1 for the first one. A replacement has the number of the worker that it replaces. */
  readonly number: number;
  send(message: ToWorker): void;
}

export interface FleetOptions {
  readonly count: number;
  /** A worker whose event loop stands still for so long is killed, and started again. */
  readonly hangMs: number;
  /** Called for each worker. */
  readonly start: () => StartMessage;
  readonly log: Log;
  readonly onMessage: (worker: WorkerProcess, message: FromWorker) => void;
  readonly onOutput: (stdout: Readable) => void;
  readonly onEnd: (worker: WorkerProcess) => void;
  readonly onRestart: () => void;
}

export interface Fleet {
  /**
   * Starts one worker, and then the others. So an error that concerns all of them is reported once.
   *
   * @throws WorkerFailure if a worker ends before it listens.
   */
  open(): Promise<{ readonly port: number; readonly url: string }>;
  /** The workers that listen. */
  running(): WorkerProcess[];
  /** Sends a message to every worker, also to those that do not listen yet. */
  send(message: ToWorker): void;
  /**
   * Drains all workers. Kills those that have not ended after `timeoutMs`.
   *
   * @throws WorkerFailure if a worker did not end by itself with code 0.
   */
  close(timeoutMs: number): Promise<void>;
  /** Kills all workers at once. */
  kill(): void;
}

/** A worker ended. The reason has been printed. */
export class WorkerFailure extends Error {}

/** A worker that does not listen after so long is killed. */
const startTimeoutMs = 60_000;
/** Backoff of a worker that ends again and again. A worker that listened for {@link stableMs} starts again after the shortest one. */
const minBackoffMs = 100;
const maxBackoffMs = 5_000;
const stableMs = 10_000;
/** Messages to a worker without a reply, in {@link FleetOptions.hangMs}, before it is killed. */
const maxUnanswered = 5;

/** Starts the workers, and starts a worker again when it ends. */
export function createFleet(options: FleetOptions): Fleet {
  const { count, log } = options;
  const slots = Array.from({ length: count }, (_, index) => new Slot(index + 1));
  /** After the first worker has started: its port. */
  let boundPort: number | undefined;
  let isOpen = false;
  let isClosing = false;
  let pingTimer: NodeJS.Timeout | undefined;

  return {
    async open() {
      const [first, ...others] = slots;
      if (first === undefined) throw new RangeError('a fleet needs a worker');
      const address = await launch(first);
      boundPort = address.port;
      await Promise.all(others.map(launch));
      isOpen = true;
      pingTimer = setInterval(pingAll, options.hangMs / maxUnanswered);
      return address;
    },
    running: () => slots.filter(({ isListening }) => isListening),
    send(message) {
      for (const slot of slots) slot.send(message);
    },
    async close(timeoutMs) {
      isClosing = true;
      clearInterval(pingTimer);
      const timer = setTimeout(() => {
        log.error('workers did not end in time: killed', { count: slots.filter((slot) => slot.process).length });
        killAll();
      }, timeoutMs);
      await Promise.all(slots.map((slot) => slot.close()));
      clearTimeout(timer);
      if (slots.some(({ hasFailed }) => hasFailed)) throw new WorkerFailure();
    },
    kill: killAll,
  };

  /** Counts messages, not time: after a stall of the supervisor itself, the replies are read before the next count. */
  function pingAll(): void {
    for (const slot of slots) {
      if (!slot.isListening) continue;
      if (slot.unanswered === maxUnanswered) {
        log.error('worker does not respond: killed', { worker: slot.number });
        slot.process?.kill('SIGKILL');
      } else if (slot.unanswered < maxUnanswered) slot.send({ type: 'ping' });
      slot.unanswered += 1;
    }
  }

  function killAll(): void {
    isClosing = true;
    clearInterval(pingTimer);
    for (const { process } of slots) process?.kill('SIGKILL');
  }

  /** Resolves when the worker listens. Rejects if it ends before. */
  function launch(slot: Slot): Promise<{ port: number; url: string }> {
    const worker = cluster.fork({ CUSTOMER_GATEWAY_WORKER: String(slot.number) });
    const { promise, resolve, reject } = Promise.withResolvers<{ port: number; url: string }>();
    const timer = setTimeout(() => worker.process.kill('SIGKILL'), startTimeoutMs);
    slot.open(worker);
    if (worker.process.stdout) options.onOutput(worker.process.stdout);
    worker.on('message', (message: FromWorker) => {
      slot.unanswered = 0;
      if (message.type === 'listening') {
        clearTimeout(timer);
        slot.listeningSinceMs = performance.now();
        resolve(message);
      }
      options.onMessage(slot, message);
    });
    worker.on('error', (cause) => log.error('worker failed', { worker: slot.number, cause }));
    // `close` is later than `exit`: all output has been read.
    worker.process.once('close', (code: number | null, signal: NodeJS.Signals | null) => {
      clearTimeout(timer);
      const listenedMs = slot.isListening ? performance.now() - slot.listeningSinceMs : 0;
      // A signal can arrive before the worker listens. Nothing is lost then.
      if (isClosing && code !== 0 && (slot.isListening || signal !== 'SIGTERM')) slot.hasFailed = true;
      options.onEnd(slot);
      slot.end();
      // A worker that was killed from outside has printed nothing.
      const isKilled = signal !== null && signal !== 'SIGTERM' && signal !== 'SIGINT';
      if (!isOpen && !isClosing && isKilled)
        log.error('worker ended before it listened', { worker: slot.number, code: signal });
      reject(new WorkerFailure());
      if (isOpen && !isClosing) restart(slot, listenedMs, signal ?? String(code));
    });
    const start = options.start();
    // A listener that `node:cluster` shares is found by the port that was asked for, even if that is 0.
    slot.send({ ...start, port: (start.reusePort && boundPort) || start.port });
    return promise;
  }

  function restart(slot: Slot, listenedMs: number, code: string): void {
    slot.failures = listenedMs >= stableMs ? 0 : slot.failures + 1;
    const backoffMs = slot.failures <= 1 ? minBackoffMs : Math.min(maxBackoffMs, minBackoffMs * 2 ** slot.failures);
    options.onRestart();
    log.error('worker ended: it is started again', { worker: slot.number, code });
    slot.restartTimer = setTimeout(() => {
      launch(slot).then(
        () => log.info('worker listening', { worker: slot.number }),
        // The end of the worker has started the next attempt.
        () => undefined,
      );
    }, backoffMs);
  }
}

class Slot implements WorkerProcess {
  readonly number: number;
  listeningSinceMs = 0;
  /** Pings since the last message of the worker. */
  unanswered = 0;
  /** The number of ends in a row. */
  failures = 0;
  hasFailed = false;
  restartTimer: NodeJS.Timeout | undefined;
  #worker: Worker | undefined;

  constructor(number: number) {
    this.number = number;
  }

  get process(): Worker['process'] | undefined {
    return this.#worker?.process;
  }

  get isListening(): boolean {
    return this.listeningSinceMs > 0;
  }

  open(worker: Worker): void {
    this.#worker = worker;
  }

  /** Ignores errors: the end of the process is an event of its own. */
  send(message: ToWorker): void {
    if (this.#worker?.isConnected()) this.#worker.process.send(message, () => undefined);
  }

  end(): void {
    this.#worker = undefined;
    this.listeningSinceMs = 0;
    this.unanswered = 0;
  }

  async close(): Promise<void> {
    clearTimeout(this.restartTimer);
    const { process } = this;
    if (process === undefined) return;
    const closed = once(process, 'close');
    process.kill('SIGTERM');
    await closed;
  }
}
