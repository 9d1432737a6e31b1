import { performance } from 'node:perf_hooks';
import { atAddress, openRedisSession, type RedisSession, RedisUnavailable, type UnavailableReason } from './session.ts';

/** Redis with a fallback: it is used by all operations, or by none. */
export interface RedisLink {
  /** @returns `undefined` while Redis cannot be used, and if `work` fails. Never rejects. */
  use<Result>(work: (session: RedisSession) => Promise<Result>): Promise<Result | undefined>;
  dispose(): void;
}

export interface RedisLinkOptions {
  readonly url: { reveal(): string };
  /** The probe of each connection, see `openRedisSession`. */
  readonly probe: (session: Pick<RedisSession, 'run'>) => Promise<unknown>;
  /** Called when the fallback starts. */
  readonly onFallback: (reason: UnavailableReason) => void;
  /** Called after each failed connection of the fallback. */
  readonly onStillUnavailable: (reason: UnavailableReason) => void;
  /** Called when the fallback ends. */
  readonly onUsable: () => void;
  /** For tests. */
  readonly monotonicMs?: (() => number) | undefined;
}

/** Timeout of a reply. Also the longest wait of an operation: only the first operations of an outage wait. */
const timeoutMs = 250;
const minBackoffMs = 250;
const maxBackoffMs = 5_000;

type State =
  /** At startup, and after an idle connection was closed. Operations wait for `settled`. */
  | { readonly name: 'connecting'; readonly settled: Promise<void>; readonly settle: () => void; isAwaited: boolean }
  | { readonly name: 'shared'; readonly session: RedisSession; readonly sinceMs: number }
  | { readonly name: 'fallback' };

/**
 * Connects to Redis. The first failure of any kind starts the fallback for all operations. The background then retries with new
 * connections, so that DNS, a proxy or a cluster can direct them to another node.
 */
export function openRedisLink(options: RedisLinkOptions): RedisLink {
  const { url, probe, monotonicMs = () => performance.now() } = options;
  const closing = new AbortController();
  let failures = 0;
  let retryTimer: NodeJS.Timeout | undefined;
  let state: State = connecting();
  connect();

  return {
    async use(work) {
      if (state.name === 'connecting') await settled(state);
      if (state.name !== 'shared') return undefined;
      // `onLost` has reported the failure.
      return work(state.session).catch(() => undefined);
    },
    dispose() {
      closing.abort();
      clearTimeout(retryTimer);
      setState({ name: 'fallback' });
    },
  };

  function connecting(): State {
    const { promise, resolve } = Promise.withResolvers<void>();
    return { name: 'connecting', settled: promise, settle: resolve, isAwaited: false };
  }

  function setState(next: State): void {
    const previous = state;
    state = next;
    if (previous.name === 'connecting') previous.settle();
  }

  /** The first waiting operation starts one timeout for all of them. */
  function settled(waiting: State & { name: 'connecting' }): Promise<void> {
    if (!waiting.isAwaited) {
      waiting.isAwaited = true;
      const timer = setTimeout(() => state === waiting && startFallback('timeout'), timeoutMs);
      waiting.settled.then(
        () => clearTimeout(timer),
        () => undefined,
      );
    }
    return waiting.settled;
  }

  function connect(): void {
    openSession().then(startSharing, (error: unknown) => {
      if (closing.signal.aborted) return;
      startFallback(error instanceof RedisUnavailable ? error.reason : 'connection');
      connectLater();
    });
  }

  /** Connects to the configured address, and follows one `MOVED` reply of a cluster. */
  async function openSession(): Promise<RedisSession> {
    const session = { url: url.reveal(), probe, timeoutMs, onLost, signal: closing.signal };
    try {
      return await openRedisSession(session);
    } catch (error) {
      if (!(error instanceof RedisUnavailable) || error.movedTo === undefined) throw error;
      return openRedisSession({ ...session, url: atAddress(session.url, error.movedTo) });
    }
  }

  function connectLater(): void {
    retryTimer = setTimeout(connect, Math.min(maxBackoffMs, minBackoffMs * 2 ** failures));
    // The timer must not keep the process alive.
    retryTimer.unref();
    failures = Math.min(failures + 1, 10);
  }

  function startSharing(session: RedisSession): void {
    if (closing.signal.aborted) return session.close();
    if (state.name === 'fallback') options.onUsable();
    setState({ name: 'shared', session, sinceMs: monotonicMs() });
  }

  function onLost({ reason }: RedisUnavailable, wasBusy: boolean): void {
    if (state.name !== 'shared') return;
    // Reset the backoff only after a stable session. A node that accepts connections but then fails needs backoff too.
    const wasStable = monotonicMs() - state.sinceMs >= maxBackoffMs;
    if (wasStable) failures = 0;
    if (wasStable && !wasBusy) {
      // Servers and load balancers close idle connections. Reconnect without a fallback, because no command failed.
      setState(connecting());
      connect();
      return;
    }
    startFallback(reason);
    connectLater();
  }

  function startFallback(reason: UnavailableReason): void {
    if (state.name === 'fallback') return options.onStillUnavailable(reason);
    setState({ name: 'fallback' });
    options.onFallback(reason);
  }
}
