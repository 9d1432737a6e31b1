import type { Exchange } from './exchange.ts';
import { isMisconfigured } from './refusal.ts';
import { type Clock, createWindow, windowMs } from './window.ts';

/**
 * The result of a call, as the breaker counts it. `reset`: the connection was reset; this counts as a call, but not as a
 * failure. `ignored`: the result says nothing about the host, so it does not count at all.
 */
export type CallResult = 'succeeded' | 'failed' | 'reset' | 'ignored';

export interface Breaker {
  /** Minimum time in ms until a call may be sent; 0 if it may be sent now. */
  refusedMs(): number;
  /**
   * Admits or refuses one call. Call it immediately before sending: a call that still waits for a connection would block
   * the probe.
   *
   * @returns `undefined` if the call is refused; otherwise a function that reports the result. Always call it: no other call
   *   is admitted while a probe is in flight. Later reports of the same call have no effect.
   */
  admit(): ((result: CallResult) => void) | undefined;
  /** Whether the breaker can be removed: closed without calls in the window, or open and long overdue for a probe. */
  isIdle(): boolean;
}

/** The breaker does not open with fewer calls in the window. */
const minCalls = 20;
/** The breaker opens at this share of failed calls. */
const failedShare = 0.5;
const openMs = 5_000;
/** While a probe is in flight, the other calls check again after this time. */
const probeMs = 100;

/**
 * Ignore timeouts of attempts that had less than this share of the configured timeout: a short caller deadline says nothing
 * about the host.
 */
export const minTimeoutShare = 0.25;
/**
 * Ignore timeouts under event loop lag: a response may have arrived unread. Both limits apply, in ms and as a share of the
 * attempt's time; the larger one counts.
 */
const maxLagMs = 100;
const maxLagShare = 0.2;

/** The breaker's state between two changes. A result counts only if its call was sent in the same period. */
type Period =
  | { readonly state: 'closed'; readonly tally: Tally }
  | { readonly state: 'open'; untilMs: number; isProbing: boolean };

/** Counts the calls of the last 10 s before `nowMs`. */
export interface Tally {
  add(isFailed: boolean, nowMs: number): void;
  calls(nowMs: number): number;
  failed(nowMs: number): number;
}

/**
 * Stops calls to a failing host. The breaker opens when half of at least 20 calls within 10 s failed. After 5 s it admits one
 * call as a probe, and it closes when the probe gets a response.
 *
 * @param onChange called when the breaker opens (with the number of failed calls in the window) and when it closes.
 */
export function createBreaker(
  now: Clock,
  onChange: { opened(failedCalls: number): void; closed(): void },
  createTally: (nowMs: number) => Tally = createPlainTally,
): Breaker {
  let period: Period = closed();

  return {
    refusedMs() {
      if (period.state === 'closed') return 0;
      return Math.max(0, period.untilMs - now()) || (period.isProbing ? probeMs : 0);
    },

    admit() {
      const admittedIn = period;
      if (admittedIn.state === 'open') {
        if (admittedIn.isProbing || now() < admittedIn.untilMs) return undefined;
        admittedIn.isProbing = true;
      }
      let isReported = false;
      return (result) => {
        if (isReported || period !== admittedIn) return;
        isReported = true;
        if (admittedIn.state === 'closed') count(admittedIn, result);
        else settleProbe(admittedIn, result);
      };
    },

    isIdle() {
      if (period.state === 'closed') return period.tally.calls(now()) === 0;
      return !period.isProbing && now() >= period.untilMs + windowMs;
    },
  };

  function count({ tally }: Extract<Period, { state: 'closed' }>, result: CallResult): void {
    if (result === 'ignored') return;
    const nowMs = now();
    tally.add(result === 'failed', nowMs);
    const calls = tally.calls(nowMs);
    if (calls < minCalls) return;
    const failedCalls = tally.failed(nowMs);
    if (failedCalls < calls * failedShare) return;
    period = { state: 'open', untilMs: nowMs + openMs, isProbing: false };
    onChange.opened(failedCalls);
  }

  function settleProbe(open: Extract<Period, { state: 'open' }>, result: CallResult): void {
    open.isProbing = false;
    // After `reset` and `ignored` the next call is the probe.
    if (result === 'failed') open.untilMs = now() + openMs;
    if (result !== 'succeeded') return;
    period = closed();
    onChange.closed();
  }

  function closed(): Period {
    return { state: 'closed', tally: createTally(now()) };
  }
}

function createPlainTally(nowMs: number): Tally {
  const calls = createWindow(nowMs);
  const failed = createWindow(nowMs);
  return {
    add(isFailed, atMs) {
      calls.add(atMs);
      if (isFailed) failed.add(atMs);
    },
    calls: calls.total,
    failed: failed.total,
  };
}

/** Timers may fire this much too early. */
const timerSlackMs = 2;

/** The time of an attempt without a response. */
export interface Timing {
  /** The time that the attempt had. */
  readonly attemptMs: number;
  /** The time by which the attempt exceeded `attemptMs`; negative if it ended earlier. */
  readonly lateMs: number;
  /** Whether `attemptMs` was too short to judge the host by a timeout. */
  readonly isTooShort: boolean;
  /** Whether the caller aborted the call. */
  readonly isAborted: boolean;
}

/**
 * Classifies one call for the breaker. Any response other than a 5xx is a success, also a refusal: the host works.
 *
 * @param attempt its time is needed only if there is no response.
 */
export function callResultOf(exchange: Exchange, attempt: { timing(): Timing }): CallResult {
  if (exchange.kind === 'response') return exchange.status >= 500 ? 'failed' : 'succeeded';
  // For example an invalid certificate. An open breaker would hide this error from callers behind UPSTREAM_UNAVAILABLE.
  if (isMisconfigured(exchange)) return 'ignored';
  const { attemptMs, lateMs, isTooShort, isAborted } = attempt.timing();
  // A shared read is aborted at the deadline of its last caller: this is a timeout too.
  if (exchange.timedOut || lateMs >= -timerSlackMs) {
    const isLagging = lateMs > Math.max(maxLagMs, attemptMs * maxLagShare);
    return isTooShort || isLagging ? 'ignored' : 'failed';
  }
  if (isAborted) return 'ignored';
  return exchange.sent ? 'reset' : 'failed';
}
