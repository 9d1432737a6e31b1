import { type Breaker, createBreaker, type Tally } from './breaker.ts';
import { type Clock, createWindow } from './window.ts';

/** The most that one caller's failed calls count for, of all calls within the window. */
const callerShare = 0.25;
/** Callers that are told apart; the failed calls of more than that count without a limit. */
const maxCallers = 500;

/** The breakers of one host and method. */
export interface Breakers {
  /** How long a call of this caller is refused for, at least: 0 where it may be sent. */
  refusedMs(caller: string): number;
  /** As {@link Breaker.admit}, for a call of this caller. */
  admit(caller: string): ReturnType<Breaker['admit']>;
}

/**
 * One breaker for all callers, in which the failures of one of them count for at most a quarter of the window, and one for
 * each caller. So a caller whose calls alone fail is refused alone, a host that is down is found out whoever calls it, and
 * one with a single caller is protected like the rest.
 *
 * @param onChange told of each breaker that opens or closes, and how many are open then.
 */
export function createBreakers(
  now: Clock,
  onChange: { opened(failedCalls: number, openBreakers: number): void; closed(openBreakers: number): void },
): Breakers {
  const open = new Set<string | undefined>();
  // The one that was used last comes last.
  const own = new Map<string, Breaker>();
  let current = '';
  const all = openBreaker(undefined, (clock) => createSharedTally(clock, () => current));

  return {
    refusedMs: (caller) => Math.max(all.refusedMs(), own.get(caller)?.refusedMs() ?? 0),
    admit(caller) {
      const mine = ownOf(caller);
      // Asked first: neither must take its probe where the other one refuses.
      if (mine.refusedMs() > 0 || all.refusedMs() > 0) return undefined;
      const told = [all.admit(), mine.admit()];
      return (sign) => {
        current = caller;
        for (const tell of told) tell?.(sign);
      };
    },
  };

  function ownOf(caller: string): Breaker {
    const breaker = own.get(caller) ?? openBreaker(caller);
    own.delete(caller);
    own.set(caller, breaker);
    for (const [oldest, its] of own) {
      if (own.size <= maxCallers && !its.isIdle()) break;
      if (oldest === caller) break;
      own.delete(oldest);
      if (open.delete(oldest)) onChange.closed(open.size);
    }
    return breaker;
  }

  function openBreaker(caller: string | undefined, createTally?: (now: Clock) => Tally): Breaker {
    const told = {
      opened(failedCalls: number) {
        open.add(caller);
        onChange.opened(failedCalls, open.size);
      },
      closed() {
        open.delete(caller);
        onChange.closed(open.size);
      },
    };
    return createBreaker(now, told, createTally);
  }
}

/** Counts the failed calls of each caller apart. */
function createSharedTally(now: Clock, callerOf: () => string): Tally {
  const calls = createWindow(now);
  const failedBy = new Map<string, ReturnType<typeof createWindow>>();
  const others = createWindow(now);
  return {
    add(isFailed) {
      calls.add();
      if (!isFailed) return;
      const caller = callerOf();
      let failed = failedBy.get(caller);
      if (failed === undefined && failedBy.size < maxCallers) {
        failed = createWindow(now);
        failedBy.set(caller, failed);
      }
      (failed ?? others).add();
    },
    calls: calls.total,
    failed() {
      const most = calls.total() * callerShare;
      let sum = others.total();
      for (const [caller, window] of failedBy) {
        const failed = window.total();
        if (failed === 0) failedBy.delete(caller);
        sum += Math.min(failed, most);
      }
      return Math.floor(sum);
    },
  };
}
