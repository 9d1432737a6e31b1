import { Redis, ReplyError } from 'ioredis';
import type { Count } from './local-counters.ts';

/** Why shared counters cannot be used: names of our own, for the log. */
export type UnavailableReason = 'connection' | 'timeout' | 'read_only' | 'refused' | 'full' | 'moved';

export class CountersUnavailable extends Error {
  readonly reason: UnavailableReason;
  /** The node that a cluster names instead. An empty host is the host that was asked. */
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

/** One connection that is known to count. It ends with its first failure, whatever it is, and is never used again. */
export interface RedisSession {
  /** @throws CountersUnavailable at the first failure of the session, for all that wait. */
  count(keys: readonly string[]): Promise<Count[]>;
  close(): void;
}

export interface RedisSessionOptions {
  readonly url: string;
  readonly windowMs: number;
  /** For the socket, for the handshake and for each answer. */
  readonly timeoutMs: number;
  /** Called once, when an open session fails. `wasBusy`: operations waited for it. */
  readonly onLost: (error: CountersUnavailable, wasBusy: boolean) => void;
  readonly signal: AbortSignal;
}

/** The hash tag keeps all keys in one slot of a cluster, so that one node holds them. */
const keyPrefix = '{customer-gateway}:rate-limit:';

/**
 * Connects and counts once. A node that answers to anything else (a replica, a full one, an ACL that refuses writes) would
 * look usable if it was only pinged.
 *
 * @throws CountersUnavailable
 */
export async function openRedisSession(options: RedisSessionOptions): Promise<RedisSession> {
  const { url, windowMs, timeoutMs, onLost, signal } = options;
  const client = new Redis(url, {
    lazyConnect: true,
    // A new connection is a new session: no command of this one may be sent again on another one.
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    connectTimeout: timeoutMs,
    disconnectTimeout: timeoutMs,
    // Needs the right to run INFO. The first count tells more.
    enableReadyCheck: false,
    // Both need rights of their own, which a narrow ACL does not give.
    protocol: 2,
    disableClientInfo: true,
  });
  const pending = new Set<(error: CountersUnavailable) => void>();
  let isOpen = false;
  let failure: CountersUnavailable | undefined;
  let connectionError: unknown;

  const lose = (error: unknown): void => {
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
    lose(new CountersUnavailable('connection'));
  };
  client.on('error', (error) => {
    connectionError ??= error;
  });
  client.on('end', () => lose(connectionError));
  signal.addEventListener('abort', close);

  /** Settles with `work`, with the failure of the session, or when the time is over, which is one. */
  const settle = <T>(work: Promise<T>, maxWaitMs: number): Promise<T> => {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    pending.add(reject);
    // After a pause of this process the answer may be there already: it is read before `setImmediate` calls back.
    const timer = setTimeout(
      () => setImmediate(() => pending.has(reject) && lose(new CountersUnavailable('timeout'))),
      maxWaitMs,
    );
    work.then(resolve, (error: unknown) => lose(connectionError ?? error));
    return promise.finally(() => {
      clearTimeout(timer);
      pending.delete(reject);
    });
  };

  /** No scripts and no transactions: ACLs and proxies deny them more often than plain commands. */
  const count = async (keys: readonly string[]): Promise<Count[]> => {
    if (failure !== undefined) throw failure;
    const commands = keys.flatMap((key) => [
      ['set', keyPrefix + key, '0', 'PX', windowMs, 'NX'],
      ['incr', keyPrefix + key],
      ['pttl', keyPrefix + key],
    ]);
    const replies = await settle(run(commands), timeoutMs);
    const counts = keys.map((_, index) => ({ count: replies[3 * index + 1], resetMs: replies[3 * index + 2] }));
    // A counter that expired between two of the commands was made again, without an end.
    const endless = keys.filter((_, index) => Number(counts[index]?.resetMs) < 0);
    if (endless.length > 0) {
      await settle(run(endless.map((key) => ['pexpire', keyPrefix + key, windowMs])), timeoutMs);
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

  // The socket and the handshake have their time each.
  await settle(client.connect(), 2 * timeoutMs);
  await count(['probe']);
  isOpen = true;
  return { count, close };
}

/** The same access at another address. */
export function atAddress(url: string, { host, port }: Address): string {
  const moved = new URL(url);
  if (host !== '') moved.hostname = host.includes(':') ? `[${host}]` : host;
  moved.port = port;
  return moved.href;
}

/** A reply of Redis begins with its code, which is part of the protocol. */
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
