import { type Clock, elapsedMs, type Moment, momentOf } from './clock.ts';
import { CustomerClientError } from './error.ts';

/** A client auth token that is alive, or was when it was asked for. */
export interface HeldToken {
  readonly token: string;
  /** By the server's clock, for people to read. What counts is {@link leftMs}. */
  readonly expiresAt: Date;
  /** All of its life, in ms, as the gateway counted it. */
  readonly lifeMs: number;
  /** Its life at this moment; negative when it is over. */
  leftMs(): number;
}

/** Tokens by customer, named by the provider's id or by the reference: in memory only, outside every cache. */
export interface ClientAuthTokens {
  /**
   * A token with some life left: the one that is there, or a new one. Callers at the same time share one request.
   *
   * @throws CustomerClientError as reads, and `NOT_FOUND`. Not while the token that is there is alive still.
   */
  get(id: string): Promise<HeldToken>;
  /** A new token, for all who ask at the same time. Throws as {@link get}. */
  renew(id: string): Promise<HeldToken>;
  /** The token that is there, if it is alive. */
  held(id: string): HeldToken | undefined;
  /** Takes a token that came with another answer; what is no id, or no token, is passed over. */
  keep(ids: readonly unknown[], token: unknown): void;
  /** Drops all tokens, as on signing out; what is on its way belongs to whoever was signed in, and is dropped too. */
  clear(): void;
  /** Calls when a token was kept, and when all were cleared; the answer stops it. */
  onChange(call: (change: 'kept' | 'cleared') => void): () => void;
}

/** A token as the gateway gives it. */
export interface MintedToken {
  readonly token: string;
  readonly expiresAt: string;
  readonly expiresInSeconds: number;
}

/** How long before its end a token is renewed by default; never more than half of its life. */
export const renewBeforeMs = 60_000;

export function createTokens(mint: (id: string) => Promise<MintedToken>, clock: Clock): ClientAuthTokens {
  const tokens = new Map<string, HeldToken>();
  const flights = new Map<string, Promise<HeldToken>>();
  const listeners = new Set<(change: 'kept' | 'cleared') => void>();
  const tell = (change: 'kept' | 'cleared') => {
    for (const listener of listeners) listener(change);
  };

  const held = (id: string) => {
    // Whatever is over is of no use to anybody.
    for (const [key, token] of tokens) if (token.leftMs() <= 0) tokens.delete(key);
    return tokens.get(id);
  };
  const renew = (id: string) => {
    const known = flights.get(id);
    if (known !== undefined) return known;
    // From before it was sent: the life that is left was counted later.
    const since = momentOf(clock);
    const flight = mint(id)
      .then((minted) => {
        const token = heldToken(minted, clock, since);
        if (flights.get(id) !== flight || token.leftMs() <= 0) throw tokenUnavailable();
        tokens.set(id, token);
        return token;
      })
      .finally(() => {
        if (flights.get(id) === flight) flights.delete(id);
      });
    flights.set(id, flight);
    return flight;
  };

  return {
    held,
    renew,
    async get(id) {
      const token = held(id);
      if (token !== undefined && token.leftMs() > Math.min(renewBeforeMs, token.lifeMs / 2)) return token;
      try {
        return await renew(id);
      } catch (error) {
        const still = held(id);
        if (still !== undefined) return still;
        throw error;
      }
    },
    keep(ids, token) {
      const minted = token as MintedToken;
      if (typeof minted.token !== 'string' || typeof minted.expiresInSeconds !== 'number') return;
      const kept = heldToken(minted, clock, momentOf(clock));
      for (const id of ids) if (typeof id === 'string') tokens.set(id, kept);
      tell('kept');
    },
    clear() {
      tokens.clear();
      flights.clear();
      tell('cleared');
    },
    onChange(call) {
      listeners.add(call);
      return () => listeners.delete(call);
    },
  };
}

function heldToken({ token, expiresAt, expiresInSeconds }: MintedToken, clock: Clock, since: Moment): HeldToken {
  const lifeMs = expiresInSeconds * 1000;
  return { token, expiresAt: new Date(expiresAt), lifeMs, leftMs: () => lifeMs - elapsedMs(clock, since) };
}

function tokenUnavailable(): CustomerClientError {
  return new CustomerClientError('CLIENT_AUTH_TOKEN_UNAVAILABLE', { retryable: false });
}
