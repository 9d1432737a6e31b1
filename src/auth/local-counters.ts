import { performance } from 'node:perf_hooks';

/** State of one counter, including the current operation. */
export interface Count {
  readonly count: number;
  /** Time until the counter is reset to zero. */
  readonly resetMs: number;
}

export interface LocalCountersOptions {
  readonly windowMs: number;
  /** Maximum number of keys in memory. */
  readonly maxKeys?: number;
  /** For tests. */
  readonly monotonicMs?: () => number;
}

/**
 * Creates in-memory counters with a fixed window that all keys share. All counters are reset when the window ends, so no key
 * needs a timer. If a window has more than `maxKeys` keys, the least recently used ones are evicted first.
 */
export function createLocalCounters({
  windowMs,
  maxKeys = 100_000,
  monotonicMs = () => performance.now(),
}: LocalCountersOptions): (key: string) => Count {
  let windowEndsAtMs = Number.NEGATIVE_INFINITY;
  // Two generations: evicting the older one as a whole is cheap and keeps the keys in use.
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
