import { createPublicKey, type KeyObject } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Log, Metrics } from '../telemetry/log.ts';

/** The fields of a token's header that select its key. */
export interface KeySelector {
  readonly alg: string;
  readonly kid?: string | undefined;
}

export interface KeySet {
  /** The known keys that match this header, in published order, at most 8. */
  find(selector: KeySelector): KeyObject[];
  /**
   * Fetches the set again for a token with an unknown key, at most once in 30 s.
   *
   * @throws KeysUnavailable if the last fetch failed.
   */
  renew(): Promise<void>;
  /** `true` after the first successful fetch. */
  isRead(): boolean;
  dispose(): void;
}

export interface KeySetOptions {
  readonly url: string;
  readonly log: Log;
  readonly metrics?: Metrics | undefined;
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** A monotonic clock, in ms. With a wall clock, a clock change could delay a refresh. */
  readonly monotonicMs?: (() => number) | undefined;
}

/** The key set cannot be read and the key of this token is unknown, so the token cannot be verified. */
export class KeysUnavailable extends Error {}

/** A failed fetch, with a reason for the log. */
class KeySetFault extends Error {
  readonly reason: 'status' | 'too_long' | 'malformed' | 'no_usable_keys';
  readonly status: number | undefined;

  constructor(reason: KeySetFault['reason'], status?: number) {
    super(`key set: ${reason}`);
    this.reason = reason;
    this.status = status;
  }
}

/** Minimum time between two fetches that unknown keys cause. */
const cooldownMs = 30_000;
/** Age at which the set is refreshed in the background. The known keys stay in use until then. */
const freshMs = 300_000;
const firstRetryMs = 250;
const maxRetryMs = 30_000;
const fetchTimeoutMs = 2_000;
const maxSetBytes = 65_536;
const maxCandidates = 8;
/** jose throws a `TypeError` for shorter RSA keys. */
const minRsaBits = 2048;

/** By algorithm: the type of Node's key object, and its curve if the type has several. */
const keyTypes: Readonly<Record<string, readonly [type: string, curve?: string]>> = {
  RS256: ['rsa'],
  RS384: ['rsa'],
  RS512: ['rsa'],
  PS256: ['rsa'],
  PS384: ['rsa'],
  PS512: ['rsa'],
  ES256: ['ec', 'prime256v1'],
  ES384: ['ec', 'secp384r1'],
  ES512: ['ec', 'secp521r1'],
  EdDSA: ['ed25519'],
  Ed25519: ['ed25519'],
};

export const asymmetricAlgorithms: readonly string[] = Object.keys(keyTypes);

/**
 * Fetches a published key set (JWKS): at once, then in the background every 5 minutes. Retries a failed fetch with backoff,
 * from 250 ms up to 30 s. The known keys stay in use until a successful fetch replaces them. A timeout, a redirect, a
 * response that is too long and an invalid set are failures.
 */
