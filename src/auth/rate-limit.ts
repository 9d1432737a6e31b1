import { hash } from 'node:crypto';
import { RequestError } from '../errors.ts';
import type { Log, Metrics } from '../telemetry/log.ts';
import type { Caller } from './caller.ts';
import { type Count, createLocalCounters } from './local-counters.ts';
import { createSharedCounters } from './shared-counters.ts';

export interface RateLimitOptions {
  /** Maximum operations of one caller in one minute. */
  readonly perMinute: number;
  /** Redis with the shared counters. Without it, each instance counts separately. */
  readonly redisUrl?: { reveal(): string } | undefined;
}

export interface RateLimit {
  /**
   * Counts an operation: by the credentials of the caller, or by address if there are none. Returns a promise only if the counters are in Redis, and otherwise throws directly.
   *
   * @throws RequestError `RATE_LIMITED` (429 with `Retry-After`) if the limit is exceeded.
   */
  admit(caller: Caller, address: string | undefined): void | Promise<void>;
  /**
   * Counts a request with refused credentials against its address. Returns a promise as `admit` does.
   *
   * @throws RequestError `RATE_LIMITED` (429 with `Retry-After`) if the limit of the address is exceeded.
   */
  countRefused(address: string | undefined): void | Promise<void>;
  dispose(): Promise<void>;
}

export const rateLimitWindowMs = 60_000;

/** Counters that several processes of one instance share. @returns `undefined` while they cannot be used. Never rejects. */
export type CountInInstance = (keys: readonly string[]) => Promise<readonly Count[] | undefined>;

/**
 * Counts operations by credential, and by the customer that the caller is bound to, so that all tokens of one customer share
 * a counter. Counts anonymous operations by address. While Redis cannot be used, each instance counts separately.
 *
 * @param merchantOf returns the merchant of a caller. Credentials with the default merchant's id and credentials without a
 *   merchant must have the same result, so that they share counters.
 * @param countInInstance counts for all processes of this instance, without Redis or while it cannot be used.
 */
export function createRateLimit(
  { perMinute, redisUrl }: RateLimitOptions,
  log: Log,
  metrics?: Pick<Metrics, 'rateLimitFallback'>,
  merchantOf: (caller: Caller) => string | undefined = ({ merchant }) => merchant,
  countInInstance?: CountInInstance,
): RateLimit {
  const countLocally = createLocalCounters({ windowMs: rateLimitWindowMs });
  const shared = redisUrl && createSharedCounters({ url: redisUrl, windowMs: rateLimitWindowMs }, log, metrics);
  // Callers with an API key are the same objects in each request. Two digests for each operation would cost 1.5 µs.
  const keysByCaller = new WeakMap<Caller, { merchant: string | undefined; keys: readonly string[] }>();

  return {
    admit(caller, address) {
      if (caller.credentialKeys.length === 0) return consume([addressKey(address)]);
      const merchant = merchantOf(caller) ?? caller.merchant;
      let known = keysByCaller.get(caller);
      if (known?.merchant !== merchant || known === undefined) {
        known = { merchant, keys: keysOf(caller, merchant) };
        keysByCaller.set(caller, known);
      }
      return consume(known.keys);
    },
    countRefused: (address) => consume([addressKey(address)]),
    async dispose() {
      shared?.dispose();
    },
  };

  function consume(keys: readonly string[]): void | Promise<void> {
    if (shared === undefined && countInInstance === undefined) return refuseAbove(keys.map(countLocally));
    return count(keys).then(refuseAbove);
  }

  async function count(keys: readonly string[]): Promise<readonly Count[]> {
    return (await shared?.count(keys)) ?? (await countInInstance?.(keys)) ?? keys.map(countLocally);
  }

  function refuseAbove(counts: readonly Count[]): void {
    const exceeded = counts.filter(({ count }) => count > perMinute);
    if (exceeded.length === 0) return;
    const retryAfterSeconds = Math.max(1, ...exceeded.map(({ resetMs }) => Math.ceil(resetMs / 1000)));
    const headers = { 'retry-after': String(retryAfterSeconds) };
    throw new RequestError('RATE_LIMITED', { status: 429, headers, retryAfterSeconds });
  }
}

/** The counters of a caller with credentials. Removes duplicates: both credentials of a request may be bound to the same customer. */
function keysOf({ credentialKeys, customers }: Caller, merchant: string | undefined): string[] {
  const bound = typeof customers === 'string' ? [] : customers;
  return [
    ...new Set([
      ...credentialKeys.map((credential) => digest(['credential', merchant, credential])),
      ...bound.map((customer) => digest(['customer', merchant, customer])),
    ]),
  ];
}

function addressKey(address: string | undefined): string {
  return digest(['address', address]);
}

/** A digest, so that Redis stores no names and no addresses. JSON separates the parts unambiguously. */
function digest(parts: readonly (string | undefined)[]): string {
  return hash('sha256', JSON.stringify(parts), 'base64url');
}
