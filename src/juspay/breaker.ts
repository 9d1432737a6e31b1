import { isMisconfigured } from './refusal.ts';
import type { Exchange } from './transport.ts';
import { type Clock, createWindow, windowMs } from './window.ts';

/**
 * What became of a call, as a sign of how its host is. `cut`: a connection that was reset, which neither counts against
 * the host nor shows that it is well. `none`: given up too early to tell.
 */
export type Sign = 'alive' | 'failed' | 'cut' | 'none';

export interface Breaker {
  /** How long a call is refused for, at least: 0 where it may be sent. */
  refusedMs(): number;
  /**
   * Asked at the moment of sending, so that who waits for something else is not the probe meanwhile.
   *
   * @returns `undefined` where the call is refused; else what is told, once, how it went. It must be told: nobody else
   *   may go while a probe is under way.
   */
  admit(): ((sign: Sign) => void) | undefined;
  /** Whether nothing within the window speaks for keeping it: closed without calls, or open without a probe for long. */
  isIdle(): boolean;
}

/** Fewer calls within the window say nothing. */
const minCalls = 20;
/** The share of failed calls that opens. */
const failedShare = 0.5;
const openMs = 5_000;
/** Nobody knows how long a probe takes: look again after this. */
const probeMs = 100;

/** A caller in a hurry must not make a host look dead: who gave it less than this share of its time learned nothing. */
export const fairShare = 0.25;
/**
 * Nor must a gateway that stood still: where a timer came this late, as ms or as a share of its time, whichever is more,
 * an answer may have lain there unread.
 */
const standstillMs = 100;
const standstillShare = 0.2;

/** A period between two changes. A call speaks of the period that it was sent in: a straggler changes nothing later. */
type Period =
  | { readonly state: 'closed'; readonly tally: Tally }
  | { readonly state: 'open'; untilMs: number; isProbing: boolean };

/** The calls of the last 10 s. */
export interface Tally {
  add(isFailed: boolean): void;
  calls(): number;
  failed(): number;
}

/**
 * Stops calls to a host that fails: opens when half of at least 20 calls within 10 s failed, then lets one call through
 * after 5 s, and all of them once it is answered.
 *
 * @param onChange told when it opens (with the failed calls within the window) and when it closes.
 */
export function createBreaker(
  now: Clock,
  onChange: { opened(failedCalls: number): void; closed(): void },
  createTally: (now: Clock) => Tally = createPlainTally,
): Breaker {
  let period: Period = closed();

  return {
    refusedMs() {
      if (period.state === 'closed') return 0;
      return Math.max(0, period.untilMs - now()) || (period.isProbing ? probeMs : 0);
    },

    admit() {
      const mine = period;
      if (mine.state === 'open') {
        if (mine.isProbing || now() < mine.untilMs) return undefined;
        mine.isProbing = true;
      }
      let told = false;
      return (sign) => {
        if (told || period !== mine) return;
        told = true;
        if (mine.state === 'closed') count(mine, sign);
        else probed(mine, sign);
      };
    },

    isIdle() {
      if (period.state === 'closed') return period.tally.calls() === 0;
      return !period.isProbing && now() >= period.untilMs + windowMs;
    },
  };

  function count({ tally }: Extract<Period, { state: 'closed' }>, sign: Sign): void {
    if (sign === 'none') return;
    tally.add(sign === 'failed');
    const calls = tally.calls();
    if (calls < minCalls) return;
    const failedCalls = tally.failed();
    if (failedCalls < calls * failedShare) return;
    period = { state: 'open', untilMs: now() + openMs, isProbing: false };
    onChange.opened(failedCalls);
  }

  function probed(open: Extract<Period, { state: 'open' }>, sign: Sign): void {
    open.isProbing = false;
    // Neither `cut` nor `none` tells anything: the next call is the probe.
    if (sign === 'failed') open.untilMs = now() + openMs;
    if (sign !== 'alive') return;
    period = closed();
    onChange.closed();
  }

  function closed(): Period {
    return { state: 'closed', tally: createTally(now) };
  }
}

function createPlainTally(now: Clock): Tally {
  const calls = createWindow(now);
  const failed = createWindow(now);
  return {
    add(isFailed) {
      calls.add();
      if (isFailed) failed.add();
    },
    calls: calls.total,
    failed: failed.total,
  };
}

/** Timers may come this much early. */
const timerSlackMs = 2;

/**
 * What one call says about its host. Whatever is no 5xx is an answer: a refusal, too, comes from somebody who is there.
 *
 * @param given.attemptMs the time that it was given; `lateMs` how long after that it ended, negative where some was left;
 *   `isShort` whether that was too little to tell; `isGone` whether it was called off.
 */
export function signOf(
  exchange: Exchange,
  given: { attemptMs: number; lateMs: number; isShort: boolean; isGone: boolean },
): Sign {
  if (exchange.kind === 'answered') return exchange.status >= 500 ? 'failed' : 'alive';
  // The host answers, with a certificate that is refused: the caller must learn that, and not that it is unavailable.
  if (isMisconfigured(exchange)) return 'none';
  const { attemptMs, lateMs, isShort, isGone } = given;
  // A read that several wait for is called off when the time of the last of them is over: a timeout by another way.
  if (exchange.timedOut || lateMs >= -timerSlackMs) {
    const stoodStill = lateMs > Math.max(standstillMs, attemptMs * standstillShare);
    return isShort || stoodStill ? 'none' : 'failed';
  }
  if (isGone) return 'none';
  return exchange.sent ? 'cut' : 'failed';
}
