import { performance } from 'node:perf_hooks';
import type { Cancellation } from '../customers/cancellation.ts';
import { RequestError } from '../errors.ts';

/** How long an operation may wait for another one. */
export interface Patience {
  /** In ms on the clock of `performance.now()`. */
  readonly deadlineAtMs: number;
  readonly cancellation: Cancellation;
}

/** Waits for `event`, if there is one, and at most `maxMs`. @throws RequestError if the deadline passes or the client disconnects first. */
export async function waitFor(
  event: Promise<unknown> | undefined,
  { deadlineAtMs, cancellation }: Patience,
  maxMs = Number.POSITIVE_INFINITY,
): Promise<void> {
  const leftMs = deadlineAtMs - performance.now();
  if (leftMs <= 0 || cancellation.isCancelled) throw stillInProgress();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const isLast = leftMs <= maxMs;
  const timer = setTimeout(() => (isLast ? reject(stillInProgress()) : resolve()), Math.min(leftMs, maxMs, maxTimerMs));
  const listener = { onCancel: () => reject(stillInProgress()) };
  cancellation.add(listener);
  event?.then(() => resolve(), reject);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    cancellation.remove(listener);
  }
}

/** The longest delay of a timer in Node. */
const maxTimerMs = 2 ** 31 - 1;

/** This request has executed nothing, but the first one may have: a client must not report a definite failure. */
function stillInProgress(): RequestError {
  return new RequestError('OUTCOME_UNKNOWN', {
    status: 409,
    headers: { 'retry-after': '1' },
    retryAfterSeconds: 1,
    message: 'An operation with this Idempotency-Key is still in progress. It is safe to send the same request again.',
  });
}
