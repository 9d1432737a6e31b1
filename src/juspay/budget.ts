import { type Clock, createWindow } from './window.ts';

/** Repeats that are always available, so that a merchant with few reads can repeat them too. */
const baseRepeats = 10;
/** One repeat for this many first attempts. Limits the additional load on a failing provider. */
const firstsPerRepeat = 5;

/**
 * Limits the repeats of reads to 20 % of the first attempts of the last 10 s, plus 10. One budget per merchant. Without it,
 * three attempts per read would triple the load on a provider that is down.
 */
export function createRetryBudget(now: Clock) {
  const firsts = createWindow(now());
  const repeats = createWindow(now());
  const left = () => {
    const nowMs = now();
    return Math.max(0, Math.floor(baseRepeats + firsts.total(nowMs) / firstsPerRepeat - repeats.total(nowMs)));
  };
  return {
    /** Number of repeats that may be sent now. */
    left,
    isSpent: () => left() === 0,
    /** Counts a read that is sent. The first attempt is number 1. */
    count(attempt: number): void {
      if (attempt === 1) firsts.add(now());
      else repeats.add(now());
    },
  };
}
