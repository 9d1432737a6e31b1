import { type Clock, startStopwatch } from './clock.ts';
import type { CustomerClientError } from './error.ts';
import { customerErrorFrom } from './failure.ts';
import { type ClientAuthTokens, type HeldToken, renewBeforeMs } from './tokens.ts';
import type { Visibility } from './visibility.ts';

/** The state of a customer's client auth token, for components. */
export type ClientAuthTokenState =
  /** No token was requested. */
  | { readonly status: 'idle' }
  | { readonly status: 'loading' }
  | {
      readonly status: 'ready';
      readonly token: string;
      /** By the server's clock, for display. Use {@link secondsLeft} for decisions. */
      readonly expiresAt: Date;
      /** Remaining lifetime in whole seconds. */
      secondsLeft(): number;
      readonly isRenewing: boolean;
      /** The error of the last renewal. The token is still valid. */
      readonly error?: CustomerClientError;
    }
  | { readonly status: 'failed'; readonly error: CustomerClientError; retry(): void };

/** Keeps tokens valid while they are watched and the page is visible. */
export interface Watching {
  /** The current state. Returns the same object until something changes. */
  state(id: string): ClientAuthTokenState;
  /** Keeps a token valid and calls `onChange` on each change of its state. The returned function stops both. */
  watch(id: string, onChange: () => void, options?: WatchOptions): () => void;
}

export interface WatchOptions {
  /** Time before its expiry at which a token is renewed. Default 60, at most half of its lifetime. The largest value of all watchers applies. */
  readonly renewBeforeSeconds?: number;
}

interface Entry {
  readonly id: string;
  /** Callbacks, each with the time before expiry, in ms, at which it requests a renewal. */
  readonly watchers: Map<() => void, number>;
  /** The renewal in progress. */
  renewal: Promise<void> | undefined;
  /** Time since the last renewal. `undefined` before the first one. */
  sinceRenewalMs: (() => number) | undefined;
  failure: Failure | undefined;
  state: ClientAuthTokenState;
  stopTimer: () => void;
}

interface Failure {
  readonly error: CustomerClientError;
  readonly count: number;
  readonly elapsedMs: () => number;
  /** The token that was valid when the renewal failed. */
  readonly held: HeldToken | undefined;
}

const idle: ClientAuthTokenState = { status: 'idle' };
/** Longest timer. A timer can stop while the machine sleeps, so a longer one could fire after the expiry. */
const maxTimerMs = 15_000;
/** Shortest time between two renewals, so that tokens with a short lifetime are not requested in a loop. */
const minPauseMs = 5_000;
/** Pause after the tokens are cleared. On sign-out an app clears them before it unmounts the components that watch them. */
const clearedPauseMs = 100;

