import { readFileSync } from 'node:fs';
import { type KeyEntry, readKeyEntries } from '../config/operator-files.ts';
import { RequestError } from '../errors.ts';
import { type Correlation, correlationOf, type Log, type Metrics } from '../telemetry/log.ts';
import { type ApiKeys, createApiKeys } from './api-keys.ts';
import { anonymous, type Caller, combine, sandboxAnonymous } from './caller.ts';
import type { JwtOptions } from './jwt.ts';
import { KeysUnavailable } from './key-set.ts';
import { CredentialRefused } from './refused-credentials.ts';
import { createJwtVerifier } from './verifier.ts';

export interface AuthOptions {
  /** If empty, every request comes from the anonymous caller. */
  readonly modes: readonly ('jwt' | 'api-key')[];
  readonly jwt?: Omit<JwtOptions, 'log' | 'metrics'> | undefined;
  readonly apiKeysFile?: string | undefined;
  /** Fetches the key set. Default: `globalThis.fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** For the embedded sandbox only. A request without a token of the configured issuer comes from the anonymous caller. */
  readonly optional?: boolean | undefined;
  /** Whether the provider is the embedded sandbox. */
  readonly isSandbox?: boolean | undefined;
}

/** Reads the headers of a request. Names are in lower case. `Headers` is one. */
export interface HeaderReader {
  get(name: string): string | null | undefined;
}

export interface Authenticator {
  /**
   * Identifies the caller. Returns a promise only for a token, whose verification takes one, and otherwise throws directly.
   *
   * @param correlation correlation fields for the log line about a refused credential.
   * @throws RequestError `UNAUTHENTICATED` (401) for missing or invalid credentials, and for credentials of a kind that
   *   `AUTH_MODE` does not enable. `OVERLOADED` (503) if the key set cannot be read and the key of the token is unknown.
   */
  authenticate(headers: HeaderReader, correlation?: Correlation): Caller | Promise<Caller>;
  /** Whether credentials can be verified. */
  isReady(): boolean;
  /** Merchant ids of all API key entries, for the check at startup. */
  merchants(): string[];
  /** Replaces the entries of the API key file. */
  replaceApiKeys(entries: readonly KeyEntry[]): void;
  dispose(): void;
}

/** Longer than the first retry delays of the key set. */
const retryAfterSeconds = 1;

/** @throws Error with a message for the operator if the API key file is unusable. */
export function createAuthenticator(options: AuthOptions, log: Log, metrics?: Metrics): Authenticator {
  const { modes, jwt, apiKeysFile } = options;
  const keys: ApiKeys | undefined =
    modes.includes('api-key') && apiKeysFile ? createApiKeys(readKeyEntries(apiKeysFile, readFileSync)) : undefined;
  // Created last, because it starts to fetch the key set.
  const verifier =
    modes.includes('jwt') && jwt ? createJwtVerifier({ fetch: options.fetch, ...jwt, log, metrics }) : undefined;

  const withoutCredentials = options.isSandbox ? sandboxAnonymous : anonymous;

  return {
    authenticate(headers, correlation) {
      if (modes.length === 0) return withoutCredentials;
      if (options.optional && !isFrom(headers.get('authorization'), jwt?.issuer)) return withoutCredentials;
      const refuse = (error: unknown): never => {
        if (error instanceof CredentialRefused) report(error, correlation);
        throw translate(error);
      };
      try {
        const caller = identify(headers);
        return caller instanceof Promise ? caller.catch(refuse) : caller;
      } catch (error) {
        return refuse(error);
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

  function identify(headers: HeaderReader): Caller | Promise<Caller> {
    const apiKey = headers.get('x-api-key')?.trim();
    const keyCaller = apiKey ? findByKey(apiKey) : undefined;
    const token = bearerOf(headers.get('authorization'));
    if (!token) {
      if (keyCaller === undefined) throw new CredentialRefused('missing');
      return keyCaller;
    }
    if (verifier === undefined) throw new CredentialRefused('unsupported');
    if (!/^[\w.+/=~-]+$/.test(token)) throw new CredentialRefused('malformed');
    const verified = verifier.verify(token);
    return keyCaller === undefined ? verified : verified.then((caller) => combine(keyCaller, caller));
  }

  function findByKey(apiKey: string): Caller {
    if (keys === undefined) throw new CredentialRefused('unsupported');
    const caller = keys.find(apiKey);
    if (caller === undefined) throw new CredentialRefused('unknown_key');
    return caller;
  }
}

/** The token of the scheme `Bearer`. Ignores other schemes, such as `Basic` for a proxy. */
function bearerOf(authorization: string | null | undefined): string | undefined {
  if (authorization == null) return undefined;
  const [, token] = /^Bearer(?:\s+(.*))?$/is.exec(authorization.trim()) ?? [];
  return token;
}

/** Whether the unverified payload of the token contains this issuer. */
function isFrom(authorization: string | null | undefined, issuer: string | undefined): boolean {
  const [, payload] = authorization?.split('.') ?? [];
  return (
    issuer !== undefined &&
    Buffer.from(payload ?? '', 'base64url')
      .toString()
      .includes(JSON.stringify(issuer))
  );
}

/** Hides the refusal reason from the client. Passes on unexpected errors, which must not become a 401. */
function translate(error: unknown): unknown {
  if (error instanceof CredentialRefused) {
    return new RequestError('UNAUTHENTICATED', { status: 401, headers: { 'www-authenticate': 'Bearer' } });
  }
  if (!(error instanceof KeysUnavailable)) return error;
  const headers = { 'retry-after': String(retryAfterSeconds) };
  return new RequestError('OVERLOADED', { status: 503, headers, retryAfterSeconds });
}
