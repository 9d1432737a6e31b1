import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { RequestError } from '../errors.ts';
import type { Log } from '../telemetry/log.ts';
import type { Caller } from './caller.ts';

export interface RateLimitOptions {
  /** Operations of one caller in one minute. */
  readonly perMinute: number;
  /** Where instances share their counters; without it each counts for itself. */
  readonly redisUrl?: { reveal(): string } | undefined;
}

export interface RateLimit {
  /** @throws RequestError `RATE_LIMITED`, 429 with `Retry-After`: nothing is executed. */
  admit(caller: Caller, address: string | undefined): Promise<void>;
  /**
   * Counts a request with refused credentials against its address.
   *
   * @throws RequestError `RATE_LIMITED` when the share of the address is used up.
   */
  countRefused(address: string | undefined): Promise<void>;
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
    admit: (caller, address) => consumeAll(keysOf(caller, address)),
    countRefused: (address) => consumeAll([addressKey(address)]),
    async dispose() {
      redis?.disconnect();
    },
  };

  async function consumeAll(keys: readonly string[]): Promise<void> {
    await tried;
    const waitMs = Math.max(...(await Promise.all(keys.map((key) => consume(key)))));
    if (waitMs <= 0) return;
    const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1000));
    const headers = { 'retry-after': String(retryAfterSeconds) };
    throw new RequestError('RATE_LIMITED', { status: 429, headers, retryAfterSeconds });
  }

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
function keysOf({ counted, merchant = '', customers }: Caller, address: string | undefined): string[] {
  if (counted.length === 0) return [addressKey(address)];
  const bound = typeof customers === 'string' ? [] : customers.map((customer) => `customer ${customer}`);
  return [...counted, ...bound].map((who) => digest(`${merchant} ${who}`));
}

function addressKey(address = 'unknown'): string {
  return digest(`address ${address}`);
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
