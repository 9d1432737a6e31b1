import { type Clock, elapsedMs, type Moment, momentOf, type Visibility } from './clock.ts';
import { CustomerClientError } from './error.ts';

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

export type ReadyToken = Extract<ClientAuthTokenState, { status: 'ready' }>;

/** Tokens by customer: in memory only, outside every cache, renewed while somebody watches and the page is seen. */
export interface ClientAuthTokens {
  /**
   * A token that is good for a while: the one that is there, or a new one. Callers at the same time share one request.
   *
   * @param id the provider's id or the reference.
   * @throws CustomerClientError as reads, and `NOT_FOUND`.
   */
  get(id: string): Promise<ReadyToken>;
  /** The same object until something changes. */
  state(id: string): ClientAuthTokenState;
  /** Calls on each change of the state, and keeps a token ready until the answer is called. */
  watch(id: string, onChange: () => void, options?: WatchOptions): () => void;
  /** Takes a token that came with another answer; what is no id, or no token, is passed over. */
  keep(ids: readonly unknown[], token: unknown): void;
  /** Drops all tokens, as on signing out; what is watched still is asked for anew. */
  clear(): void;
}

export interface WatchOptions {
  /** How long before its end a token is renewed. Default 60; at most half of the token's life. */
  readonly renewBeforeSeconds?: number;
}

/** A token as the gateway gives it. */
export interface MintedToken {
  readonly token: string;
  readonly expiresAt: string;
  readonly expiresInSeconds: number;
}

interface Entry {
  readonly id: string;
  readonly watchers: Set<() => void>;
  renewBeforeMs: number;
  held: { readonly minted: MintedToken; readonly since: Moment } | undefined;
  flight: Promise<void> | undefined;
  failure: { readonly error: CustomerClientError; readonly count: number; readonly since: Moment } | undefined;
  state: ClientAuthTokenState;
  stopTimer: () => void;
}

const idle: ClientAuthTokenState = { status: 'idle' };
const defaultRenewBeforeMs = 60_000;
/** No timer is longer: one that was set before the machine slept knows nothing of it. */
const maxTimerMs = 15_000;
/** Tokens that live for a moment only must not be minted in a loop. */
const minPauseMs = 5_000;

const unavailable = () => new CustomerClientError('CLIENT_AUTH_TOKEN_UNAVAILABLE', { retryable: false });

