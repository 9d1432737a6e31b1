import type { Operation } from '../customers/customer.ts';
import type { Breaker } from './breaker.ts';
import type { Breakers } from './breakers.ts';
import { createRetryBudget } from './budget.ts';
import type { Call, Exchange } from './exchange.ts';
import { retryAfterMs } from './refusal.ts';
import type { Clock } from './window.ts';

/** Maximum time for which one `Retry-After` holds back a merchant's calls. */
const maxHoldMs = 60_000;
/** With an exhausted budget, waiting calls check again after this time. */
export const budgetPauseMs = 100;

/** Decides whether a call may be sent now: the hold-back after `Retry-After`, the circuit breaker and the retry budget. */
export interface Gate {
  /** The end of the hold-back on the clock. */
  readonly heldUntilMs: number;
  /** Number of reads that the budget allows to repeat now. */
  retriesLeft(): number;
  /** Minimum time in ms for which the breaker or the budget refuses the call; 0 if neither does. */
  refusedMs(method: Call['method'], operation: Operation, attempt: number): number;
  /**
   * Admits a call right before it is sent. Repeats all checks, because their results can change while the call waits for a
   * connection.
   *
   * @param hasOtherKey whether the attempt uses the other key. It is then neither a first attempt nor a repeat.
   * @returns as {@link Breaker.admit}.
   */
  admit(
    method: Call['method'],
    operation: Operation,
    attempt: number,
    hasOtherKey: boolean,
  ): ReturnType<Breaker['admit']>;
  /** Holds back all calls if this response has `Retry-After`. */
  hold(exchange: Exchange): void;
}

/** One per merchant: budget, breakers and `Retry-After` apply to the calls of that merchant only. */
export function createGate(now: Clock, breakers: Readonly<Record<Call['method'], Breakers>>): Gate {
  const budget = createRetryBudget(now);
  let heldUntilMs = 0;
  /** Every repeated GET uses the budget, including reads that settle a write. Repeated writes do not use it. */
  const isOverBudget = (method: Call['method'], attempt: number) => method === 'GET' && attempt > 1 && budget.isSpent();

  return {
    get heldUntilMs() {
      return heldUntilMs;
    },
    retriesLeft: budget.left,
    refusedMs: (method, { caller }, attempt) =>
      breakers[method].refusedMs(caller) || (isOverBudget(method, attempt) ? budgetPauseMs : 0),
    admit(method, { caller }, attempt, hasOtherKey) {
      // Nearly always 0. Then the clock, which takes time to read, is not needed.
      if ((heldUntilMs > 0 && heldUntilMs > now()) || isOverBudget(method, attempt)) return undefined;
      const report = breakers[method].admit(caller);
      if (report !== undefined && method === 'GET' && (attempt > 1 || !hasOtherKey)) budget.count(attempt);
      return report;
    },
    hold(exchange) {
      if (exchange.kind !== 'response') return;
      const askedMs = retryAfterMs(exchange);
      if (askedMs !== undefined) heldUntilMs = Math.max(heldUntilMs, now() + Math.min(askedMs, maxHoldMs));
    },
  };
}
