import { type Clock, startStopwatch } from './clock.ts';
import { CustomerClientError } from './error.ts';

/** A client auth token that was valid when it was requested. */
export interface HeldToken {
  readonly token: string;
  /** By the server's clock, for display. Use {@link leftMs} for decisions. */
  readonly expiresAt: Date;
  /** Its whole lifetime in ms, as reported by the gateway. */
  readonly lifeMs: number;
  /** Its remaining lifetime in ms. Negative after it has expired. */
  leftMs(): number;
}

/** Tokens of customers by the provider's id or by the reference. Kept in memory only, outside every cache. */
export interface ClientAuthTokens {
  /**
   * Returns the stored token, or requests a new one if it expires soon. Concurrent calls share one request.
   *
   * @throws CustomerClientError the codes of reads, and `NOT_FOUND`. Never while the stored token is valid.
   */
  get(id: string): Promise<HeldToken>;
  /** Requests a new token. Concurrent calls share one request. Throws like {@link get}. */
  renew(id: string): Promise<HeldToken>;
  /** The stored token, if it is valid. */
  held(id: string): HeldToken | undefined;
  /** Stores a token that arrived in another response. Ignores values that are not ids or tokens. */
  keep(ids: readonly unknown[], token: unknown): void;
  /** Removes all tokens, for example on sign-out. Discards the results of in-flight requests, which belong to the previous session. */
  clear(): void;
  /** Subscribes to changes: a token was stored, or all were removed. The returned function unsubscribes. */
  onChange(call: (change: 'kept' | 'cleared') => void): () => void;
}

/** A token in a response of the gateway. */
export interface MintedToken {
  readonly token: string;
  readonly expiresAt: string;
  readonly expiresInSeconds: number;
}

/** Default time before its expiry at which a token is renewed. At most half of its lifetime is used. */
export const renewBeforeMs = 60_000;

export function createTokens(mint: (id: string) => Promise<MintedToken | null>, clock: Clock): ClientAuthTokens {
  const tokens = new Map<string, HeldToken>();
  const inFlight = new Map<string, Promise<HeldToken>>();
  const listeners = new Set<(change: 'kept' | 'cleared') => void>();
  const notify = (change: 'kept' | 'cleared') => {
    for (const listener of listeners) listener(change);
  };

  const held = (id: string) => {
    for (const [key, token] of tokens) if (token.leftMs() <= 0) tokens.delete(key);
    return tokens.get(id);
  };
  const renew = (id: string) => {
    const existing = inFlight.get(id);
    if (existing !== undefined) return existing;
    // Measure from before the request is sent: the gateway counted the remaining seconds later.
    const elapsedMs = startStopwatch(clock);
    const request = mint(id)
      .then((minted) => {
        const token = minted && heldToken(minted, elapsedMs);
        if (inFlight.get(id) !== request || !token || token.leftMs() <= 0) {
          throw new CustomerClientError('CLIENT_AUTH_TOKEN_UNAVAILABLE', { retryable: false });
        }
        tokens.set(id, token);
        notify('kept');
        return token;
      })
      .finally(() => {
        if (inFlight.get(id) === request) inFlight.delete(id);
      });
    inFlight.set(id, request);
    return request;
  };

  return {
    held,
    renew,
    async get(id) {
      const token = held(id);
      if (token && token.leftMs() > Math.min(renewBeforeMs, token.lifeMs / 2)) return token;
      return renew(id).catch((error: unknown) => {
        const fallback = held(id);
        if (fallback) return fallback;
        throw error;
      });
    },
    keep(ids, token) {
      const minted = token as MintedToken;
      if (typeof minted.token !== 'string' || typeof minted.expiresInSeconds !== 'number') return;
      const kept = heldToken(minted, startStopwatch(clock));
      for (const id of ids) if (typeof id === 'string') tokens.set(id, kept);
      notify('kept');
    },
    clear() {
      tokens.clear();
      inFlight.clear();
      notify('cleared');
    },
    onChange(call) {
      listeners.add(call);
      return () => listeners.delete(call);
    },
  };
}

/** @param elapsedMs returns the time since the gateway counted the remaining seconds. */
function heldToken({ token, expiresAt, expiresInSeconds }: MintedToken, elapsedMs: () => number): HeldToken {
  const lifeMs = expiresInSeconds * 1000;
  return { token, expiresAt: new Date(expiresAt), lifeMs, leftMs: () => lifeMs - elapsedMs() };
}
