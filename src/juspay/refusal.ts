import { z } from 'zod';
import { CustomerInvalidError, type Issue } from '../customers/input.ts';
import { type ErrorCode, GatewayError } from '../errors.ts';
import type { Exchange } from './transport.ts';
import { inputPath } from './wire.ts';

export type CallKind = 'get' | 'create' | 'update';

/**
 * What a failed call says about what happened. `never`: surely not sent. `refused`: the provider says no, and nothing
 * was changed. `unknown`: sent, and nobody told what became of it.
 */
export type Certainty = 'never' | 'refused' | 'unknown';

/** A call that did not succeed, after one attempt. Carries the error that becomes the answer if nobody repeats it. */
export class CallFailure extends Error {
  readonly error: GatewayError;
  readonly certainty: Certainty;
  /** Whether one more attempt can help: for `once`, a second failure of this sort is final. */
  readonly repeat: 'never' | 'once' | 'always';
  /** The least time before one more attempt. */
  readonly pauseMs: number;

  constructor(error: GatewayError, certainty: Certainty, repeat: 'never' | 'once' | 'always', pauseMs = 0) {
    super(error.code, { cause: error.cause });
    this.name = 'CallFailure';
    this.error = error;
    this.certainty = certainty;
    this.repeat = repeat;
    this.pauseMs = pauseMs;
  }
}

