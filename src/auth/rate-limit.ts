import { createHash } from 'node:crypto';
import { RequestError } from '../errors.ts';
import type { Log, Metrics } from '../telemetry/log.ts';
import type { Caller } from './caller.ts';
import { createLocalCounters } from './local-counters.ts';
import { createSharedCounters } from './shared-counters.ts';

export interface RateLimitOptions {
  /** Operations of one caller in one minute. */
  readonly perMinute: number;
  /** Where instances share their counters; without it each counts for itself. */
  readonly redisUrl?: { reveal(): string } | undefined;
}

export interface RateLimit {
  /**
   * Counts an operation.
   *
   * @throws RequestError `RATE_LIMITED`, 429 with `Retry-After`: nothing is executed.
   */
  admit(caller: Caller, address: string | undefined): Promise<void>;
  /**
   * Counts a request with refused credentials against its address.
   *
   * @throws RequestError `RATE_LIMITED` when the share of the address is used up.
   */
  countRefused(address: string | undefined): Promise<void>;
  dispose(): Promise<void>;
}

const windowMs = 60_000;

/**
 * Counts operations by caller, and by the customer that a caller is bound to, so that several tokens of one person share one
 * counter. Anonymous operations are counted by address. While Redis cannot be used each instance counts for itself.
 *
 * @param merchantOf the merchant that a caller uses. A credential that names the default merchant and one that names none
 *   must share their counters.
 */
export function createRateLimit(
  { perMinute, redisUrl }: RateLimitOptions,
  log: Log,
  metrics?: Pick<Metrics, 'rateLimitFallback'>,
  merchantOf: (caller: Caller) => string | undefined = ({ merchant }) => merchant,
): RateLimit {
  const countLocally = createLocalCounters({ windowMs });
  const shared = redisUrl && createSharedCounters({ url: redisUrl, windowMs }, log, metrics);

  return {
    admit: (caller, address) => consume(keysOf(caller, merchantOf(caller) ?? caller.merchant, address)),
    countRefused: (address) => consume([addressKey(address)]),
    async dispose() {
      shared?.dispose();
    },
  };

  async function consume(keys: readonly string[]): Promise<void> {
    const counts = (await shared?.count(keys)) ?? keys.map(countLocally);
    const used = counts.filter(({ count }) => count > perMinute);
    if (used.length === 0) return;
    const retryAfterSeconds = Math.max(1, ...used.map(({ resetMs }) => Math.ceil(resetMs / 1000)));
    const headers = { 'retry-after': String(retryAfterSeconds) };
    throw new RequestError('RATE_LIMITED', { status: 429, headers, retryAfterSeconds });
  }
}

/** No key twice: both credentials of one request may name the same customer, and it is one operation. */
function keysOf({ counted, customers }: Caller, merchant: string | undefined, address: string | undefined): string[] {
  if (counted.length === 0) return [addressKey(address)];
  const bound = typeof customers === 'string' ? [] : customers;
  return [
    ...new Set([
      ...counted.map((credential) => digest(['credential', merchant, credential])),
      ...bound.map((customer) => digest(['customer', merchant, customer])),
    ]),
  ];
}

function addressKey(address: string | undefined): string {
  return digest(['address', address]);
}

/** Neither names nor addresses are stored in Redis. JSON keeps the parts apart whatever they contain. */
function digest(parts: readonly (string | undefined)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
