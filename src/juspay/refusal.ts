import { z } from 'zod';
import { CustomerInvalidError, type Issue } from '../customers/input.ts';
import type { CallKind } from '../customers/record.ts';
import { type ErrorCode, GatewayError } from '../errors.ts';
import type { Exchange } from './exchange.ts';
import { inputPath } from './wire.ts';

/**
 * The effect of a failed call. `unsent`: it was not sent. `refused`: definite failure, the provider changed nothing.
 * `unknown`: ambiguous outcome, it was sent and may have taken effect.
 */
export type Certainty = 'unsent' | 'refused' | 'unknown';

/** The failure of one attempt. Carries the error for the client, in case the call is not repeated. */
export class CallFailure extends Error {
  readonly error: GatewayError;
  readonly certainty: Certainty;
  /** Whether to repeat the call. `once`: a second failure of the same {@link kind} is final. */
  readonly repeat: 'never' | 'once' | 'always';
  /** Minimum time before the next attempt. */
  readonly pauseMs: number;

  constructor(error: GatewayError, certainty: Certainty, repeat: 'never' | 'once' | 'always', pauseMs = 0) {
    super(error.code, { cause: error.cause });
    this.name = 'CallFailure';
    this.error = error;
    this.certainty = certainty;
    this.repeat = repeat;
    this.pauseMs = pauseMs;
  }

  get kind(): string {
    return `${this.error.code} ${this.certainty}`;
  }
}

