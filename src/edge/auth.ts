import { readFileSync } from 'node:fs';
import { anonymous, type Caller, combine } from '../caller.ts';
import { type KeyEntry, readKeyEntries } from '../operator-files.ts';
import type { Log } from '../telemetry.ts';
import { type ApiKeys, createApiKeys } from './api-keys.ts';
import { createJwtVerifier, type JwtOptions, KeysUnavailable } from './jwt.ts';
import { EdgeError } from './outcome.ts';

export interface AuthOptions {
  /** Empty: everybody is the anonymous caller. */
  readonly modes: readonly ('jwt' | 'api-key')[];
  readonly jwt?: Omit<JwtOptions, 'log'> | undefined;
  readonly apiKeysFile?: string | undefined;
  /** On the embedded sandbox only: who sends no token of its own issuer is the anonymous caller. */
  readonly optional?: boolean | undefined;
}

export interface Authenticator {
  /**
   * Who is calling.
   *
   * @throws EdgeError `UNAUTHENTICATED` (401) for no or bad credentials, and for one of a kind that is not in use: who
   *   sends it expects it to count. `OVERLOADED` (503) when nobody can tell, since the keys cannot be read.
   */
  authenticate(headers: Headers): Promise<Caller>;
  /** Merchants that the operator's own entries name, for a check at the start. */
  merchants(): string[];
  /** Applies another content of the operator's file of keys. */
  replaceApiKeys(entries: readonly KeyEntry[]): void;
  dispose(): void;
}

const retryAfterSeconds = 5;

/** @throws Error with a sentence when the operator's file of keys is unusable. */
export function createAuthenticator(options: AuthOptions, log: Log): Authenticator {
  const { modes, jwt, apiKeysFile } = options;
  const verify = modes.includes('jwt') && jwt ? createJwtVerifier({ ...jwt, log }) : undefined;
  const keys: ApiKeys | undefined =
    modes.includes('api-key') && apiKeysFile ? createApiKeys(readKeyEntries(apiKeysFile, readFileSync)) : undefined;

  return {
    async authenticate(headers) {
      if (modes.length === 0) return anonymous;
      const authorization = headers.get('authorization');
      if (options.optional && !isFrom(authorization, jwt?.issuer)) return anonymous;
      const apiKey = headers.get('x-api-key');
      const callers: Caller[] = [];
      if (apiKey !== null) callers.push(keys?.find(apiKey) ?? refuse());
      if (authorization !== null) {
        const [, token] = /^Bearer +([\w.+/=~-]+)$/i.exec(authorization.trim()) ?? [];
        if (token === undefined || verify === undefined) refuse();
        else callers.push(await verify(token).catch(translate));
      }
      const [first, second] = callers;
      if (first === undefined) return refuse();
      return second === undefined ? first : combine(first, second);
    },
    merchants: () => keys?.merchants() ?? [],
    replaceApiKeys: (entries) => keys?.replace(entries),
    dispose: () => undefined,
  };
}

/** Whom a token says it is from, before anything is believed. */
function isFrom(authorization: string | null, issuer: string | undefined): boolean {
  const [, payload] = authorization?.split('.') ?? [];
  return (
    issuer !== undefined &&
    Buffer.from(payload ?? '', 'base64url')
      .toString()
      .includes(JSON.stringify(issuer))
  );
}

function refuse(): never {
  throw new EdgeError('UNAUTHENTICATED', { status: 401, headers: { 'www-authenticate': 'Bearer' } });
}

/** What was wrong with a token is nobody's business but the issuer's. */
function translate(error: unknown): never {
  if (error instanceof KeysUnavailable) {
    throw new EdgeError('OVERLOADED', {
      status: 503,
      headers: { 'retry-after': String(retryAfterSeconds) },
      retryAfterSeconds,
    });
  }
  return refuse();
}
