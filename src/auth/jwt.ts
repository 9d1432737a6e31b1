import { decodeProtectedHeader, errors, type JWTVerifyResult, jwtVerify, SignJWT } from 'jose';
import { scopes } from '../customers/access.ts';
import type { Log, Metrics } from '../telemetry/log.ts';
import type { Caller } from './caller.ts';
import { asymmetricAlgorithms, type KeySet } from './key-set.ts';
import { CredentialRefused, type RefusalReason } from './refused-credentials.ts';

export interface JwtOptions {
  readonly issuer: string;
  readonly audience: string;
  /** A shared secret, or the URL of a published key set. */
  readonly keys: { readonly secret: { reveal(): string } } | { readonly url: string };
  readonly merchantClaim: string;
  readonly customerClaim: string;
  /** The claim that must contain `audience`. Default: `aud`. */
  readonly audienceClaim?: string | undefined;
  readonly log: Log;
  readonly metrics?: Metrics | undefined;
  /** Fetches the key set. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** For tests: the wall clock for `exp` and `nbf`, and the monotonic clock of the key set. Both in ms. */
  readonly now?: (() => number) | undefined;
  readonly monotonicMs?: (() => number) | undefined;
}

const symmetricAlgorithms = ['HS256', 'HS384', 'HS512'];
const maxTokenLength = 8192;
const clockToleranceSeconds = 30;

/**
 * Verifies a token and reads its caller.
 *
 * @param keySet the published keys, if `options.keys` is not a secret.
 * @throws CredentialRefused if the token is not accepted.
 * @throws KeysUnavailable if the key set cannot be read and the key of this token is unknown.
 */
export async function verifyToken(token: string, keySet: KeySet | undefined, options: JwtOptions): Promise<Caller> {
  const { keys, now = Date.now } = options;
  // Allow one kind of algorithm only: a public key must not be accepted as an HMAC secret.
  const algorithms = keySet ? [...asymmetricAlgorithms] : symmetricAlgorithms;
  const { alg, kid } = readHeader(token, algorithms);
  const rules = {
    issuer: options.issuer,
    algorithms,
    requiredClaims: ['exp', 'sub'],
    clockTolerance: clockToleranceSeconds,
    currentDate: new Date(now()),
  };
  const check = (key: VerificationKey) => jwtVerify(token, key, rules);
  const { payload, protectedHeader } =
    'secret' in keys
      ? await checkWithAny([new TextEncoder().encode(keys.secret.reveal())], check)
      : await checkWithSet(keySet as KeySet, { alg, kid }, check);
  const { typ } = protectedHeader;
  if (typ !== undefined && !/^(application\/)?(at\+)?jwt$/i.test(typ)) throw new CredentialRefused('type');
  return callerOf(payload, options);
}

type VerificationKey = Parameters<typeof jwtVerify>[1] & object;
type Check = (key: VerificationKey) => Promise<JWTVerifyResult>;

function readHeader(token: string, algorithms: readonly string[]): { alg: string; kid: string | undefined } {
  if (token.length > maxTokenLength) throw new CredentialRefused('malformed');
  let header: Readonly<Record<string, unknown>>;
  try {
    header = decodeProtectedHeader(token);
  } catch {
    throw new CredentialRefused('malformed');
  }
  const { alg, kid, typ } = header;
  if (typeof alg !== 'string' || !algorithms.includes(alg)) throw new CredentialRefused('algorithm');
  if (kid !== undefined && typeof kid !== 'string') throw new CredentialRefused('malformed');
  if (typ !== undefined && typeof typ !== 'string') throw new CredentialRefused('malformed');
  return { alg, kid };
}

async function checkWithSet(
  keySet: KeySet,
  selector: { alg: string; kid: string | undefined },
  check: Check,
): Promise<JWTVerifyResult> {
  const candidates = keySet.find(selector);
  try {
    return await checkWithAny(candidates, check);
  } catch (error) {
    // Without a `kid`, a newer key may have made the signature, so renew the key set.
    const isKnown = candidates.length > 0 && selector.kid !== undefined;
    const isKeyMissing =
      error instanceof CredentialRefused && (error.reason === 'signature' || error.reason === 'unknown_key');
    if (isKnown || !isKeyMissing) throw error;
    await keySet.renew();
    const renewed = keySet.find(selector);
    if (renewed.every((key) => candidates.includes(key))) throw error;
    return await checkWithAny(renewed, check);
  }
}

/** Tries the keys in order until one verifies the signature. */
async function checkWithAny(candidates: readonly VerificationKey[], check: Check): Promise<JWTVerifyResult> {
  for (const key of candidates) {
    try {
      return await check(key);
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw translate(error);
    }
  }
  throw new CredentialRefused(candidates.length === 0 ? 'unknown_key' : 'signature');
}

/** Maps the errors of jose to reasons. Passes on unexpected errors. */
function translate(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return new CredentialRefused('expired');
  if (error instanceof errors.JWTClaimValidationFailed) {
    const reasons: Partial<Record<string, RefusalReason>> = { iss: 'issuer', nbf: 'not_yet_valid' };
    const isWrong = error.claim === 'iss' || error.reason === 'check_failed';
    return new CredentialRefused((isWrong && reasons[error.claim]) || 'claim');
  }
  // Such as malformed parts, an unencoded payload, or an unsupported critical header.
  return error instanceof errors.JOSEError ? new CredentialRefused('malformed') : error;
}

function callerOf(payload: Readonly<Record<string, unknown>>, options: JwtOptions): Caller {
  const { merchantClaim, customerClaim, audience, audienceClaim = 'aud' } = options;
  const audiences = Object.hasOwn(payload, audienceClaim) ? payload[audienceClaim] : undefined;
  if (audiences !== audience && !(Array.isArray(audiences) && audiences.includes(audience))) {
    throw new CredentialRefused('audience');
  }
  const subject = textClaim(payload, 'sub');
  const customer = textClaim(payload, customerClaim);
  if (subject === undefined) throw new CredentialRefused('claim');
  const granted = scopesOf(payload);
  return {
    name: subject,
    kind: 'jwt',
    credentialKeys: [`subject ${subject}`],
    scopes: new Set(scopes.filter((scope) => granted.includes(scope))),
    merchant: textClaim(payload, merchantClaim),
    customers: customer !== undefined ? [customer] : granted.includes('customer:any') ? 'any' : 'none',
    denied: false,
    anyDocument: false,
  };
}

/**
 * @throws CredentialRefused if the claim is present but empty or not a string. Numbers are refused too: one above 2^53 is
 *   rounded during parsing, and could bind to another customer.
 */
function textClaim(payload: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = Object.hasOwn(payload, name) ? payload[name] : undefined;
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value.trim() === '') throw new CredentialRefused('claim');
  return value;
}

/** Reads the OAuth claim `scope`, and `scp` and `scopes` of some issuers. Ignores values that are not a string or a list. */
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

/** Creates a signed token for development and for GraphiQL on the sandbox. */
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
