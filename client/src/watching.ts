import { type Clock, elapsedMs, type Moment, momentOf } from './clock.ts';
import type { CustomerClientError } from './error.ts';
import { customerErrorFrom } from './failure.ts';
import { type ClientAuthTokens, type HeldToken, renewBeforeMs } from './tokens.ts';
import type { Visibility } from './visibility.ts';

/** A customer's client auth token, as a component sees it. */
export type ClientAuthTokenState =
  /** Nobody asked. */
  | { readonly status: 'idle' }
  | { readonly status: 'loading' }
  | {
      readonly status: 'ready';
      readonly token: string;
      /** By the server's clock, for people to read. What counts is {@link secondsLeft}. */
      readonly expiresAt: Date;
      /** Whole seconds of life at this moment. */
      secondsLeft(): number;
      readonly isRenewing: boolean;
      /** Why the last renewal failed; this token is good still. */
      readonly error?: CustomerClientError;
    }
  | { readonly status: 'failed'; readonly error: CustomerClientError; retry(): void };

/** Keeps tokens ready while somebody watches and the page is seen. */
export interface Watching {
  /** The same object until something changes. */
  state(id: string): ClientAuthTokenState;
  /** Calls on each change of the state, and keeps a token ready until the answer is called. */
  watch(id: string, onChange: () => void, options?: WatchOptions): () => void;
}

export interface WatchOptions {
  /** How long before its end a token is renewed. Default 60; at most half of the token's life. Of several watchers the earliest counts. */
  readonly renewBeforeSeconds?: number;
}

interface Entry {
  readonly id: string;
  /** Whom to call, and how long before its end each wants the token renewed. */
  readonly watchers: Map<() => void, number>;
  /** The renewal that is under way. */
  flight: Promise<void> | undefined;
  renewedAt: Moment | undefined;
  failure: Failure | undefined;
  state: ClientAuthTokenState;
  stopTimer: () => void;
}

interface Failure {
  readonly error: CustomerClientError;
  readonly count: number;
  readonly since: Moment;
  /** The token that was there all the same. */
  readonly held: HeldToken | undefined;
}

const idle: ClientAuthTokenState = { status: 'idle' };
/** No timer is longer: one that was set before the machine slept knows nothing of it. */
const maxTimerMs = 15_000;
/** Tokens that live for a moment only must not be minted in a loop. */
const minPauseMs = 5_000;
/** Who signs out clears the tokens, and then leaves the page that shows one: nobody is to ask for another in between. */
const clearedPauseMs = 100;

export function createWatching(tokens: ClientAuthTokens, clock: Clock, visibility: Visibility): Watching {
  const entries = new Map<string, Entry>();
  let stopListening: (() => void) | undefined;

  return {
    state(id) {
      const entry = entries.get(id);
      if (entry === undefined) return tokens.held(id) ? publish(entryOf(id)) : idle;
      // What nobody watches is looked at when somebody asks: it may be over by now.
      return entry.watchers.size === 0 ? publish(entry) : entry.state;
    },
    watch(id, onChange, { renewBeforeSeconds = renewBeforeMs / 1000 } = {}) {
      const entry = entryOf(id);
      // A member of its own for each watcher, though two may pass the same function.
      const watcher = () => onChange();
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
        else for (const entry of entries.values()) startAnew(entry);
      }),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  function startAnew(entry: Entry): void {
    entry.stopTimer();
    Object.assign(entry, { flight: undefined, failure: undefined, renewedAt: undefined });
    publish(entry);
    if (entry.watchers.size > 0) entry.stopTimer = clock.setTimer(() => check(entry), clearedPauseMs);
  }

  function entryOf(id: string): Entry {
    const known = entries.get(id);
    if (known !== undefined) return known;
    for (const [key, { watchers, flight }] of entries) if (watchers.size === 0 && !flight) entries.delete(key);
    const entry: Entry = {
      id,
      watchers: new Map(),
      flight: undefined,
      renewedAt: undefined,
      failure: undefined,
      state: idle,
      stopTimer: () => undefined,
    };
    entries.set(id, entry);
    return entry;
  }

  /** When the token is to be renewed; now, or in the past, where there is none. */
  function renewsInMs({ renewedAt, watchers }: Entry, held: HeldToken | undefined): number {
    const pauseMs = renewedAt ? minPauseMs - elapsedMs(clock, renewedAt) : 0;
    const beforeMs = Math.max(...watchers.values());
    return Math.max(held ? held.leftMs() - Math.min(beforeMs, held.lifeMs / 2) : 0, pauseMs);
  }

  /** Why the last renewal failed. Of no matter when another token has come since, with an answer. */
  function failureOf(entry: Entry, held: HeldToken | undefined): Failure | undefined {
    if (held !== undefined && held !== entry.failure?.held) entry.failure = undefined;
    return entry.failure;
  }

  /** How long a renewal that failed is not repeated: forever, where a repeat cannot help. */
  function waitsMs(failure: Failure | undefined): number {
    if (failure === undefined) return 0;
    if (!failure.error.retryable) return Number.POSITIVE_INFINITY;
    const pauseSeconds = failure.error.retryAfterSeconds ?? Math.min(2 ** (failure.count - 1), 60);
    return pauseSeconds * 1000 - elapsedMs(clock, failure.since);
  }

  /** Renews when it is time, and sees to it that it is looked at again. Nothing happens while nobody could see it. */
  function check(entry: Entry): void {
    entry.stopTimer();
    if (entry.watchers.size === 0 || visibility.isHidden()) return;
    const held = tokens.held(entry.id);
    const inMs = Math.max(renewsInMs(entry, held), waitsMs(failureOf(entry, held)));
    if (inMs <= 0) renew(entry);
    publish(entry);
    const nextMs = Math.min(inMs > 0 ? inMs : maxTimerMs, held?.leftMs() ?? maxTimerMs, maxTimerMs);
    entry.stopTimer = clock.setTimer(() => check(entry), Math.ceil(nextMs));
  }

  /** It goes on when its watcher leaves: the next one has the token. */
  function renew(entry: Entry): void {
    if (entry.flight !== undefined) return;
    const settle = (failure: Entry['failure']) => {
      if (entry.flight !== flight) return;
      entry.flight = undefined;
      entry.failure = failure;
      entry.renewedAt = momentOf(clock);
      publish(entry);
      check(entry);
    };
    const flight = tokens.renew(entry.id).then(
      () => settle(undefined),
      (error: unknown) =>
        settle({
          error: customerErrorFrom(error),
          count: (entry.failure?.count ?? 0) + 1,
          since: momentOf(clock),
          held: tokens.held(entry.id),
        }),
    );
    entry.flight = flight;
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
    const { id, flight } = entry;
    const held = tokens.held(id);
    const failure = failureOf(entry, held);
    if (held !== undefined) {
      const { token, expiresAt } = held;
      const secondsLeft = () => Math.max(0, Math.floor(held.leftMs() / 1000));
      const error = failure && { error: failure.error };
      return { status: 'ready', token, expiresAt, secondsLeft, isRenewing: flight !== undefined, ...error };
    }
    if (failure === undefined || flight !== undefined) return { status: 'loading' };
    const retry = () => {
      entry.failure = undefined;
      entry.renewedAt = undefined;
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
