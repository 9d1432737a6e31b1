import { setTimeout as wait } from 'node:timers/promises';
import type { Metrics } from '../telemetry/log.ts';

/** Requests and writes in progress, and whether new ones are still taken. */
export interface InFlight {
  /** Whether load balancers may send requests here. */
  isReady(): boolean;
  isDraining(): boolean;
  /** Counts `work` until it is settled. */
  track<T>(work: Promise<T>): Promise<T>;
  /** No longer ready from now on, draining after `delayMs`. Resolves when nothing is in flight any more. */
  drain(delayMs?: number): Promise<void>;
}

export function countInFlight(metrics: Pick<Metrics, 'inFlight'> | undefined): InFlight {
  let count = 0;
  let withdrawn = false;
  let draining = false;
  const { promise: idle, resolve: resolveIdle } = Promise.withResolvers<void>();
  const settle = () => {
    if (draining && count === 0) resolveIdle();
  };
  return {
    isReady: () => !withdrawn,
    isDraining: () => draining,
    async track<T>(work: Promise<T>): Promise<T> {
      count += 1;
      metrics?.inFlight(count);
      try {
        return await work;
      } finally {
        count -= 1;
        metrics?.inFlight(count);
        settle();
      }
    },
    async drain(delayMs = 0): Promise<void> {
      withdrawn = true;
      if (delayMs > 0) await wait(delayMs, undefined, { ref: false });
      draining = true;
      settle();
      return idle;
    },
  };
}
