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
  /** @returns `undefined` while the shared counters cannot be used: count locally then. Never rejects. */
  count(keys: readonly string[]): Promise<Count[] | undefined>;
  dispose(): void;
}

export interface SharedCountersOptions {
  readonly url: { reveal(): string };
  readonly windowMs: number;
  /** For tests. */
  readonly monotonicMs?: () => number;
}

/** How long an answer may take, and how long operations wait at most in an outage: the first ones only. */
const timeoutMs = 250;
const minBackoffMs = 250;
const maxBackoffMs = 5_000;

type State =
  /** At the start, and after an idle connection was closed: operations wait until `settled`. */
  | { readonly name: 'connecting'; readonly settled: Promise<void>; readonly settle: () => void; isAwaited: boolean }
  | { readonly name: 'shared'; readonly session: RedisSession; readonly sinceMs: number }
  | { readonly name: 'fallback' };

/**
 * Counters in Redis that are used only while they work. The first failure of any kind ends their use, for all operations at
 * once; new connections are tried in the background, so that name servers, proxies and clusters can lead to a successor.
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
      enter({ name: 'fallback' });
    },
  };

  function connecting(): State {
    const { promise, resolve } = Promise.withResolvers<void>();
    return { name: 'connecting', settled: promise, settle: resolve, isAwaited: false };
  }

  function enter(next: State): void {
    const previous = state;
    state = next;
    if (previous.name === 'connecting') previous.settle();
  }

  /** The first operation that waits starts the time for all of them. */
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

  /** Starts at the configured address each time, and follows a cluster to the node that it names. */
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
    // A process that has nothing else to do ends.
    retryTimer.unref();
    failures = Math.min(failures + 1, 10);
  }

  function startSharing(session: RedisSession): void {
    if (closing.signal.aborted) return session.close();
    if (state.name === 'fallback') {
      log.warn('shared counters are used again');
      metrics?.rateLimitFallback(false);
    }
    enter({ name: 'shared', session, sinceMs: monotonicMs() });
  }

  function onLost({ reason }: CountersUnavailable, wasBusy: boolean): void {
    if (state.name !== 'shared') return;
    // Otherwise a node that takes a connection and then fails would be tried, and reported, without a pause.
    const wasStable = monotonicMs() - state.sinceMs >= maxBackoffMs;
    if (wasStable) failures = 0;
    if (wasStable && !wasBusy) {
      // Servers and load balancers close idle connections. No counter was missed yet.
      enter(connecting());
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
    enter({ name: 'fallback' });
    log.warn('shared counters cannot be used: each instance counts for itself', { reason });
    metrics?.rateLimitFallback(true);
  }
}
