import { performance } from 'node:perf_hooks';
import { overloaded } from '../errors.ts';

/**
 * How many operations of one merchant may be under way for each connection of its pool, and however small that is. With
 * calls of 300 ms the last one waits for about 10 s then, half of the default deadline: more would only be answered too
 * late, all of them.
 */
const most = { perConnection: 32, atLeast: 1_000 };
/** The same while the event loop is late: what waits then waits for the processor, in queues that nobody can count. */
const mostWhileLate = { perConnection: 8, atLeast: 500 };

/** How often the loop is looked at, from when on it is late, and for how long that is believed. */
const lookMs = 100;
const lateMs = 500;
const believedMs = 1_000;

/** How long a client should wait before it comes back. */
const retryAfterSeconds = 1;

/**
 * Sheds what is far beyond what the provider's connections and the processor can carry, before anything of it is read or
 * executed. Counted by merchant, so that one does not use up what another one needs. A late loop alone is no overload, since
 * every machine pauses; it lowers the mark.
 */
export function createOverload({ connections }: { connections: number }) {
  const underWay = new Map<string, number>();
  let lookedAtMs = performance.now();
  let lateUntilMs = 0;
  const look = () => {
    const nowMs = performance.now();
    if (nowMs - lookedAtMs - lookMs > lateMs) lateUntilMs = nowMs + believedMs;
    lookedAtMs = nowMs;
  };
  const timer = setInterval(look, lookMs).unref();

  return {
    /**
     * Counts an operation until it is over.
     *
     * @throws RequestError `OVERLOADED`, 503 with `Retry-After`: nothing is executed, and nothing counted.
     */
    enter(merchant: string, over: Promise<unknown>): void {
      const { perConnection, atLeast } = performance.now() < lateUntilMs ? mostWhileLate : most;
      const count = (underWay.get(merchant) ?? 0) + 1;
      if (count > Math.max(atLeast, perConnection * connections)) throw overloaded(retryAfterSeconds);
      underWay.set(merchant, count);
      const leave = () => {
        const left = (underWay.get(merchant) ?? 0) - 1;
        if (left > 0) underWay.set(merchant, left);
        else underWay.delete(merchant);
      };
      over.then(leave, leave);
    },
    dispose: () => clearInterval(timer),
  };
}