export function createWatching(tokens: ClientAuthTokens, clock: Clock, visibility: Visibility): Watching {
  const entries = new Map<string, Entry>();
  let stopListening: (() => void) | undefined;

  return {
    state(id) {
      const entry = entries.get(id);
      if (entry === undefined) return tokens.held(id) ? publish(entryOf(id)) : idle;
      // Without watchers no timer runs, so the stored state can be out of date.
      return entry.watchers.size === 0 ? publish(entry) : entry.state;
    },
    watch(id, onChange, { renewBeforeSeconds = renewBeforeMs / 1000 } = {}) {
      const entry = entryOf(id);
      // Use a new function for each watcher, because two watchers can pass the same one.
      const watcher = () => callSafely(onChange);
      entry.watchers.set(watcher, renewBeforeSeconds * 1000);
      stopListening ??= listen();
      check(entry);
      return () => {
        entry.watchers.delete(watcher);
        if (entry.watchers.size > 0) return;
        entry.stopTimer();
        if ([...entries.values()].some(({ watchers }) => watchers.size > 0)) return;
        stopListening?.();
        stopListening = undefined;
      };
    },
  };

  function listen(): () => void {
    const checkAll = () => {
      for (const entry of entries.values()) check(entry);
    };
    const stops = [
      visibility.onChange(checkAll),
      tokens.onChange((change) => {
        if (change === 'kept') checkAll();
        else for (const entry of entries.values()) reset(entry);
      }),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  function reset(entry: Entry): void {
    entry.stopTimer();
    Object.assign(entry, { renewal: undefined, failure: undefined, sinceRenewalMs: undefined });
    publish(entry);
    if (entry.watchers.size > 0) entry.stopTimer = clock.setTimer(() => check(entry), clearedPauseMs);
  }

  function entryOf(id: string): Entry {
    const existing = entries.get(id);
    if (existing !== undefined) return existing;
    for (const [key, { watchers, renewal }] of entries) if (watchers.size === 0 && !renewal) entries.delete(key);
    const entry: Entry = {
      id,
      watchers: new Map(),
      renewal: undefined,
      sinceRenewalMs: undefined,
      failure: undefined,
      state: idle,
      stopTimer: () => undefined,
    };
    entries.set(id, entry);
    return entry;
  }

  /** Time in ms until the token must be renewed. 0 or less if there is no token. */
  function renewInMs({ sinceRenewalMs, watchers }: Entry, held: HeldToken | undefined): number {
    const pauseMs = sinceRenewalMs ? minPauseMs - sinceRenewalMs() : 0;
    const beforeMs = Math.max(...watchers.values());
    return Math.max(held ? held.leftMs() - Math.min(beforeMs, held.lifeMs / 2) : 0, pauseMs);
  }

  /** The failure of the last renewal, unless another token has arrived since. */
  function failureOf(entry: Entry, held: HeldToken | undefined): Failure | undefined {
    if (held !== undefined && held !== entry.failure?.held) entry.failure = undefined;
    return entry.failure;
  }

  /** Time in ms until a failed renewal can be retried. Infinity if it is not retryable. */
  function retryInMs(failure: Failure | undefined): number {
    if (failure === undefined) return 0;
    if (!failure.error.retryable) return Number.POSITIVE_INFINITY;
    const pauseSeconds = failure.error.retryAfterSeconds ?? Math.min(2 ** (failure.count - 1), 60);
    return pauseSeconds * 1000 - failure.elapsedMs();
  }

  /** Renews the token if it is due, and schedules the next check. Does nothing without watchers or while the page is hidden. */
  function check(entry: Entry): void {
    entry.stopTimer();
    if (entry.watchers.size === 0 || visibility.isHidden()) return;
    const held = tokens.held(entry.id);
    const inMs = Math.max(renewInMs(entry, held), retryInMs(failureOf(entry, held)));
    if (inMs <= 0) renew(entry);
    publish(entry);
    const nextMs = Math.min(inMs > 0 ? inMs : maxTimerMs, held?.leftMs() ?? maxTimerMs, maxTimerMs);
    entry.stopTimer = clock.setTimer(() => check(entry), Math.ceil(nextMs));
  }

  /** Starts a renewal. It continues if all watchers leave, so that the next watcher has a token. */
  function renew(entry: Entry): void {
    if (entry.renewal !== undefined) return;
    const settle = (failure: Entry['failure']) => {
      if (entry.renewal !== renewal) return;
      entry.renewal = undefined;
      entry.failure = failure;
      entry.sinceRenewalMs = startStopwatch(clock);
      publish(entry);
      check(entry);
    };
    const renewal = tokens.renew(entry.id).then(
      () => settle(undefined),
      (error: unknown) =>
        settle({
          error: customerErrorFrom(error),
          count: (entry.failure?.count ?? 0) + 1,
          elapsedMs: startStopwatch(clock),
          held: tokens.held(entry.id),
        }),
    );
    entry.renewal = renewal;
  }

  function publish(entry: Entry): ClientAuthTokenState {
    const state = stateOf(entry);
    if (!isSame(entry.state, state)) {
      entry.state = state;
      for (const watcher of entry.watchers.keys()) watcher();
    }
    return entry.state;
  }

  function stateOf(entry: Entry): ClientAuthTokenState {
    const { id, renewal } = entry;
    const held = tokens.held(id);
    const failure = failureOf(entry, held);
    if (held !== undefined) {
      const { token, expiresAt } = held;
      const secondsLeft = () => Math.max(0, Math.floor(held.leftMs() / 1000));
      const error = failure && { error: failure.error };
      return { status: 'ready', token, expiresAt, secondsLeft, isRenewing: renewal !== undefined, ...error };
    }
    if (failure === undefined || renewal !== undefined) return { status: 'loading' };
    const retry = () => {
      entry.failure = undefined;
      entry.sinceRenewalMs = undefined;
      check(entry);
    };
    return { status: 'failed', error: failure.error, retry };
  }
}

function isSame(one: ClientAuthTokenState, other: ClientAuthTokenState): boolean {
  if (one.status === 'ready' && other.status === 'ready') {
    return one.token === other.token && one.isRenewing === other.isRenewing && one.error === other.error;
  }
  if (one.status === 'failed' && other.status === 'failed') return one.error === other.error;
  return one.status === other.status;
}

/** Calls a subscriber and reports its error, so that it affects neither the renewal of the token nor other subscribers. */
function callSafely(subscriber: () => void): void {
  try {
    subscriber();
  } catch (error) {
    const { reportError = console.error } = globalThis as { reportError?: (error: unknown) => void };
    reportError(error);
  }
}