/** Status and headers of a response. */
interface Head {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** The provider reports that there is no such customer. */
export class NoSuchCustomer extends Error {}

/**
 * The known error codes, in upper case: of `error_info.code`, which is more reliable, and of `error_code`, which is free text.
 * Either field may contain any of them.
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
  INTERNAL_ERROR: 'failed',
};
/** Without `error_info` these codes mean an unknown merchant; with it they are a generic refusal. */
const bareCodes = ['MISSING', 'NULLABLE'];

/** Time for another call about the same customer to finish. */
const busyPauseMs = 200;

type Meaning = 'absent' | 'exists' | 'invalid' | 'busy' | 'misconfigured' | 'rejected' | 'failed';

const optionalText = z.string().optional().catch(undefined);
const anything = z.unknown().optional();
const ErrorInfo = z.object({
  code: optionalText,
  category: optionalText,
  fields: z.array(z.object({ field_name: optionalText }).catch({})).catch([]),
});
/** Older responses have no `error_info`. The vendor's SDK accepts camelCase, and `error_info` as JSON text. */
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

/** Parses an error body. Returns `undefined` if it has no sign of an error. */
function decodeError(body: unknown): ProviderError | undefined {
  const parsed = ErrorBody.safeParse(body);
  if (!parsed.success) return undefined;
  const { status, error, error_code, errorCode, error_info, errorInfo } = parsed.data;
  const parsedInfo = ErrorInfo.safeParse(parseIfText(error_info ?? errorInfo)).data;
  // Ignore an empty `error_info`: some successful responses contain one.
  const info = parsedInfo?.code || parsedInfo?.category ? parsedInfo : undefined;
  const code = (error_code || errorCode || undefined)?.toUpperCase();
  const failed = /^(error|internal_error|not_found)$/i.test(status ?? '') || error === true;
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

/** Whether the status alone decides what a response means, so that its body is not needed. */
export function isStatusEnough(status: number): boolean {
  return refusalByStatus({ status, headers: {} }) !== undefined;
}

/** The failure of a response whose status alone decides what it means; `undefined` for other statuses. */
function refusalByStatus(head: Head): CallFailure | undefined {
  const { status } = head;
  if (status >= 500 || status === 429) return unavailable(head);
  // The provider timed out, either while it received the request or while it processed it.
  if (status === 408) return new CallFailure(new GatewayError('UPSTREAM_TIMEOUT'), 'unknown', 'always');
  if (status >= 300 && status < 400) return definite('UPSTREAM_MISCONFIGURED');
  // 401 and 403 concern the gateway's credentials. Their codes do not matter.
  return status === 401 || status === 403 ? definite('UPSTREAM_MISCONFIGURED') : undefined;
}

/**
 * Maps a response without a customer to the error to throw.
 *
 * For some statuses the body does not matter ({@link isStatusEnough}). A 404 that does not report a missing customer means a wrong base
 * URL. Otherwise `error_info.code` decides, then `error_code`, then the status. Messages are never read.
 *
 * @param answer.body the parsed JSON; `undefined` if there is none.
 * @param answer.readable whether the body could be read. A compressed body or an oversized success cannot.
 */
export function refusal(
  kind: CallKind,
  answer: Head & { readonly body: unknown; readonly readable: boolean },
): CallFailure | NoSuchCustomer {
  const { status, body, readable } = answer;
  const decided = refusalByStatus(answer);
  if (decided !== undefined) return decided;
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
      // For a create, the request in progress may be our earlier attempt.
      return new CallFailure(
        new GatewayError('UPSTREAM_UNAVAILABLE'),
        kind === 'create' ? 'unknown' : 'refused',
        'once',
        busyPauseMs,
      );
    case 'misconfigured':
      return definite('UPSTREAM_MISCONFIGURED');
    case 'failed':
      // As the same error with the status 500. A 4xx is definite whatever its code is.
      return status < 300 ? unavailable({ ...answer, status: 500 }) : definite('UPSTREAM_REJECTED');
    default:
      return definite('UPSTREAM_REJECTED');
  }
}

/**
 * Adjusts the refusal of a repeated create: `ALREADY_EXISTS` is ambiguous, because the previous attempt may have created the
 * customer even if its response was an error.
 */
export function refusalOfRepeat(failure: CallFailure): CallFailure {
  return failure.error.code === 'ALREADY_EXISTS' ? new CallFailure(failure.error, 'unknown', 'never') : failure;
}

/** The error codes of a proxy that denies the tunnel, and of invalid certificates in OpenSSL and Node. */
const setupCodes =
  /^(PROXY_DENIED|CERT_\w+|\w*_CERT_\w+|CRL_\w+|UNABLE_TO_(GET|VERIFY|DECRYPT|DECODE)_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|INVALID_(CA|PURPOSE)|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)$/;

/** Whether a call failed because of the setup of its host or of the gateway. Nothing was sent, and repeats fail too. */
export function isMisconfigured(exchange: Exchange): boolean {
  if (exchange.kind !== 'failure' || exchange.sent) return false;
  return hasSetupCode(exchange.cause);
}

function hasSetupCode(thrown: unknown): boolean {
  const { code, cause } = (thrown ?? {}) as { readonly code?: unknown; readonly cause?: unknown };
  // An error about the proxy's certificate is the `cause` of another error.
  return (typeof code === 'string' && setupCodes.test(code)) || (cause !== undefined && hasSetupCode(cause));
}

/** Maps an attempt without a response to its failure. */
export function transportFailure(exchange: Extract<Exchange, { kind: 'failure' }>): CallFailure {
  const { sent, timedOut, cause } = exchange;
  if (isMisconfigured(exchange)) {
    return new CallFailure(new GatewayError('UPSTREAM_MISCONFIGURED', { cause }), 'unsent', 'never');
  }
  const error = new GatewayError(timedOut ? 'UPSTREAM_TIMEOUT' : 'UPSTREAM_UNAVAILABLE', { cause });
  return new CallFailure(error, sent ? 'unknown' : 'unsent', 'always');
}

/** Whether the body of a 2xx is an error. Customers have none of the names, so that the schemas are not tried: 1 µs. */
export function isErrorBody(body: unknown): boolean {
  return hasErrorName(body) && decodeError(body) !== undefined;
}

/** The names that `decodeError` reads. */
function hasErrorName(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return false;
  const { status, error, error_code, errorCode, error_info, errorInfo } = body as Record<string, unknown>;
  if (status !== undefined || error !== undefined || error_code !== undefined) return true;
  return errorCode !== undefined || error_info !== undefined || errorInfo !== undefined;
}

/** The failure for a 2xx without the requested customer. A write may have taken effect. */
export function malformed(): CallFailure {
  return new CallFailure(new GatewayError('UPSTREAM_MALFORMED'), 'unknown', 'once');
}

function meaningOf({ info, errorCode = '', status }: ProviderError, httpStatus: number): Meaning | undefined {
  const known = meanings[info?.code?.toUpperCase() ?? ''];
  if (known !== undefined) return known;
  const category = info?.category?.toUpperCase();
  if (category === 'CONFIG_ERROR') return 'misconfigured';
  if (bareCodes.includes(errorCode)) return info === undefined ? 'misconfigured' : 'rejected';
  const meaning = meanings[errorCode];
  if (meaning !== undefined) return meaning;
  if (category === 'SERVER_ERROR' || status === 'INTERNAL_ERROR') return 'failed';
  // Other servers use this status in their 404s too. In a 2xx it comes from the provider.
  return httpStatus < 300 && status === 'NOT_FOUND' ? 'absent' : undefined;
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

/** Upper bound of `Retry-After`: one day. */
const maxRetryAfterMs = 86_400_000;

/**
 * Parses `Retry-After` of a 429 or 503: seconds with any number of digits, or an HTTP date.
 *
 * @returns the time in ms, at most a day; `undefined` for other statuses and for other values.
 */
export function retryAfterMs({ status, headers }: Head): number | undefined {
  if (status !== 429 && status !== 503) return undefined;
  // A proxy can add a header of its own, so that there are two.
  const text = [headers['retry-after'] ?? ''].flat().at(0)?.trim() ?? '';
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, maxRetryAfterMs);
  // Date.parse accepts many other texts. An HTTP date begins with the name of a day, and is in GMT even without the suffix.
  const at = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text.replace(/( GMT)?$/, ' GMT')) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.min(Math.max(0, at - Date.now()), maxRetryAfterMs);
}
