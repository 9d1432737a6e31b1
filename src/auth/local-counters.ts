import { performance } from 'node:perf_hooks';

/** One counter, after the operation that was just counted. */
export interface Count {
  readonly count: number;
  /** Until the counter starts at zero again. */
  readonly resetMs: number;
}

export interface LocalCountersOptions {
  readonly windowMs: number;
  /** The number of keys that are held at most. */
  readonly maxKeys?: number;
  /** For tests. */
  readonly monotonicMs?: () => number;
}

/**
 * Counts in fixed windows of this process, which all keys share. All counters are dropped when their window is over, so no
 * key needs a timer. Where there are more keys than `maxKeys` within a window, those counted longest ago are dropped first.
 */
export function createLocalCounters({
  windowMs,
  maxKeys = 100_000,
  monotonicMs = () => performance.now(),
}: LocalCountersOptions): (key: string) => Count {
  let windowEndsAtMs = Number.NEGATIVE_INFINITY;
  // Two generations: dropping the older one as a whole costs nothing, and keeps the keys that are in use.
  let current = new Map<string, number>();
  let previous = new Map<string, number>();

  return (key) => {
    const nowMs = monotonicMs();
    if (nowMs >= windowEndsAtMs) {
      windowEndsAtMs = nowMs + windowMs;
      current = new Map();
      previous = new Map();
    }
    const count = (current.get(key) ?? previous.get(key) ?? 0) + 1;
    if (!current.has(key) && current.size >= maxKeys / 2) {
      previous = current;
      current = new Map();
    }
    current.set(key, count);
    return { count, resetMs: windowEndsAtMs - nowMs };
  };
}
