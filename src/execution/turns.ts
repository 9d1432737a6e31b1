import { performance } from 'node:perf_hooks';
import type { Cancellation } from '../customers/cancellation.ts';
import { overloaded } from '../errors.ts';

interface Waiting {
  readonly sinceMs: number;
  readonly cancellation: Cancellation;
  /** Takes one step. Returns whether the work is done. */
  readonly step: () => boolean;
  readonly refuse: () => void;
}

export interface TurnLimits {
  /** Time budget for work in one turn of the event loop. The last piece of work can exceed it. */
  readonly turnMs: number;
  readonly maxWaiting: number;
  readonly maxWaitingByCaller: number;
  /** Maximum time that a piece of work waits. */
  readonly maxWaitMs: number;
}

const defaults: TurnLimits = { turnMs: 5, maxWaiting: 1_000, maxWaitingByCaller: 100, maxWaitMs: 10_000 };

/** Value of `Retry-After` for a rejected client. */
const retryAfterSeconds = 1;

/**
 * Schedules synchronous work fairly between callers. Work runs at once if the current turn of the event loop has time left;
 * otherwise it waits for a later turn. Waiting callers are served round-robin, so one caller cannot delay the others. Health
 * checks and other events run between the turns.
 */
export function createTurns(limits: TurnLimits = defaults) {
  /** Waiting work by caller. The first caller of the map is served next. */
  const queues = new Map<string, Waiting[]>();
  let waiting = 0;
  let usedMs = 0;
  let isScheduled = false;

  return {
    /**
     * @param caller key of the caller; the address if the caller is anonymous.
     * @param work takes one synchronous step, returns whether the work is done, and must not throw. Between the steps, the work
     *   waits like other work.
     * @returns `undefined` if the work has run, so that simultaneous requests with known and with new documents keep their order.
     * @throws RequestError `OVERLOADED` if too much work waits, the work waits too long or the client disconnects. The work
     *   does not run then.
     */
    run(caller: string, cancellation: Cancellation, work: () => boolean): Promise<void> | undefined {
      if (waiting === 0 && usedMs < limits.turnMs) {
        if (take(work)) return undefined;
      }
      const queue = queues.get(caller) ?? [];
      if (waiting >= limits.maxWaiting || queue.length >= limits.maxWaitingByCaller) {
        return Promise.reject(overloaded(retryAfterSeconds));
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      queue.push({
        sinceMs: performance.now(),
        cancellation,
        step: () => {
          const isDone = take(work);
          if (isDone) resolve();
          return isDone;
        },
        refuse: () => reject(overloaded(retryAfterSeconds)),
      });
      queues.set(caller, queue);
      waiting += 1;
      schedule();
      return promise;
    },
  };

  function take(work: () => boolean): boolean {
    const startedAtMs = performance.now();
    schedule();
    const isDone = work();
    usedMs += performance.now() - startedAtMs;
    return isDone;
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
      const [entry] = queue;
      if (entry === undefined) continue;
      const isRefused = entry.cancellation.isCancelled || performance.now() - entry.sinceMs > limits.maxWaitMs;
      if (isRefused) entry.refuse();
      if (isRefused || entry.step()) {
        queue.shift();
        waiting -= 1;
      }
      if (queue.length > 0) queues.set(caller, queue);
      return;
    }
  }
}
