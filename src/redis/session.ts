import type { Redis } from 'ioredis';

/** Reasons, for the log, why Redis cannot be used. */
export type UnavailableReason = 'connection' | 'timeout' | 'read_only' | 'refused' | 'full' | 'moved';

export class RedisUnavailable extends Error {
  readonly reason: UnavailableReason;
  /** The cluster node that a `MOVED` reply names. An empty host means the host of the current connection. */
  readonly movedTo: Address | undefined;

  constructor(reason: UnavailableReason, movedTo?: Address) {
    super(`redis unavailable: ${reason}`);
    this.reason = reason;
    this.movedTo = movedTo;
  }
}

export interface Address {
  readonly host: string;
  readonly port: string;
}

export type Command = readonly (string | number)[];

/** One Redis connection whose probe has succeeded. The first failure of any kind closes it. */
export interface RedisSession {
  /**
   * Sends the commands in one pipeline. Use plain commands only: ACLs and proxies often deny scripts and transactions.
   *
   * @throws RedisUnavailable if the session has failed. A failure rejects all pending calls.
   */
  run(commands: readonly Command[]): Promise<unknown[]>;
  close(): void;
}

export interface RedisSessionOptions {
  readonly url: string;
  /**
   * Sends the commands that the session is for, to keys of no other use. `PING` is not enough: it would also succeed on a replica, on a
   * full node, or without write permission.
   */
  readonly probe: (session: Pick<RedisSession, 'run'>) => Promise<unknown>;
  /** Timeout of the socket, of the handshake and of each reply. */
  readonly timeoutMs: number;
  /** Called once, when an open session fails. `wasBusy`: calls were pending. */
  readonly onLost: (error: RedisUnavailable, wasBusy: boolean) => void;
  readonly signal: AbortSignal;
}

/** Connects, and runs the probe. @throws RedisUnavailable if one of them fails. */
export async function openRedisSession(options: RedisSessionOptions): Promise<RedisSession> {
  const { url, probe, timeoutMs, onLost, signal } = options;
  // Imported here, because most instances have no Redis: it takes a tenth of the start.
  const ioredis = await import('ioredis');
  if (signal.aborted) throw new RedisUnavailable('connection');
  const client = new ioredis.Redis(url, {
    lazyConnect: true,
    // Never reconnect: a command must not be sent again on another connection.
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    connectTimeout: timeoutMs,
    disconnectTimeout: timeoutMs,
    // The ready check needs permission for INFO. The probe replaces it.
    enableReadyCheck: false,
    // HELLO and CLIENT SETINFO need permissions that a narrow ACL does not grant.
    protocol: 2,
    disableClientInfo: true,
  });
  const pending = new Set<(error: RedisUnavailable) => void>();
  let isOpen = false;
  let failure: RedisUnavailable | undefined;
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
    fail(new RedisUnavailable('connection'));
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
      () => setImmediate(() => pending.has(reject) && fail(new RedisUnavailable('timeout'))),
      maxWaitMs,
    );
    work.then(resolve, (error: unknown) => fail(connectionError ?? error));
    return promise.finally(() => {
      clearTimeout(timer);
      pending.delete(reject);
    });
  };

  const run = async (commands: readonly Command[]): Promise<unknown[]> => {
    if (failure !== undefined) throw failure;
    return settleInTime(runPipeline(client, commands), timeoutMs);
  };

  // The socket and the handshake have one timeout each.
  await settleInTime(client.connect(), 2 * timeoutMs);
  await probe({ run });
  isOpen = true;
  return { run, close };
}

async function runPipeline(client: Redis, commands: readonly Command[]): Promise<unknown[]> {
  const replies = (await client.pipeline(commands.map((command) => [...command])).exec()) ?? [];
  return replies.map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
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

function toUnavailable(error: unknown): RedisUnavailable {
  if (error instanceof RedisUnavailable) return error;
  if (error instanceof Error && error.name === 'ReplyError') {
    const [code = ''] = /^[A-Z]+/.exec(error.message) ?? [];
    const [, host = '', port = ''] = /^MOVED \d+ (\S*):(\d+)$/.exec(error.message) ?? [];
    const movedTo = port === '' ? undefined : { host: host === '?' ? '' : host, port };
    return new RedisUnavailable(Object.hasOwn(reasons, code) ? (reasons[code] ?? 'refused') : 'refused', movedTo);
  }
  const { code } = (error ?? {}) as { code?: unknown };
  return new RedisUnavailable(code === 'ETIMEDOUT' ? 'timeout' : 'connection');
}
