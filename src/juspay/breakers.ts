import { type Breaker, createBreaker, type Tally } from './breaker.ts';
import { type Clock, createWindow } from './window.ts';

/** The failed calls of one caller count for at most this share of all calls in the window. */
const callerShare = 0.25;
/** Number of callers with their own counts. Failed calls of further callers count without that limit. */
const maxCallers = 500;

/** Idle breakers are removed within this time, by the next call. */
const sweepMs = 1_000;

/** The breaker of one caller. */
interface OwnBreaker {
  readonly breaker: Breaker;
  usedAtMs: number;
}

/** The breakers of one host and method. */
export interface Breakers {
  /** Minimum time in ms until a call of this caller may be sent; 0 if it may be sent now. */
  refusedMs(caller: string): number;
  /** As {@link Breaker.admit}, for a call of this caller. */
  admit(caller: string): ReturnType<Breaker['admit']>;
}

/**
 * One breaker for all callers, and one breaker for each caller. In the shared breaker, the failures of one caller count for at
 * most a quarter of the window. A caller that causes its own failures is therefore refused alone. A host that is down opens
 * the shared breaker, and a host with a single caller is protected by the breaker of that caller.
 *
 * @param onChange called for each breaker that opens or closes, with the number of open breakers.
 */
export function createBreakers(
  now: Clock,
  onChange: { opened(failedCalls: number, openBreakers: number): void; closed(openBreakers: number): void },
): Breakers {
  const open = new Set<string | undefined>();
  /** Not in order of use, because moving an entry at each call would grow the Map: it keeps deleted entries for a while. */
  const ownBreakers = new Map<string, OwnBreaker>();
  let sweptAtMs = now();
  let current = '';
  const shared = openBreaker(undefined, (nowMs) => createSharedTally(nowMs, () => current));

  return {
    refusedMs: (caller) => Math.max(shared.refusedMs(), ownBreakers.get(caller)?.breaker.refusedMs() ?? 0),
    admit(caller) {
      const own = ownOf(caller);
      // Check both first: neither breaker may start a probe if the other one refuses the call.
      if (own.refusedMs() > 0 || shared.refusedMs() > 0) return undefined;
      const reportToAll = shared.admit();
      const reportToOwn = own.admit();
      return (result) => {
        current = caller;
        reportToAll?.(result);
        reportToOwn?.(result);
      };
    },
  };

  function ownOf(caller: string): Breaker {
    const nowMs = now();
    if (nowMs - sweptAtMs >= sweepMs) {
      sweptAtMs = nowMs;
      for (const [other, { breaker }] of ownBreakers) if (other !== caller && breaker.isIdle()) remove(other);
    }
    let own = ownBreakers.get(caller);
    if (own === undefined) {
      if (ownBreakers.size >= maxCallers) removeOldest();
      own = { breaker: openBreaker(caller), usedAtMs: nowMs };
      ownBreakers.set(caller, own);
    }
    own.usedAtMs = nowMs;
    return own.breaker;
  }

  function removeOldest(): void {
    let oldest: string | undefined;
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const [caller, { usedAtMs }] of ownBreakers) {
      if (usedAtMs >= oldestMs) continue;
      oldest = caller;
      oldestMs = usedAtMs;
    }
    if (oldest !== undefined) remove(oldest);
  }

  function remove(caller: string): void {
    ownBreakers.delete(caller);
    if (open.delete(caller)) onChange.closed(open.size);
  }

  function openBreaker(caller: string | undefined, createTally?: (nowMs: number) => Tally): Breaker {
    const onOwnChange = {
      opened(failedCalls: number) {
        open.add(caller);
        onChange.opened(failedCalls, open.size);
      },
      closed() {
        open.delete(caller);
        onChange.closed(open.size);
      },
    };
    return createBreaker(now, onOwnChange, createTally);
  }
}

/** Counts the failed calls of each caller separately. */
function createSharedTally(nowMs: number, callerOf: () => string): Tally {
  const calls = createWindow(nowMs);
  const failedBy = new Map<string, ReturnType<typeof createWindow>>();
  const others = createWindow(nowMs);
  return {
    add(isFailed, atMs) {
      calls.add(atMs);
      if (!isFailed) return;
      const caller = callerOf();
      let failed = failedBy.get(caller);
      if (failed === undefined && failedBy.size < maxCallers) {
        failed = createWindow(atMs);
        failedBy.set(caller, failed);
      }
      (failed ?? others).add(atMs);
    },
    calls: calls.total,
    failed(atMs) {
      const most = calls.total(atMs) * callerShare;
      let sum = others.total(atMs);
      for (const [caller, window] of failedBy) {
        const failed = window.total(atMs);
        if (failed === 0) failedBy.delete(caller);
        sum += Math.min(failed, most);
      }
      return Math.floor(sum);
    },
  };
}
