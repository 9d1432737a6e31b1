import { performance } from 'node:perf_hooks';
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
  const inFlight = new Map<string, number>();
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
     * Counts an operation as in flight until `over` settles.
     *
     * @throws RequestError `OVERLOADED` (503 with `Retry-After`) if the limit is reached. The operation is not counted then.
     */
    enter(merchant: string, over: Promise<unknown>): void {
      const { perConnection, atLeast } = performance.now() < lagUntilMs ? limitDuringLag : limit;
      const count = (inFlight.get(merchant) ?? 0) + 1;
      if (count > Math.max(atLeast, perConnection * connections)) throw overloaded(retryAfterSeconds);
      inFlight.set(merchant, count);
      const leave = () => {
        const left = (inFlight.get(merchant) ?? 0) - 1;
        if (left > 0) inFlight.set(merchant, left);
        else inFlight.delete(merchant);
      };
      over.then(leave, leave);
    },
    dispose: () => clearInterval(timer),
  };
}