export function createTokens(parts: {
  readonly mint: (id: string) => Promise<MintedToken>;
  readonly clock: Clock;
  readonly visibility: Visibility;
}): ClientAuthTokens {
  const { mint, clock, visibility } = parts;
  const entries = new Map<string, Entry>();
  let stopListening: (() => void) | undefined;

  const leftMs = ({ held }: Entry) =>
    held ? held.minted.expiresInSeconds * 1000 - elapsedMs(clock, held.since) : Number.NEGATIVE_INFINITY;
  const renewsInMs = (entry: Entry) => {
    if (entry.held === undefined) return Number.NEGATIVE_INFINITY;
    const { minted, since } = entry.held;
    const beforeMs = Math.min(entry.renewBeforeMs, minted.expiresInSeconds * 500);
    return Math.max(leftMs(entry) - beforeMs, minPauseMs - elapsedMs(clock, since));
  };
  /** How long a failed renewal is not repeated: forever, where a repeat cannot help. */
  const waitsMs = ({ failure }: Entry) => {
    if (failure === undefined) return 0;
    if (!failure.error.retryable) return Number.POSITIVE_INFINITY;
    const pause = (failure.error.retryAfterSeconds ?? Math.min(2 ** (failure.count - 1), 60)) * 1000;
    return pause - elapsedMs(clock, failure.since);
  };

  return {
    async get(id) {
      const entry = entryOf(id);
      if (renewsInMs(entry) <= 0 || leftMs(entry) <= 0) await renew(entry);
      if (entry.held !== undefined && leftMs(entry) > 0) return readyState(entry, entry.held);
      throw entry.failure?.error ?? unavailable();
    },
    state(id) {
      const entry = entries.get(id);
      if (entry === undefined) return idle;
      // What nobody watches is looked at when somebody asks: it may be over by now.
      if (entry.watchers.size === 0) publish(entry);
      return entry.state;
    },
    watch(id, onChange, { renewBeforeSeconds } = {}) {
      const entry = entryOf(id);
      if (renewBeforeSeconds !== undefined) entry.renewBeforeMs = renewBeforeSeconds * 1000;
      // A new set member for each watcher, though two may pass the same function.
      const watcher = () => onChange();
      entry.watchers.add(watcher);
      stopListening ??= visibility.onChange(() => {
        for (const one of entries.values()) check(one);
      });
      check(entry);
      return () => {
        entry.watchers.delete(watcher);
        if (entry.watchers.size === 0) entry.stopTimer();
        if ([...entries.values()].some(({ watchers }) => watchers.size > 0)) return;
        stopListening?.();
        stopListening = undefined;
      };
    },
    keep(ids, token) {
      const { token: text, expiresAt, expiresInSeconds } = token as Partial<MintedToken>;
      if (typeof text !== 'string' || typeof expiresAt !== 'string' || typeof expiresInSeconds !== 'number') return;
      for (const id of ids) {
        if (typeof id === 'string') hold(entryOf(id), { token: text, expiresAt, expiresInSeconds }, momentOf(clock));
      }
    },
    clear() {
      for (const entry of entries.values()) {
        entry.held = undefined;
        entry.failure = undefined;
        // An answer that is still under way belongs to whoever was signed in.
        entry.flight = undefined;
        if (entry.watchers.size === 0) entries.delete(entry.id);
        check(entry);
      }
    },
  };

  function entryOf(id: string): Entry {
    for (const [key, entry] of entries) {
      if (entry.watchers.size === 0 && entry.flight === undefined && leftMs(entry) <= 0) entries.delete(key);
    }
    let entry = entries.get(id);
    if (entry === undefined) {
      entry = {
        id,
        watchers: new Set(),
        renewBeforeMs: defaultRenewBeforeMs,
        held: undefined,
        flight: undefined,
        failure: undefined,
        state: idle,
        stopTimer: () => undefined,
      };
      entries.set(id, entry);
    }
    return entry;
  }

  /** Renews when it is time, and sees to it that it is looked at again. Nothing happens while nobody could see it. */
  function check(entry: Entry): void {
    entry.stopTimer();
    if (entry.watchers.size === 0 || visibility.isHidden()) return;
    const inMs = Math.max(renewsInMs(entry), waitsMs(entry));
    if (inMs <= 0) void renew(entry);
    publish(entry);
    const untilEndMs = leftMs(entry) > 0 ? leftMs(entry) : Number.POSITIVE_INFINITY;
    const nextMs = Math.min(inMs > 0 ? inMs : maxTimerMs, untilEndMs, maxTimerMs);
    entry.stopTimer = clock.setTimer(() => check(entry), Math.ceil(nextMs));
  }

  /** One at a time for each customer. It goes on when its watcher leaves: the next one has the token. */
  function renew(entry: Entry): Promise<void> {
    if (entry.flight !== undefined) return entry.flight;
    // From before it was sent: the life that is left was counted later.
    const since = momentOf(clock);
    const flight = mint(entry.id).then(
      (minted) => {
        if (entry.flight === flight) hold(entry, minted, since);
      },
      (error: unknown) => {
        if (entry.flight !== flight) return;
        entry.flight = undefined;
        entry.failure = {
          error:
            error instanceof CustomerClientError
              ? error
              : new CustomerClientError('INTERNAL_SERVER_ERROR', { retryable: false }),
          count: (entry.failure?.count ?? 0) + 1,
          since: momentOf(clock),
        };
        check(entry);
      },
    );
    entry.flight = flight;
    return flight;
  }

  function hold(entry: Entry, minted: MintedToken, since: Moment): void {
    entry.flight = undefined;
    entry.held = { minted, since };
    // A token that is over when it comes must not be asked for again and again.
    entry.failure = minted.expiresInSeconds > 0 ? undefined : { error: unavailable(), count: 1, since };
    publish(entry);
    check(entry);
  }

  function publish(entry: Entry): void {
    const { held, failure } = entry;
    const before = entry.state;
    if (held !== undefined && leftMs(entry) > 0) entry.state = readyState(entry, held);
    else if (entry.flight === undefined && failure !== undefined) {
      const retry = () => {
        entry.failure = undefined;
        check(entry);
      };
      entry.state = { status: 'failed', error: failure.error, retry };
    } else entry.state = { status: 'loading' };
    if (isSame(before, entry.state)) entry.state = before;
    else for (const watcher of entry.watchers) watcher();
  }

  function readyState(entry: Entry, { minted, since }: NonNullable<Entry['held']>): ReadyToken {
    const { token, expiresAt, expiresInSeconds } = minted;
    return {
      status: 'ready',
      token,
      expiresAt: new Date(expiresAt),
      secondsLeft: () => Math.max(0, Math.floor(expiresInSeconds - elapsedMs(clock, since) / 1000)),
      isRenewing: entry.flight !== undefined,
      ...(entry.failure && { error: entry.failure.error }),
    };
  }
}

function isSame(one: ClientAuthTokenState, other: ClientAuthTokenState): boolean {
  if (one.status === 'ready' && other.status === 'ready') {
    return one.token === other.token && one.isRenewing === other.isRenewing && one.error === other.error;
  }
  if (one.status === 'failed' && other.status === 'failed') return one.error === other.error;
  return one.status === other.status;
}