export function createKeySet(options: KeySetOptions): KeySet {
  const { url, log, metrics, fetch: fetcher = globalThis.fetch, monotonicMs = () => performance.now() } = options;
  const disposal = new AbortController();
  let keys: readonly PublishedKey[] | undefined;
  let failures = 0;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let dueAtMs = Number.POSITIVE_INFINITY;
  let inFlight: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  refreshInBackground();
  return {
    find(selector) {
      // Timers do not run while a serverless platform suspends the process.
      if (monotonicMs() >= dueAtMs) refreshInBackground();
      const matches = (keys ?? []).filter((key) => fits(key, selector));
      return matches.slice(0, maxCandidates).map(({ key }) => key);
    },
    async renew() {
      if (failures === 0 && (inFlight !== undefined || monotonicMs() - triedAtMs >= cooldownMs)) await refresh();
      if (failures > 0) throw new KeysUnavailable();
    },
    isRead: () => keys !== undefined,
    dispose() {
      disposal.abort();
      clearTimeout(timer);
    },
  };

  function refreshInBackground(): void {
    refresh().catch(() => undefined);
  }

  function refresh(): Promise<void> {
    if (disposal.signal.aborted) return Promise.resolve();
    inFlight ??= attempt().finally(() => {
      inFlight = undefined;
    });
    return inFlight;
  }

  /** Never rejects. */
  async function attempt(): Promise<void> {
    clearTimeout(timer);
    triedAtMs = monotonicMs();
    dueAtMs = Number.POSITIVE_INFINITY;
    let cause: Error | undefined;
    try {
      keys = await load(url, fetcher, disposal.signal);
    } catch (error) {
      cause = error instanceof Error ? error : new Error('not an error');
    }
    if (disposal.signal.aborted) return;
    const earlierFailures = failures;
    failures = cause === undefined ? 0 : failures + 1;
    const delayMs = failures === 0 ? freshMs : retryDelayMs(failures);
    dueAtMs = monotonicMs() + delayMs;
    timer = setTimeout(refreshInBackground, delayMs).unref();
    report(earlierFailures, cause);
  }

  /** Logs one line at the start and one at the end of an outage. */
  function report(earlierFailures: number, cause: Error | undefined): void {
    try {
      metrics?.keySetFailing(cause !== undefined);
      if (cause !== undefined && earlierFailures === 0) {
        log.warn('key set cannot be read: the keys known before stay in use', { ...describe(cause), cause });
      }
      if (cause === undefined && earlierFailures > 0) log.warn('key set is read again', { count: earlierFailures });
    } catch {
      // An error in an injected logger must not stop the refresh.
    }
  }
}

function retryDelayMs(failures: number): number {
  const delayMs = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(failures - 1, 20));
  // Jitter, so that instances that started together do not fetch together.
  return delayMs * (0.5 + Math.random() / 2);
}

function describe(cause: Error): { reason: string; status?: number } {
  if (cause instanceof KeySetFault) {
    return { reason: cause.reason, ...(cause.status !== undefined && { status: cause.status }) };
  }
  return { reason: cause.name === 'TimeoutError' ? 'timeout' : 'network' };
}

interface PublishedKey {
  readonly key: KeyObject;
  readonly kid: string | undefined;
  readonly alg: string | undefined;
}

function fits({ key, kid, alg }: PublishedKey, selector: KeySelector): boolean {
  const [type, curve] = keyTypes[selector.alg] ?? [];
  return (
    key.asymmetricKeyType === type &&
    (curve === undefined || key.asymmetricKeyDetails?.namedCurve === curve) &&
    (alg === undefined || alg === selector.alg) &&
    (selector.kid === undefined || kid === selector.kid)
  );
}

async function load(url: string, fetcher: typeof globalThis.fetch, disposed: AbortSignal): Promise<PublishedKey[]> {
  const response = await fetcher(url, {
    redirect: 'error',
    headers: { accept: 'application/json' },
    signal: AbortSignal.any([AbortSignal.timeout(fetchTimeoutMs), disposed]),
  });
  if (response.status !== 200) {
    response.body?.cancel().catch(() => undefined);
    throw new KeySetFault('status', response.status);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > maxSetBytes) throw new KeySetFault('too_long');
    chunks.push(chunk);
  }
  return readSet(Buffer.concat(chunks).toString('utf8'));
}

/** @throws KeySetFault if the text is not a valid key set, or has no usable key. */
function readSet(text: string): PublishedKey[] {
  const entries = parse(text)?.keys;
  if (!Array.isArray(entries) || !entries.every(isRecord)) throw new KeySetFault('malformed');
  // RFC 7517, section 5: entries of unknown types, or with missing or invalid members, are ignored.
  const keys = entries.flatMap((entry) => importKey(entry) ?? []);
  if (keys.length === 0) throw new KeySetFault('no_usable_keys');
  return keys;
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function importKey(entry: Record<string, unknown>): PublishedKey | undefined {
  const { kty, kid, alg, use, key_ops: operations } = entry;
  // Ignore symmetric keys: a published secret is not a secret.
  if (kty === 'oct' || (use !== undefined && use !== 'sig') || (alg !== undefined && typeof alg !== 'string')) return;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return;
  try {
    const key = createPublicKey({ key: entry, format: 'jwk' });
    if (key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < minRsaBits) return;
    return { key, kid: typeof kid === 'string' ? kid : undefined, alg };
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
