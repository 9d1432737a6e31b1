/**
 * All error codes. Clients see the key as `extensions.code` or as `CustomerError.code`. `retryable` means that the same
 * request can be sent again safely and may succeed. The table in `docs/errors.md` is generated from this one.
 */
export const codes = {
  BAD_USER_INPUT: { retryable: false, message: 'An argument or a variable is invalid.' },
  UNAUTHENTICATED: { retryable: false, message: 'Valid credentials are required.' },
  FORBIDDEN: { retryable: false, message: 'The caller does not have permission for this.' },
  OPERATION_TOO_COMPLEX: { retryable: false, message: 'The operation exceeds a limit.' },
  OVERLOADED: { retryable: true, message: 'The gateway is overloaded. Retry later.' },
  CLIENT_AUTH_TOKEN_UNAVAILABLE: { retryable: false, message: 'The provider returned no client auth token.' },
  INTERNAL_SERVER_ERROR: { retryable: false, message: 'Unexpected error.' },

  GRAPHQL_PARSE_FAILED: { retryable: false, message: 'The document is not valid GraphQL syntax.' },
  GRAPHQL_VALIDATION_FAILED: { retryable: false, message: 'The document is not valid for the schema.' },
  // Apollo clients compare this message, so it must not change.
  PERSISTED_QUERY_NOT_FOUND: { retryable: false, message: 'PersistedQueryNotFound' },
  PERSISTED_QUERY_ONLY: { retryable: false, message: 'Only persisted documents are allowed.' },

  VALIDATION_FAILED: { retryable: false, message: 'The input is invalid. See `issues`.' },
  ALREADY_EXISTS: { retryable: false, message: 'A customer with this object reference id already exists.' },
  NOT_FOUND: { retryable: false, message: 'The customer does not exist.' },
  OUTCOME_UNKNOWN: {
    retryable: true,
    message: 'The write was sent, but its outcome is unknown. It is safe to send the same request again.',
  },

  RATE_LIMITED: { retryable: true, message: 'Too many requests. Retry later.' },
  UPSTREAM_TIMEOUT: { retryable: true, message: 'The provider did not respond in time.' },
  UPSTREAM_UNAVAILABLE: { retryable: true, message: 'The provider is not available.' },
  UPSTREAM_REJECTED: { retryable: false, message: 'The provider rejected the request.' },
  UPSTREAM_MALFORMED: { retryable: true, message: "The provider's response is not a valid customer." },
  UPSTREAM_MISCONFIGURED: {
    retryable: false,
    message: 'The gateway is misconfigured for the provider. An operator must fix it.',
  },
} as const;

export type ErrorCode = keyof typeof codes;

export interface GatewayErrorOptions {
  /** Shown to clients. Constant text: no values from the request or the provider, no host names, no stack. */
  message?: string;
  /** Whole seconds after which a retry can succeed. Limited to one day. */
  retryAfterSeconds?: number | undefined;
  /** For the log only. */
  cause?: unknown;
}

/** One day. The limit keeps the value within the GraphQL type `Int`. */
const maxRetryAfterSeconds = 86_400;

/** An error that clients may see. `execution/outcome.ts` masks every other error. */
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

  /** graphql-js copies this property to the error that it reports, so most code does not import `graphql`. */
  get extensions(): { code: ErrorCode; retryable: boolean; retryAfterSeconds?: number } {
    const { code, retryable, retryAfterSeconds } = this;
    return retryAfterSeconds === undefined ? { code, retryable } : { code, retryable, retryAfterSeconds };
  }
}

/** An error before execution, with its HTTP status. */
export class RequestError extends GatewayError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The `GraphQLError` of the parser. It has the position in the document. */
  readonly at: unknown;
  /** True if the HTTP request is valid and only its document, variables or operation name are invalid. */
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

/** `OVERLOADED`: status 503 with `Retry-After`. The gateway is draining or sheds load. */
export function overloaded(retryAfterSeconds: number): RequestError {
  return new RequestError('OVERLOADED', {
    status: 503,
    headers: { 'retry-after': String(retryAfterSeconds) },
    retryAfterSeconds,
  });
}
