import { performance } from 'node:perf_hooks';
import { overloaded } from '../errors.ts';

interface Waiting {
  readonly sinceMs: number;
  readonly signal: AbortSignal;
  readonly start: () => void;
  readonly refuse: () => void;
}

export interface TurnLimits {
  /** Work that one turn of the event loop begins; the last piece may take it beyond this. */
  readonly turnMs: number;
  readonly maxWaiting: number;
  readonly maxWaitingByCaller: number;
  /** How long a piece of work waits at most. */
  readonly maxWaitMs: number;
}

const defaults: TurnLimits = { turnMs: 5, maxWaiting: 1_000, maxWaitingByCaller: 100, maxWaitMs: 10_000 };

/** How long a client should wait before it repeats a refused operation. */
const retryAfterSeconds = 1;

/**
 * Shares the event loop between callers: synchronous work runs at once while the current turn has time left, and waits for
 * a later turn otherwise. Callers take turns, so one caller's queue does not hold up another's work. Health checks and
 * everything else on the loop run in between.
 */
export function createTurns(limits: TurnLimits = defaults) {
  /** By caller; the first caller is the next one. */
  const queues = new Map<string, Waiting[]>();
  let waiting = 0;
  let usedMs = 0;
  let isScheduled = false;

  return {
    /**
     * @param caller tells callers apart. Anonymous ones are told apart by address.
     * @param work runs synchronously and reports its own failures.
     * @throws RequestError `OVERLOADED` where too much work waits, or for too long, or the client is gone. The work is not done then.
     */
    run(caller: string, signal: AbortSignal, work: () => void): Promise<void> {
      if (waiting === 0 && usedMs < limits.turnMs) {
        take(work);
        return Promise.resolve();
      }
      const queue = queues.get(caller) ?? [];
      if (waiting >= limits.maxWaiting || queue.length >= limits.maxWaitingByCaller) {
        return Promise.reject(overloaded(retryAfterSeconds));
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      queue.push({
        sinceMs: performance.now(),
        signal,
        start: () => {
          take(work);
          resolve();
        },
        refuse: () => reject(overloaded(retryAfterSeconds)),
      });
      queues.set(caller, queue);
      waiting += 1;
      schedule();
      return promise;
    },
  };

  function take(work: () => void): void {
    const startedAtMs = performance.now();
    schedule();
    work();
    usedMs += performance.now() - startedAtMs;
  }

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      usedMs = 0;
      while (waiting > 0 && usedMs < limits.turnMs) next();
      if (waiting > 0) schedule();
    });
  }

  function next(): void {
    for (const [caller, queue] of queues) {
      queues.delete(caller);
      const entry = queue.shift();
      if (queue.length > 0) queues.set(caller, queue);
      if (entry === undefined) continue;
      waiting -= 1;
      if (entry.signal.aborted || performance.now() - entry.sinceMs > limits.maxWaitMs) entry.refuse();
      else entry.start();
      return;
    }
  }
}
