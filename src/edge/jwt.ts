import {
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWTHeaderParameters,
  jwtVerify,
  SignJWT,
} from 'jose';
import { type Caller, scopes } from '../caller.ts';
import type { Log } from '../telemetry.ts';

export interface JwtOptions {
  readonly issuer: string;
  readonly audience: string;
  /** One of the two: a shared secret, or where the keys are published. */
  readonly keys: { readonly secret: { reveal(): string } } | { readonly url: string };
  readonly merchantClaim: string;
  readonly customerClaim: string;
  readonly log: Log;
  /** For tests. */
  readonly fetch?: typeof globalThis.fetch;
  readonly now?: () => number;
}

/** The source of keys cannot be reached, and the key of this token is not known: nobody can tell whether it is good. */
export class KeysUnavailable extends Error {}

const asymmetric = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const maxTokenLength = 8192;
const clockToleranceSeconds = 30;

/** Reads tokens. The verifier throws whatever is wrong with one; its message is for nobody. */
export function createJwtVerifier(options: JwtOptions): (token: string) => Promise<Caller> {
  const { keys } = options;
  const now = options.now ?? Date.now;
  const keySet = 'url' in keys ? createKeySet(keys.url, options) : undefined;
  return async (token) => {
    if (token.length > maxTokenLength) throw new Error('token is too long');
    // Asked for at each token: it may have been replaced.
    const secret = 'secret' in keys ? new TextEncoder().encode(keys.secret.reveal()) : undefined;
    const rules = {
      issuer: options.issuer,
      audience: options.audience,
      // Named, and never both kinds: a public key must not pass for a shared secret.
      algorithms: secret ? ['HS256', 'HS384', 'HS512'] : asymmetric,
      requiredClaims: ['exp', 'sub'],
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(now()),
    };
    const { payload, protectedHeader } = secret
      ? await jwtVerify(token, secret, rules)
      : await jwtVerify(token, keySet as KeyFinder, rules);
    const { typ } = protectedHeader;
    if (typ !== undefined && !/^(application\/)?(at\+)?jwt$/i.test(typ)) throw new Error('token is of another type');
    return callerOf(payload, options);
  };
}

function callerOf(payload: Readonly<Record<string, unknown>>, { merchantClaim, customerClaim }: JwtOptions): Caller {
  const subject = textClaim(payload, 'sub');
  const customer = textClaim(payload, customerClaim);
  if (subject === undefined) throw new Error('sub is missing');
  const granted = scopesOf(payload);
  return {
    name: subject,
    counted: [`subject ${subject}`],
    scopes: new Set(scopes.filter((scope) => granted.includes(scope))),
    merchant: textClaim(payload, merchantClaim),
    customers: customer !== undefined ? [customer] : granted.includes('customer:any') ? 'any' : 'none',
    barred: false,
    anyDocument: false,
  };
}

/** @throws Error for a claim that is there and is no text, or an empty one: it would bind to nothing. */
function textClaim(payload: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = Object.hasOwn(payload, name) ? payload[name] : undefined;
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value.trim() === '') throw new Error('a claim is no text');
  return value;
}

/** `scope` as OAuth has it, or `scp` or `scopes` as some issuers do. What is neither text nor a list grants nothing. */
function scopesOf(payload: Readonly<Record<string, unknown>>): string[] {
  return ['scope', 'scp', 'scopes'].flatMap((name) => {
    const value = payload[name];
    if (typeof value === 'string') return value.split(' ');
    return name !== 'scope' && Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
  });
}

export interface TokenRequest {
  readonly secret: { reveal(): string };
  readonly issuer: string;
  readonly audience: string;
  readonly subject: string;
  readonly lifeMinutes: number;
  /** Further claims: `scope`, `customer`, … */
  readonly claims: Readonly<Record<string, string>>;
}

/** Makes a token, for development and for the sandbox's own GraphiQL. */
export function signToken({ secret, issuer, audience, subject, lifeMinutes, claims }: TokenRequest): Promise<string> {
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime(`${lifeMinutes}m`)
    .sign(new TextEncoder().encode(secret.reveal()));
}

type KeyFinder = (header: JWTHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>;

/** A key is looked for anew at most this often, whatever tokens come in. */
const cooldownMs = 30_000;
/** After this the set is renewed in the background, while the known keys go on counting. */
const freshMs = 300_000;
const fetchTimeoutMs = 2_000;
const maxSetBytes = 65_536;

/**
 * The published keys. What is known goes on working while its source is down; a source that hangs, redirects, floods or
 * talks nonsense counts as down.
 */
function createKeySet(url: string, { log, fetch: fetcher = globalThis.fetch, now = Date.now }: JwtOptions): KeyFinder {
  let known: ReturnType<typeof createLocalJWKSet> | undefined;
  let fetchedAtMs = Number.NEGATIVE_INFINITY;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let lastFailed = false;
  let underWay: Promise<void> | undefined;

  const renew = (): Promise<void> => {
    underWay ??= load(url, fetcher)
      .then(
        (set) => {
          known = createLocalJWKSet(set);
          fetchedAtMs = now();
          lastFailed = false;
        },
        (cause: unknown) => {
          lastFailed = true;
          log.warn('key set cannot be read', { cause });
        },
      )
      .finally(() => {
        underWay = undefined;
      });
    triedAtMs = now();
    return underWay;
  };
  const find = async (header: JWTHeaderParameters, token: FlattenedJWSInput) => {
    if (known === undefined) throw new errors.JWKSNoMatchingKey();
    return known(header, token);
  };

  return async (header, token) => {
    if (now() - fetchedAtMs > freshMs && now() - triedAtMs > cooldownMs && known !== undefined) void renew();
    try {
      return await find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      if (underWay !== undefined) await underWay;
      else if (now() - triedAtMs > cooldownMs) await renew();
      try {
        return await find(header, token);
      } catch (again) {
        if (lastFailed && again instanceof errors.JWKSNoMatchingKey) throw new KeysUnavailable();
        throw again;
      }
    }
  };
}

async function load(url: string, fetcher: typeof globalThis.fetch): Promise<JSONWebKeySet> {
  const response = await fetcher(url, {
    redirect: 'error',
    headers: { accept: 'application/json' },
    signal: AbortSignal.timeout(fetchTimeoutMs),
  });
  if (response.status !== 200) throw new Error('key set: unexpected status');
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > maxSetBytes) throw new Error('key set is too long');
    chunks.push(chunk);
  }
  const set = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { keys?: unknown } | null;
  if (!Array.isArray(set?.keys)) throw new Error('key set: no keys');
  // A symmetric key that somebody published is a secret no more.
  const keys = set.keys.filter(
    (key): key is JSONWebKeySet['keys'][number] => typeof key === 'object' && key !== null && key.kty !== 'oct',
  );
  if (keys.length === 0) throw new Error('key set: no usable keys');
  return { keys };
}
