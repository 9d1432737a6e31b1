import { openRedisLink } from '../redis/link.ts';
import type { Command, RedisSession } from '../redis/session.ts';
import type { Log, Metrics } from '../telemetry/log.ts';
import type { Count } from './local-counters.ts';

export interface SharedCounters {
  /** @returns `undefined` while the shared counters cannot be used. The caller then counts locally. Never rejects. */
  count(keys: readonly string[]): Promise<Count[] | undefined>;
  dispose(): void;
}

export interface SharedCountersOptions {
  readonly url: { reveal(): string };
  readonly windowMs: number;
  /** For tests. */
  readonly monotonicMs?: () => number;
}

/** The hash tag `{…}` maps all keys to one cluster slot, so that one node holds them. */
const keyPrefix = '{customer-gateway}:rate-limit:';

/** Creates counters in Redis, with a fallback. A connection counts as usable when it has incremented a test counter. */
export function createSharedCounters(
  { url, windowMs, monotonicMs }: SharedCountersOptions,
  log: Log,
  metrics: Pick<Metrics, 'rateLimitFallback'> | undefined,
): SharedCounters {
  const count = countWithin(windowMs);
  const link = openRedisLink({
    url,
    monotonicMs,
    probe: (session) => count(session, ['probe']),
    onFallback(reason) {
      log.warn('shared counters cannot be used: each instance counts for itself', { reason });
      metrics?.rateLimitFallback(true);
    },
    onStillUnavailable: (reason) => log.debug('shared counters still cannot be used', { reason }),
    onUsable() {
      log.warn('shared counters are used again');
      metrics?.rateLimitFallback(false);
    },
  });

  return { count: (keys) => link.use((session) => count(session, keys)), dispose: link.dispose };
}

function countWithin(windowMs: number) {
  return async ({ run }: Pick<RedisSession, 'run'>, keys: readonly string[]): Promise<Count[]> => {
    const commands = keys.flatMap((key): Command[] => [
      ['set', keyPrefix + key, '0', 'PX', windowMs, 'NX'],
      ['incr', keyPrefix + key],
      ['pttl', keyPrefix + key],
    ]);
    const replies = await run(commands);
    const counts = keys.map((_, index) => ({ count: replies[3 * index + 1], resetMs: replies[3 * index + 2] }));
    // If a counter expires between SET and INCR, INCR creates it again without an expiry.
    const withoutExpiry = keys.filter((_, index) => Number(counts[index]?.resetMs) < 0);
    if (withoutExpiry.length > 0) await run(withoutExpiry.map((key) => ['pexpire', keyPrefix + key, windowMs]));
    return counts.map(({ count, resetMs }) => ({
      count: Number(count),
      resetMs: Number(resetMs) < 0 ? windowMs : Number(resetMs),
    }));
  };
}
