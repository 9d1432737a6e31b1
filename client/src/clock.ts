/** The clocks and the timer of the kit. Tests pass their own. */
export interface Clock {
  /** Wall clock, in ms. Continues while the machine sleeps, and can be set back. */
  wallMs(): number;
  /** Monotonic clock, in ms. Is never set back, and can stop while the machine sleeps. */
  monotonicMs(): number;
  /** Calls `call` once, after at least `ms`. The returned function cancels the timer. */
  setTimer(call: () => void, ms: number): () => void;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(call, ms) {
    // A longer delay would fire at once.
    const timer = setTimeout(call, Math.min(ms, 2e9));
    return () => clearTimeout(timer);
  },
};

/**
 * Starts a stopwatch. The returned function returns the time since then, in ms: the larger of the two clocks' differences. The monotonic
 * clock can stop while the machine sleeps, and the wall clock can be set back. An overestimate costs one renewal; an underestimate would
 * return an expired token.
 */
export function startStopwatch(clock: Clock): () => number {
  const wallMs = clock.wallMs();
  const monotonicMs = clock.monotonicMs();
  return () => Math.max(clock.wallMs() - wallMs, clock.monotonicMs() - monotonicMs);
}
