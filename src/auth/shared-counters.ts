import { performance } from 'node:perf_hooks';
import type { Log, Metrics } from '../telemetry/log.ts';
import type { Count } from './local-counters.ts';
import {
  atAddress,
  CountersUnavailable,
  openRedisSession,
  type RedisSession,
  type UnavailableReason,
} from './redis-session.ts';

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
 * Creates counters in Redis, with a fallback. The first failure of any kind starts the fallback for all operations. The
 * background then retries with new connections, so that DNS, a proxy or a cluster can direct them to another node.
 */
export function createSharedCounters(
  { url, windowMs, monotonicMs = () => performance.now() }: SharedCountersOptions,
  log: Log,
  metrics: Pick<Metrics, 'rateLimitFallback'> | undefined,
): SharedCounters {
  const closing = new AbortController();
  let failures = 0;
  let retryTimer: NodeJS.Timeout | undefined;
  let state: State = connecting();
  connect();

  return {
    async count(keys) {
      if (state.name === 'connecting') await settled(state);
      if (state.name !== 'shared') return undefined;
      // `onLost` has reported the failure.
      return state.session.count(keys).catch(() => undefined);
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
      startFallback(error instanceof CountersUnavailable ? error.reason : 'connection');
      connectLater();
    });
  }

  /** Connects to the configured address, and follows one `MOVED` reply of a cluster. */
  async function openSession(): Promise<RedisSession> {
    const options = { url: url.reveal(), windowMs, timeoutMs, onLost, signal: closing.signal };
    try {
      return await openRedisSession(options);
    } catch (error) {
      if (!(error instanceof CountersUnavailable) || error.movedTo === undefined) throw error;
      return openRedisSession({ ...options, url: atAddress(options.url, error.movedTo) });
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
    if (state.name === 'fallback') {
      log.warn('shared counters are used again');
      metrics?.rateLimitFallback(false);
    }
    setState({ name: 'shared', session, sinceMs: monotonicMs() });
  }

  function onLost({ reason }: CountersUnavailable, wasBusy: boolean): void {
    if (state.name !== 'shared') return;
    // Reset the backoff only after a stable session. A node that accepts connections but then fails needs backoff too.
    const wasStable = monotonicMs() - state.sinceMs >= maxBackoffMs;
    if (wasStable) failures = 0;
    if (wasStable && !wasBusy) {
      // Servers and load balancers close idle connections. Reconnect without a fallback, because no count failed.
      setState(connecting());
      connect();
      return;
    }
    startFallback(reason);
    connectLater();
  }

  function startFallback(reason: UnavailableReason): void {
    if (state.name === 'fallback') {
      log.debug('shared counters still cannot be used', { reason });
      return;
    }
    setState({ name: 'fallback' });
    log.warn('shared counters cannot be used: each instance counts for itself', { reason });
    metrics?.rateLimitFallback(true);
  }
}
