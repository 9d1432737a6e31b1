import { createPublicKey, type KeyObject } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Log, Metrics } from '../telemetry/log.ts';

/** The part of a token's header that selects its key. */
export interface KeySelector {
  readonly alg: string;
  readonly kid?: string | undefined;
}

export interface KeySet {
  /** The known keys that may have signed a token with this header, in published order, 8 at most. */
  find(selector: KeySelector): KeyObject[];
  /**
   * Fetches the set again for a token whose key is not known, at most once in 30 s.
   *
   * @throws KeysUnavailable while the set cannot be read.
   */
  renew(): Promise<void>;
  /** Whether the set was read at least once. */
  isRead(): boolean;
  dispose(): void;
}

export interface KeySetOptions {
  readonly url: string;
  readonly log: Log;
  readonly metrics?: Metrics | undefined;
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** A monotonic clock, in ms. A wall clock that is set back must not postpone a renewal. */
  readonly monotonicMs?: (() => number) | undefined;
}

/** The key set cannot be read, and the key of this token is not known: the token can be neither accepted nor refused. */
export class KeysUnavailable extends Error {}

/** Why a fetch failed, as a name for the log. */
class KeySetFault extends Error {
  readonly reason: 'status' | 'too_long' | 'malformed' | 'no_usable_keys';
  readonly status: number | undefined;

  constructor(reason: KeySetFault['reason'], status?: number) {
    super(`key set: ${reason}`);
    this.reason = reason;
    this.status = status;
  }
}

/** Minimum time between two fetches that unknown keys cause, whatever tokens come in. */
const cooldownMs = 30_000;
/** Age at which the set is refreshed in the background. The known keys stay in use meanwhile. */
const freshMs = 300_000;
const firstRetryMs = 250;
const maxRetryMs = 30_000;
const fetchTimeoutMs = 2_000;
const maxSetBytes = 65_536;
const maxCandidates = 8;
/** Shorter RSA keys are refused by the verifier as a programming fault. */
const minRsaBits = 2048;

/** `kty` by algorithm: the type of Node's key object, and its curve where the type has several. */
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
 * The published keys. Fetched at once, then in the background: every 5 minutes, and with a growing backoff (250 ms at
 * first, 30 s at most) while that fails. Keys that were read stay in use until another set replaces them. A source that
 * hangs, redirects, sends too much or sends an invalid set counts as failing.
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
      // Timers stand still in a process that is suspended between requests.
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

  /** The start and the end of an outage are one line each. */
  function report(earlierFailures: number, cause: Error | undefined): void {
    try {
      metrics?.keySetFailing(cause !== undefined);
      if (cause !== undefined && earlierFailures === 0) {
        log.warn('key set cannot be read: the keys known before stay in use', { ...describe(cause), cause });
      }
      if (cause === undefined && earlierFailures > 0) log.warn('key set is read again', { count: earlierFailures });
    } catch {
      // A log of the embedding program that throws must not stop the renewal.
    }
  }
}

function retryDelayMs(failures: number): number {
  const delayMs = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(failures - 1, 20));
  // Jitter: many instances that started together must not fetch together.
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

/** @throws KeySetFault for what is no set of JSON objects, and for a set without a key that can verify a signature. */
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
  // A symmetric key that was published is no secret any more.
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
