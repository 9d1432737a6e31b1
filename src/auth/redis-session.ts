import { Redis, ReplyError } from 'ioredis';
import type { Count } from './local-counters.ts';

/** Reasons, for the log, why shared counters cannot be used. */
export type UnavailableReason = 'connection' | 'timeout' | 'read_only' | 'refused' | 'full' | 'moved';

export class CountersUnavailable extends Error {
  readonly reason: UnavailableReason;
  /** The cluster node that a `MOVED` reply names. An empty host means the host of the current connection. */
  readonly movedTo: Address | undefined;

  constructor(reason: UnavailableReason, movedTo?: Address) {
    super(`counters unavailable: ${reason}`);
    this.reason = reason;
    this.movedTo = movedTo;
  }
}

export interface Address {
  readonly host: string;
  readonly port: string;
}

/** One Redis connection that has counted successfully. The first failure of any kind closes it. */
export interface RedisSession {
  /** @throws CountersUnavailable if the session has failed. A failure rejects all pending calls. */
  count(keys: readonly string[]): Promise<Count[]>;
  close(): void;
}

export interface RedisSessionOptions {
  readonly url: string;
  readonly windowMs: number;
  /** Timeout of the socket, of the handshake and of each reply. */
  readonly timeoutMs: number;
  /** Called once, when an open session fails. `wasBusy`: calls were pending. */
  readonly onLost: (error: CountersUnavailable, wasBusy: boolean) => void;
  readonly signal: AbortSignal;
}

/** The hash tag `{…}` maps all keys to one cluster slot, so that one node holds them. */
const keyPrefix = '{customer-gateway}:rate-limit:';

/**
 * Connects, and increments a test counter. `PING` is not enough: it would also succeed on a replica, on a full node, or
 * without write permission.
 *
 * @throws CountersUnavailable if connecting or counting fails.
 */
export async function openRedisSession(options: RedisSessionOptions): Promise<RedisSession> {
  const { url, windowMs, timeoutMs, onLost, signal } = options;
  const client = new Redis(url, {
    lazyConnect: true,
    // Never reconnect: a command must not be sent again on another connection.
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    connectTimeout: timeoutMs,
    disconnectTimeout: timeoutMs,
    // The ready check needs permission for INFO. The test counter replaces it.
    enableReadyCheck: false,
    // HELLO and CLIENT SETINFO need permissions that a narrow ACL does not grant.
    protocol: 2,
    disableClientInfo: true,
  });
  const pending = new Set<(error: CountersUnavailable) => void>();
  let isOpen = false;
  let failure: CountersUnavailable | undefined;
  let connectionError: unknown;

  const fail = (error: unknown): void => {
    if (failure !== undefined) return;
    failure = toUnavailable(error);
    const wasBusy = pending.size > 0;
    signal.removeEventListener('abort', close);
    client.disconnect();
    for (const reject of pending) reject(failure);
    pending.clear();
    if (isOpen) onLost(failure, wasBusy);
  };
  const close = (): void => {
    isOpen = false;
    fail(new CountersUnavailable('connection'));
  };
  client.on('error', (error) => {
    connectionError ??= error;
  });
  client.on('end', () => fail(connectionError));
  signal.addEventListener('abort', close);

  /** Settles with `work`, or rejects when the session fails. A timeout fails the session. */
  const settleInTime = <T>(work: Promise<T>, maxWaitMs: number): Promise<T> => {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    pending.add(reject);
    // After a pause of the process, an unread reply may be in the socket. `setImmediate` runs after it is read.
    const timer = setTimeout(
      () => setImmediate(() => pending.has(reject) && fail(new CountersUnavailable('timeout'))),
      maxWaitMs,
    );
    work.then(resolve, (error: unknown) => fail(connectionError ?? error));
    return promise.finally(() => {
      clearTimeout(timer);
      pending.delete(reject);
    });
  };

  /** Uses plain commands only: ACLs and proxies often deny scripts and transactions. */
  const count = async (keys: readonly string[]): Promise<Count[]> => {
    if (failure !== undefined) throw failure;
    const commands = keys.flatMap((key) => [
      ['set', keyPrefix + key, '0', 'PX', windowMs, 'NX'],
      ['incr', keyPrefix + key],
      ['pttl', keyPrefix + key],
    ]);
    const replies = await settleInTime(run(commands), timeoutMs);
    const counts = keys.map((_, index) => ({ count: replies[3 * index + 1], resetMs: replies[3 * index + 2] }));
    // If a counter expires between SET and INCR, INCR creates it again without an expiry.
    const withoutExpiry = keys.filter((_, index) => Number(counts[index]?.resetMs) < 0);
    if (withoutExpiry.length > 0) {
      await settleInTime(run(withoutExpiry.map((key) => ['pexpire', keyPrefix + key, windowMs])), timeoutMs);
    }
    return counts.map(({ count, resetMs }) => ({
      count: Number(count),
      resetMs: Number(resetMs) < 0 ? windowMs : Number(resetMs),
    }));
  };

  const run = async (commands: readonly (readonly (string | number)[])[]): Promise<unknown[]> => {
    const replies = (await client.pipeline(commands.map((command) => [...command])).exec()) ?? [];
    return replies.map(([error, reply]) => {
      if (error) throw error;
      return reply;
    });
  };

  // The socket and the handshake have one timeout each.
  await settleInTime(client.connect(), 2 * timeoutMs);
  await count(['probe']);
  isOpen = true;
  return { count, close };
}

/** The URL with another host and port. */
export function atAddress(url: string, { host, port }: Address): string {
  const moved = new URL(url);
  if (host !== '') moved.hostname = host.includes(':') ? `[${host}]` : host;
  moved.port = port;
  return moved.href;
}

/** Reason by the code at the start of a Redis error reply. */
const reasons: Readonly<Record<string, UnavailableReason>> = {
  READONLY: 'read_only',
  MASTERDOWN: 'read_only',
  OOM: 'full',
  MOVED: 'moved',
  ASK: 'moved',
  CLUSTERDOWN: 'moved',
  TRYAGAIN: 'moved',
};

function toUnavailable(error: unknown): CountersUnavailable {
  if (error instanceof CountersUnavailable) return error;
  if (error instanceof ReplyError && error instanceof Error) {
    const [code = ''] = /^[A-Z]+/.exec(error.message) ?? [];
    const [, host = '', port = ''] = /^MOVED \d+ (\S*):(\d+)$/.exec(error.message) ?? [];
    const movedTo = port === '' ? undefined : { host: host === '?' ? '' : host, port };
    return new CountersUnavailable(Object.hasOwn(reasons, code) ? (reasons[code] ?? 'refused') : 'refused', movedTo);
  }
  const { code } = (error ?? {}) as { code?: unknown };
  return new CountersUnavailable(code === 'ETIMEDOUT' ? 'timeout' : 'connection');
}
