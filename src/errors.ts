/**
 * Every way to fail, in one table. Clients see the key as `extensions.code` or as `CustomerError.code`; `retryable`
 * says that sending the very same request again can help and cannot do harm. README's error table is checked against it.
 */
export const codes = {
  BAD_USER_INPUT: { retryable: false, message: 'An argument or a variable is not acceptable.' },
  UNAUTHENTICATED: { retryable: false, message: 'Valid credentials are required.' },
  FORBIDDEN: { retryable: false, message: 'The caller may not do this.' },
  OPERATION_TOO_COMPLEX: { retryable: false, message: 'The operation asks for more than one operation may.' },
  OVERLOADED: { retryable: true, message: 'The gateway takes no more operations at the moment. Send it again later.' },
  CLIENT_AUTH_TOKEN_UNAVAILABLE: { retryable: false, message: 'The provider gave no client auth token.' },
  INTERNAL_SERVER_ERROR: { retryable: false, message: 'Unexpected error.' },

  GRAPHQL_PARSE_FAILED: { retryable: false, message: 'The document is not valid GraphQL syntax.' },
  GRAPHQL_VALIDATION_FAILED: { retryable: false, message: 'The document does not fit the schema.' },
  // Clients of Apollo's protocol go by this very message.
  PERSISTED_QUERY_NOT_FOUND: { retryable: false, message: 'PersistedQueryNotFound' },
  PERSISTED_QUERY_ONLY: { retryable: false, message: 'Only persisted documents are run here.' },

  VALIDATION_FAILED: { retryable: false, message: 'The input is not acceptable; see `issues`.' },
  ALREADY_EXISTS: { retryable: false, message: 'A customer with this object reference id exists already.' },
  NOT_FOUND: { retryable: false, message: 'There is no such customer.' },
  OUTCOME_UNKNOWN: {
    retryable: true,
    message: 'The write was sent and may or may not have happened. Sending the very same request again is safe.',
  },

  RATE_LIMITED: { retryable: true, message: 'Too many requests. Send it again later.' },
  UPSTREAM_TIMEOUT: { retryable: true, message: 'The provider did not answer in time.' },
  UPSTREAM_UNAVAILABLE: { retryable: true, message: 'The provider is not available.' },
  UPSTREAM_REJECTED: { retryable: false, message: 'The provider refused the request.' },
  UPSTREAM_MALFORMED: { retryable: true, message: 'The provider answered with something that is no customer.' },
  UPSTREAM_MISCONFIGURED: {
    retryable: false,
    message: 'The gateway is not set up correctly for the provider. An operator must act.',
  },
} as const;

export type ErrorCode = keyof typeof codes;

export interface GatewayErrorOptions {
  /** Written for the client: constant text, never a value of the caller's, the provider's words, a host or a stack. */
  message?: string;
  /** Whole seconds after which a repeat can succeed; a day at most is told. */
  retryAfterSeconds?: number | undefined;
  /** For the log only. */
  cause?: unknown;
}

/** A day: no client waits longer, and every number stays within its GraphQL type. */
const maxRetryAfterSeconds = 86_400;

/** The one error that is meant to be seen. Everything else is masked at the edge. */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, options: GatewayErrorOptions = {}) {
    super(options.message ?? codes[code].message, { cause: options.cause });
    this.name = 'GatewayError';
    this.code = code;
    const { retryAfterSeconds } = options;
    this.retryAfterSeconds =
      retryAfterSeconds === undefined ? undefined : Math.min(retryAfterSeconds, maxRetryAfterSeconds);
  }

  get retryable(): boolean {
    return codes[this.code].retryable;
  }

  /** graphql-js copies this onto the error it reports, so most rooms never name the graphql package. */
  get extensions(): { code: ErrorCode; retryable: boolean; retryAfterSeconds?: number } {
    const { code, retryable, retryAfterSeconds } = this;
    return retryAfterSeconds === undefined ? { code, retryable } : { code, retryable, retryAfterSeconds };
  }
}

/** An error that is raised before anything is executed, with its HTTP status. */
export class RequestError extends GatewayError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The parser's error, a `GraphQLError`, for its position in the document. */
  readonly at: unknown;
  /** Whether the HTTP request is valid, so that only its document, variables or operation name are not. */
  readonly inDocument: boolean;

  constructor(
    code: ErrorCode,
    options: {
      status?: number;
      message?: string;
      headers?: Readonly<Record<string, string>>;
      retryAfterSeconds?: number;
      at?: unknown;
      inDocument?: boolean;
    } = {},
  ) {
    super(code, options);
    this.name = 'RequestError';
    this.status = options.status ?? 400;
    this.headers = options.headers ?? {};
    this.at = options.at;
    this.inDocument = options.inDocument ?? false;
  }
}

/** 503 with `Retry-After`: the gateway is draining or takes no more operations at the moment. */
export function overloaded(retryAfterSeconds: number): RequestError {
  return new RequestError('OVERLOADED', {
    status: 503,
    headers: { 'retry-after': String(retryAfterSeconds) },
    retryAfterSeconds,
  });
}
