import { readFileSync } from 'node:fs';
import { type KeyEntry, readKeyEntries } from '../config/operator-files.ts';
import { RequestError } from '../errors.ts';
import { type Correlation, correlationOf, type Log, type Metrics } from '../telemetry/log.ts';
import { type ApiKeys, createApiKeys } from './api-keys.ts';
import { anonymous, type Caller, combine } from './caller.ts';
import { createJwtVerifier, type JwtOptions } from './jwt.ts';
import { KeysUnavailable } from './key-set.ts';
import { CredentialRefused } from './refused-credentials.ts';

export interface AuthOptions {
  /** Empty: everybody is the anonymous caller. */
  readonly modes: readonly ('jwt' | 'api-key')[];
  readonly jwt?: Omit<JwtOptions, 'log' | 'metrics'> | undefined;
  readonly apiKeysFile?: string | undefined;
  /** Fetches the key set. The platform's own by default, which an embedding program may replace. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** On the embedded sandbox only: a request without a token of its own issuer comes from the anonymous caller. */
  readonly optional?: boolean | undefined;
}

export interface Authenticator {
  /**
   * Identifies the caller.
   *
   * @param correlation the correlation fields of the log line that a refused credential leaves.
   * @throws RequestError `UNAUTHENTICATED` (401) for missing or invalid credentials, and for a key or a bearer token of a kind
   *   that `AUTH_MODE` does not name. `OVERLOADED` (503) when the keys that would decide cannot be read.
   */
  authenticate(headers: Headers, correlation?: Correlation): Promise<Caller>;
  /** Whether credentials can be checked. */
  isReady(): boolean;
  /** Merchants that the operator's own entries name, for a check at the start. */
  merchants(): string[];
  /** Applies another content of the operator's file of keys. */
  replaceApiKeys(entries: readonly KeyEntry[]): void;
  dispose(): void;
}

/** The first retries of the key set are faster than this. */
const retryAfterSeconds = 1;

/** @throws Error with a sentence when the operator's file of keys is unusable. */
export function createAuthenticator(options: AuthOptions, log: Log, metrics?: Metrics): Authenticator {
  const { modes, jwt, apiKeysFile } = options;
  const keys: ApiKeys | undefined =
    modes.includes('api-key') && apiKeysFile ? createApiKeys(readKeyEntries(apiKeysFile, readFileSync)) : undefined;
  // Last: it starts to fetch the key set.
  const verifier =
    modes.includes('jwt') && jwt ? createJwtVerifier({ fetch: options.fetch, ...jwt, log, metrics }) : undefined;

  return {
    async authenticate(headers, correlation) {
      if (modes.length === 0) return anonymous;
      if (options.optional && !isFrom(headers.get('authorization'), jwt?.issuer)) return anonymous;
      try {
        return await identify(headers);
      } catch (error) {
        if (error instanceof CredentialRefused) report(error, correlation);
        throw translate(error);
      }
    },
    isReady: () => verifier?.isReady() ?? true,
    merchants: () => keys?.merchants() ?? [],
    replaceApiKeys: (entries) => keys?.replace(entries),
    dispose: () => verifier?.dispose(),
  };

  function report({ reason }: CredentialRefused, correlation: Correlation | undefined): void {
    metrics?.credentialRefused(reason);
    log.warn('credential refused', { ...(correlation && correlationOf(correlation)), reason });
  }

  async function identify(headers: Headers): Promise<Caller> {
    const callers: Caller[] = [];
    const apiKey = headers.get('x-api-key')?.trim();
    if (apiKey) {
      if (keys === undefined) throw new CredentialRefused('unsupported');
      const caller = keys.find(apiKey);
      if (caller === undefined) throw new CredentialRefused('unknown_key');
      callers.push(caller);
    }
    const token = bearerOf(headers.get('authorization'));
    if (token) {
      if (verifier === undefined) throw new CredentialRefused('unsupported');
      if (!/^[\w.+/=~-]+$/.test(token)) throw new CredentialRefused('malformed');
      callers.push(await verifier.verify(token));
    }
    const [first, second] = callers;
    if (first === undefined) throw new CredentialRefused('missing');
    return second === undefined ? first : combine(first, second);
  }
}

/** What follows the scheme `Bearer`. Other schemes, such as `Basic` of a proxy, are no credentials for the gateway. */
function bearerOf(authorization: string | null): string | undefined {
  const [, token] = /^Bearer(?:\s+(.*))?$/is.exec(authorization?.trim() ?? '') ?? [];
  return token;
}

/** Whether a token names this issuer, before anything is verified. */
function isFrom(authorization: string | null, issuer: string | undefined): boolean {
  const [, payload] = authorization?.split('.') ?? [];
  return (
    issuer !== undefined &&
    Buffer.from(payload ?? '', 'base64url')
      .toString()
      .includes(JSON.stringify(issuer))
  );
}

/** The reason stays in the log. Any other error is a fault of the program, and must not look like a refusal. */
function translate(error: unknown): unknown {
  if (error instanceof CredentialRefused) {
    return new RequestError('UNAUTHENTICATED', { status: 401, headers: { 'www-authenticate': 'Bearer' } });
  }
  if (!(error instanceof KeysUnavailable)) return error;
  const headers = { 'retry-after': String(retryAfterSeconds) };
  return new RequestError('OVERLOADED', { status: 503, headers, retryAfterSeconds });
}