/** What an answer says before its body. */
interface Head {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** The provider says that there is no such customer. */
export class NoSuchCustomer extends Error {}

/**
 * The codes that mean something, folded to upper case: those of `error_info.code`, which is the more reliable, and those
 * of `error_code`, which is free text. Either place may hold any of them.
 */
const meanings: Readonly<Record<string, Meaning>> = {
  RESOURCE_NOT_FOUND: 'absent',
  OBJECT_NOT_FOUND: 'absent',
  ALREADY_EXISTS: 'exists',
  UNIQUE: 'exists',
  INVALID_INPUT: 'invalid',
  MISSING_MANDATORY_PARAMETER: 'invalid',
  DUPLICATE_REQUEST: 'busy',
  UNAUTHORIZED: 'misconfigured',
  UNAUTHENTICATED: 'misconfigured',
  ACCESS_DENIED: 'misconfigured',
  BAD_ORIGIN: 'misconfigured',
  CONFIG_ERROR: 'misconfigured',
  GATEWAY_NOT_FOUND: 'misconfigured',
  ACCOUNT_NOT_FOUND: 'misconfigured',
  INVALID_ACCOUNT_DETAILS: 'misconfigured',
  LOCKER_NOT_CONFIGURED: 'misconfigured',
  FEATURE_NOT_ENABLED: 'misconfigured',
  EXPIRED: 'rejected',
  INVALID_ACTION: 'rejected',
  INVALID_REQUEST: 'rejected',
  'INVALID REQUEST': 'rejected',
  'MANDATORY FIELDS ARE MISSING': 'rejected',
  INVALID: 'rejected',
};
/** They mean an unknown merchant where nothing explains them; with `error_info` they are a generic refusal. */
const bareCodes = ['MISSING', 'NULLABLE'];

/** How long another call about the same customer is given to be over. */
const busyPauseMs = 200;

type Meaning = 'absent' | 'exists' | 'invalid' | 'busy' | 'misconfigured' | 'rejected';

const optionalText = z.string().optional().catch(undefined);
const anything = z.unknown().optional();
const ErrorInfo = z.object({
  code: optionalText,
  category: optionalText,
  fields: z.array(z.object({ field_name: optionalText }).catch({})).catch([]),
});
/** Answers of old carry no `error_info`; the vendor's own SDK accepts camelCase, and `error_info` as a JSON text. */
const ErrorBody = z.object({
  status: optionalText,
  error: anything,
  error_code: optionalText,
  errorCode: optionalText,
  error_info: anything,
  errorInfo: anything,
});

interface ProviderError {
  readonly info: z.infer<typeof ErrorInfo> | undefined;
  readonly errorCode: string | undefined;
  readonly status: string | undefined;
}

/** Reads an error body; `undefined` when nothing in it says that it is one. */
function decodeError(body: unknown): ProviderError | undefined {
  const parsed = ErrorBody.safeParse(body);
  if (!parsed.success) return undefined;
  const { status, error, error_code, errorCode, error_info, errorInfo } = parsed.data;
  const told = ErrorInfo.safeParse(parseIfText(error_info ?? errorInfo)).data;
  // One that is empty says nothing: such a block may stand beside a customer.
  const info = told?.code || told?.category ? told : undefined;
  const code = (error_code || errorCode || undefined)?.toUpperCase();
  const failed = /^(error|not_found)$/i.test(status ?? '') || error === true;
  return info || code || failed ? { info, errorCode: code, status: status?.toUpperCase() } : undefined;
}

function parseIfText(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/**
 * What an answer that is no customer means: an error to throw.
 *
 * By status alone: 5xx, 429, 408, 3xx, 401 and 403; a 404 that does not say that there is no such customer is a wrong address.
 * Else by `error_info.code`, by `error_code`, by status. Messages are never read.
 *
 * @param body the parsed JSON, or `undefined` when there is none.
 * @param readable whether the body could be read at all (a compressed one could not, nor an oversized success).
 */
export function refusal(
  kind: CallKind,
  answer: Head & { readonly body: unknown; readonly readable: boolean },
): CallFailure | NoSuchCustomer {
  const { status, body, readable } = answer;
  if (status >= 500 || status === 429) return unavailable(answer);
  // The provider gave up waiting for the request, or for its own work on it: nobody knows which.
  if (status === 408) return new CallFailure(new GatewayError('UPSTREAM_TIMEOUT'), 'unknown', 'always');
  if (status >= 300 && status < 400) return definite('UPSTREAM_MISCONFIGURED');
  // 401 and 403 are about the gateway, whatever else they say.
  if (status === 401 || status === 403) return definite('UPSTREAM_MISCONFIGURED');
  if (!readable) return malformed();
  const error = decodeError(body);
  const meaning = error && meaningOf(error, status);
  if (status < 300 && meaning === undefined) return malformed();
  if (status === 404 && meaning !== 'absent') return definite('UPSTREAM_MISCONFIGURED');
  switch (meaning) {
    case 'absent':
      return kind === 'create' ? definite('UPSTREAM_MISCONFIGURED') : new NoSuchCustomer();
    case 'exists':
      return definite(kind === 'create' ? 'ALREADY_EXISTS' : 'UPSTREAM_REJECTED');
    case 'invalid':
      return kind === 'get' ? definite('UPSTREAM_REJECTED') : invalid(kind, error);
    case 'busy':
      // On a create it may be our own earlier attempt that is in progress.
      return new CallFailure(
        new GatewayError('UPSTREAM_UNAVAILABLE'),
        kind === 'create' ? 'unknown' : 'refused',
        'once',
        busyPauseMs,
      );
    case 'misconfigured':
      return definite('UPSTREAM_MISCONFIGURED');
    default:
      return definite('UPSTREAM_REJECTED');
  }
}

/**
 * What the refusal of a repeated create means: that the reference is taken may be the doing of the attempt before, whatever
 * its answer said.
 */
export function refusalOfRepeat(failure: CallFailure): CallFailure {
  return failure.error.code === 'ALREADY_EXISTS' ? new CallFailure(failure.error, 'unknown', 'never') : failure;
}

/** A proxy that denies the tunnel, or a certificate that is not acceptable: the codes of OpenSSL and of Node. */
const setupCodes =
  /^(PROXY_DENIED|CERT_\w+|\w*_CERT_\w+|CRL_\w+|UNABLE_TO_(GET|VERIFY|DECRYPT|DECODE)_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|INVALID_(CA|PURPOSE)|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)$/;

/** Whether a call failed for how its host, or the gateway, is set up, so that the next one fails too. Nothing was sent. */
export function isMisconfigured(exchange: Exchange): boolean {
  if (exchange.kind !== 'failed' || exchange.sent) return false;
  return isOfSetup(exchange.cause);
}

function isOfSetup(thrown: unknown): boolean {
  const { code, cause } = (thrown ?? {}) as { readonly code?: unknown; readonly cause?: unknown };
  // A certificate of the proxy is the cause of another error.
  return (typeof code === 'string' && setupCodes.test(code)) || (cause !== undefined && isOfSetup(cause));
}

/** What it means that no answer came. */
export function unanswered(exchange: Extract<Exchange, { kind: 'failed' }>): CallFailure {
  const { sent, timedOut, cause } = exchange;
  if (isMisconfigured(exchange)) {
    return new CallFailure(new GatewayError('UPSTREAM_MISCONFIGURED', { cause }), 'never', 'never');
  }
  const error = new GatewayError(timedOut ? 'UPSTREAM_TIMEOUT' : 'UPSTREAM_UNAVAILABLE', { cause });
  return new CallFailure(error, sent ? 'unknown' : 'never', 'always');
}

/** Whether a 2xx body is an error in disguise. */
export function saysError(body: unknown): boolean {
  return decodeError(body) !== undefined;
}

/** A 2xx that is no customer, or not the one asked for: who wrote may have written. */
export function malformed(): CallFailure {
  return new CallFailure(new GatewayError('UPSTREAM_MALFORMED'), 'unknown', 'once');
}

function meaningOf({ info, errorCode = '', status }: ProviderError, httpStatus: number): Meaning | undefined {
  const known = meanings[info?.code?.toUpperCase() ?? ''];
  if (known !== undefined) return known;
  if (info?.category?.toUpperCase() === 'CONFIG_ERROR') return 'misconfigured';
  if (bareCodes.includes(errorCode)) return info === undefined ? 'misconfigured' : 'rejected';
  // Servers of any kind put this into their 404s too; only in a success is it the provider's own.
  return meanings[errorCode] ?? (httpStatus < 300 && status === 'NOT_FOUND' ? 'absent' : undefined);
}

function definite(code: ErrorCode): CallFailure {
  return new CallFailure(new GatewayError(code), 'refused', 'never');
}

function invalid(kind: 'create' | 'update', error: ProviderError | undefined): CallFailure {
  const fields = error?.info?.fields ?? [];
  const paths = fields.flatMap(({ field_name }) => (field_name ? [inputPath(field_name, kind)] : []));
  const issues = new Map<string, Issue>(
    (paths.length > 0 ? paths : [['input']]).map((path) => [
      path.join('.'),
      { path, code: 'REJECTED_BY_PROVIDER', message: 'The provider does not accept this value.' },
    ]),
  );
  return new CallFailure(new CustomerInvalidError([...issues.values()]), 'refused', 'never');
}

function unavailable(answer: Head): CallFailure {
  const { status } = answer;
  const limited = status === 429;
  const askedMs = retryAfterMs(answer);
  const retryAfterSeconds = askedMs === undefined ? undefined : Math.ceil(askedMs / 1000);
  const error = new GatewayError(limited ? 'RATE_LIMITED' : 'UPSTREAM_UNAVAILABLE', { retryAfterSeconds });
  const repeat = limited || (status >= 502 && status <= 504) ? 'always' : status === 500 ? 'once' : 'never';
  return new CallFailure(error, limited ? 'refused' : 'unknown', repeat);
}

/** Longer waits are told as this one: a caller learns no more from a date in a hundred years. */
const maxRetryAfterMs = 86_400_000;

/**
 * What an answer's `Retry-After` asks for: seconds with any number of digits or an HTTP date, on 429 and 503, a day at
 * most; anything else counts as not sent.
 */
export function retryAfterMs({ status, headers }: Head): number | undefined {
  if (status !== 429 && status !== 503) return undefined;
  const text = String(headers['retry-after'] ?? '').trim();
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, maxRetryAfterMs);
  // Date.parse takes much that is no date; an HTTP date begins with the name of a day, and is of GMT even if it does not say so.
  const at = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text.replace(/( GMT)?$/, ' GMT')) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.min(Math.max(0, at - Date.now()), maxRetryAfterMs);
}
