import { setTimeout as wait } from 'node:timers/promises';
import type { Resource } from '../customers/tracking.ts';
import type { Metrics } from '../telemetry/log.ts';

/** Counts in-flight requests and writes, and holds the drain state. */
export interface InFlight extends Resource {
  /** `false` as soon as `drain` is called. */
  isReady(): boolean;
  /** `true` once the delay of `drain` is over. New operations are refused then. */
  isDraining(): boolean;
  /** Ends readiness at once and starts draining after `delayMs` (default 0). Resolves when nothing is in flight. */
  drain(delayMs?: number): Promise<void>;
}

export function countInFlight(metrics: Pick<Metrics, 'inFlight'> | undefined): InFlight {
  let count = 0;
  let withdrawn = false;
  let draining = false;
  const { promise: idle, resolve: resolveIdle } = Promise.withResolvers<void>();
  const resolveIfIdle = () => {
    if (draining && count === 0) resolveIdle();
  };
  return {
    isReady: () => !withdrawn,
    isDraining: () => draining,
    acquire() {
      count += 1;
      metrics?.inFlight(count);
    },
    release() {
      count -= 1;
      metrics?.inFlight(count);
      resolveIfIdle();
    },
    async drain(delayMs = 0): Promise<void> {
      withdrawn = true;
      if (delayMs > 0) await wait(delayMs, undefined, { ref: false });
      draining = true;
      resolveIfIdle();
      return idle;
    },
  };
}
