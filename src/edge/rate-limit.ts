import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { Caller } from '../caller.ts';
import type { Log } from '../telemetry.ts';
import { EdgeError } from './outcome.ts';

export interface RateLimitOptions {
  /** Operations of one caller in one minute. */
  readonly perMinute: number;
  /** Where instances share their counters; without it each counts for itself. */
  readonly redisUrl?: { reveal(): string } | undefined;
}

export interface RateLimit {
  /** @throws EdgeError `RATE_LIMITED`, 429 with `Retry-After`: nothing is executed. */
  admit(caller: Caller, address: string | undefined): Promise<void>;
  dispose(): Promise<void>;
}

/** How long one answer of Redis may take before the local counters serve. */
const redisTimeoutMs = 250;

/**
 * Counts operations by caller, and by the customer that a caller is bound to: many tokens for one person are one person.
 * Anonymous ones are counted by address. While Redis is down each instance counts for itself, and lets nobody wait.
 */
export function createRateLimit({ perMinute, redisUrl }: RateLimitOptions, log: Log): RateLimit {
  const window = { points: perMinute, duration: 60, keyPrefix: 'customer-gateway' };
  const local = new RateLimiterMemory(window);
  const redis =
    redisUrl &&
    new Redis(redisUrl.reveal(), {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      connectTimeout: 1000,
      commandTimeout: redisTimeoutMs,
      // How long a socket may take to close before it is cut: a process that stops waits for this.
      disconnectTimeout: redisTimeoutMs,
    });
  redis?.on('error', (cause: unknown) => log.warn('shared counters cannot be reached', { cause }));
  // Only the very first operations wait for it, 1 s at most: else each instance would count them for itself.
  const tried =
    redis && Promise.race(['ready', 'error', 'end'].map((event) => once(redis, event).catch(() => undefined)));
  const limiter = redis ? new RateLimiterRedis({ ...window, storeClient: redis, insuranceLimiter: local }) : local;

  return {
    async admit(caller, address) {
      await tried;
      const refusals = await Promise.all(keysOf(caller, address).map((key) => consume(key)));
      const waitMs = Math.max(...refusals);
      if (waitMs <= 0) return;
      const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1000));
      const headers = { 'retry-after': String(retryAfterSeconds) };
      throw new EdgeError('RATE_LIMITED', { status: 429, headers, retryAfterSeconds });
    },
    async dispose() {
      redis?.disconnect();
    },
  };

  /** How long the caller has to wait, in ms; 0 when it may go on. */
  async function consume(key: string): Promise<number> {
    try {
      await limiter.consume(key);
      return 0;
    } catch (refusal) {
      if (refusal instanceof RateLimiterRes) return Math.max(1, refusal.msBeforeNext);
      log.error('counting failed: the operation is let through', { cause: refusal });
      return 0;
    }
  }
}

/** Digests: neither names nor addresses stand in a shared store. */
function keysOf({ counted, merchant = '', customers }: Caller, address = 'unknown'): string[] {
  if (counted.length === 0) return [digest(`address ${address}`)];
  const bound = typeof customers === 'string' ? [] : customers.map((customer) => `customer ${customer}`);
  return [...counted, ...bound].map((who) => digest(`${merchant} ${who}`));
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

/**
 * The address that counts: the socket's, or, behind proxies whose `X-Forwarded-For` is believed, what the outermost of
 * them saw.
 *
 * @param trustedProxies how many proxies stand in front.
 */
export function addressOf(
  socketAddress: string | undefined,
  forwardedFor: string | undefined,
  trustedProxies: number,
): string | undefined {
  if (trustedProxies === 0) return socketAddress;
  const chain = (forwardedFor ?? '')
    .split(',')
    .map((address) => address.trim())
    .filter(Boolean);
  // Each proxy appends the address it sees; what stands before was said by the client.
  return chain.at(-trustedProxies) ?? chain[0] ?? socketAddress;
}
