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
  const firsts = createWindow(now);
  const repeats = createWindow(now);
  return {
    isSpent: () => repeats.total() + 1 > baseRepeats + firsts.total() / firstsPerRepeat,
    /** Counts a read that is sent. The first attempt is number 1. */
    count(attempt: number): void {
      if (attempt === 1) firsts.add();
      else repeats.add();
    },
  };
}
