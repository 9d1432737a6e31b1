import { performance } from 'node:perf_hooks';
import type { Resource } from '../customers/tracking.ts';
import { overloaded } from '../errors.ts';

/**
 * Concurrency limit of one merchant: operations for each connection of its pool, and a minimum for small pools. With calls of
 * 300 ms, the last operation waits about 10 s, half of the default deadline. A higher limit would only cause timeouts.
 */
const limit = { perConnection: 32, atLeast: 1_000 };
/** Limit during event loop lag, when operations wait for the processor. */
const limitDuringLag = { perConnection: 8, atLeast: 500 };

const checkIntervalMs = 100;
/** Event loop lag above which the lower limit applies. */
const maxLagMs = 500;
/** How long the lower limit applies after the last such lag. */
const lagHoldMs = 1_000;

const retryAfterSeconds = 1;

/**
 * Sheds load beyond the capacity of the provider's connections and the processor, before the operation is executed. Each
 * merchant has its own limit, so that one cannot block another. Event loop lag alone sheds nothing, because short pauses are
 * normal. It lowers the limit.
 */
export function createOverload({ connections }: { connections: number }) {
  const known = new Map<string, Resource>();
  let checkedAtMs = performance.now();
  let lagUntilMs = 0;
  const check = () => {
    const nowMs = performance.now();
    if (nowMs - checkedAtMs - checkIntervalMs > maxLagMs) lagUntilMs = nowMs + lagHoldMs;
    checkedAtMs = nowMs;
  };
  const timer = setInterval(check, checkIntervalMs).unref();

  return {
    /**
     * The slots of a merchant, by its id.
     *
     * Acquiring a slot throws RequestError `OVERLOADED` (503 with `Retry-After`) if the limit is reached.
     */
    slotsOf(merchant: string): Resource {
      let slots = known.get(merchant);
      if (slots === undefined) {
        slots = createSlots();
        known.set(merchant, slots);
      }
      return slots;
    },
    dispose: () => clearInterval(timer),
  };

  function createSlots(): Resource {
    let inFlight = 0;
    return {
      acquire() {
        const { perConnection, atLeast } = performance.now() < lagUntilMs ? limitDuringLag : limit;
        if (inFlight + 1 > Math.max(atLeast, perConnection * connections)) throw overloaded(retryAfterSeconds);
        inFlight += 1;
      },
      release() {
        inFlight -= 1;
      },
    };
  }
}
