/** Time, as the kit sees it. Tests hand in their own. */
export interface Clock {
  /** The wall's, in ms: goes on while the machine sleeps, and may be put right at any moment. */
  wallMs(): number;
  /** Never set back, in ms, and may stand still while the machine sleeps. */
  monotonicMs(): number;
  /** Calls once, after `ms` at the earliest; the answer takes it back. */
  setTimer(call: () => void, ms: number): () => void;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(call, ms) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

/** A moment on both clocks. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

export function momentOf(clock: Clock): Moment {
  return { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() };
}

/**
 * Time since a moment: what the further of the two clocks says. The monotonic one stands still while the machine sleeps,
 * and the wall's may be set back: what is too much costs a renewal, what is too little shows a dead token.
 */
export function elapsedMs(clock: Clock, since: Moment): number {
  return Math.max(clock.wallMs() - since.wallMs, clock.monotonicMs() - since.monotonicMs);
}
