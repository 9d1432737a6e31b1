import { type Clock, createWindow } from './window.ts';

/** Repeats that are always to be had, so that the few reads of a quiet merchant can be repeated too. */
const spare = 10;
/** One repeat for so many first attempts: the most that a provider which is failing already gets on top. */
const firstsPerRepeat = 5;

/**
 * How many reads may be repeated: 20 % of the first attempts of the last 10 s, plus 10. One per merchant. Three attempts
 * each would make an outage three times as heavy.
 */
export function createRetryBudget(now: Clock) {
  const firsts = createWindow(now);
  const repeats = createWindow(now);
  return {
    isSpent: () => repeats.total() + 1 > spare + firsts.total() / firstsPerRepeat,
    /** Counts a read that is sent. */
    count(attempt: number): void {
      if (attempt === 1) firsts.add();
      else repeats.add();
    },
  };
}
