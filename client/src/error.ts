import type { ErrorCode } from '../../src/errors.ts';

/** Failures between the app and the gateway. The outcome of a write is ambiguous. A retry is safe. */
export type TransportErrorCode =
  /** The network failed: no connection, a connection lost, or a response blocked by CORS. A programming error is thrown unchanged. */
  | 'NETWORK_ERROR'
  /** No response within `timeoutMs`. */
  | 'TIMEOUT'
  /** The response is not GraphQL, for example the error page of a proxy. */
  | 'INVALID_RESPONSE'
  /** Reported by hooks only: a programming error, which is the `cause`. A retry cannot help. */
  | 'UNEXPECTED';

/** The codes of the gateway and of the kit, and codes of later versions or of a router. */
export type ClientErrorCode = ErrorCode | TransportErrorCode | (string & {});

export interface ClientErrorDetails {
  readonly retryable: boolean;
  readonly requestId?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
  readonly status?: number | undefined;
  readonly path?: readonly (string | number)[] | undefined;
}

/**
 * The error class of the kit. It contains no value that the app sent or received, no address and no text of a server, so it is safe
 * to log.
 */
export class CustomerClientError extends Error {
  declare readonly code: ClientErrorCode;
  /** Whether sending the same operation again can succeed. It is always safe. */
  declare readonly retryable: boolean;
  /** Identifies the operation in the gateway's log. */
  declare readonly requestId: string | undefined;
  /** Whole seconds after which a retry can succeed. */
  declare readonly retryAfterSeconds: number | undefined;
  /** The HTTP status, if there was a response. */
  declare readonly status: number | undefined;
  /** Path of the field that failed. Empty if the whole operation failed. */
  declare readonly path: readonly (string | number)[];

  constructor(code: ClientErrorCode, details: ClientErrorDetails) {
    const { path = [], requestId = '' } = details;
    const at = path.join('.');
    super(`${code}${at && ` at ${at}`}${requestId && ` (request ${requestId})`}`);
    Object.assign(this, details, { name: 'CustomerClientError', code, path });
  }
}

interface GraphQLErrorLike {
  /** Some servers send `null` for an error of the whole operation. */
  readonly path?: readonly (string | number)[] | null | undefined;
  readonly extensions?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Parses the value of `Retry-After`: whole seconds with any number of digits, or an HTTP date in one of its three forms. Returns `undefined`
 * for anything else, and at most one day, like the gateway. `Date.parse` accepts too much, so the text must begin with a capital letter. An
 * HTTP date without a time zone is in GMT.
 */
function readRetryAfter(text: string): number | undefined {
  const dateMs = Date.parse(text.replace(/^[^A-Z].*|( GMT)?$/, ' GMT'));
  const seconds = /^\d+$/.test(text) ? +text : Math.max(0, Math.ceil((dateMs - Date.now()) / 1000));
  return seconds >= 0 ? Math.min(seconds, 86_400) : undefined;
}

/** Converts an error of a response. Drops its message, because the message of a router can contain sent values. */
export function readError(
  { extensions, path }: GraphQLErrorLike,
  response?: Pick<Response, 'status' | 'headers'>,
): CustomerClientError {
  const { status, headers } = response ?? {};
  const {
    code,
    retryable = status === 429 || (status as number) >= 500,
    requestId,
    retryAfterSeconds,
  } = extensions ?? {};
  // A router can remove an extension that the response still has as a header.
  const textOf = (value: unknown, header: string) => String(value ?? headers?.get(header) ?? '');
  return new CustomerClientError(typeof code === 'string' && /^\w{1,64}$/.test(code) ? code : 'INTERNAL_SERVER_ERROR', {
    retryable: retryable === true,
    requestId: textOf(requestId, 'x-request-id') || undefined,
    retryAfterSeconds: readRetryAfter(textOf(retryAfterSeconds, 'retry-after')),
    status,
    path: Array.isArray(path) ? path : undefined,
  });
}

/**
 * Extracts the kit's error from urql's `CombinedError` or Apollo's `CombinedGraphQLErrors`.
 *
 * @returns `undefined` if the error does not come from the gateway.
 */
export function customerErrorOf(error: unknown): CustomerClientError | undefined {
  if (error instanceof CustomerClientError) return error;
  const { networkError, graphQLErrors, errors } = (error ?? {}) as {
    networkError?: unknown;
    graphQLErrors?: readonly GraphQLErrorLike[];
    errors?: readonly GraphQLErrorLike[];
  };
  const [first] = graphQLErrors ?? errors ?? [];
  if (first !== undefined) return readError(first);
  return networkError === undefined ? undefined : customerErrorOf(networkError);
}

/** Converts the error into a GraphQL error, for urql and Apollo Client. */
export function asGraphQLError({ message, path, code, retryable, requestId, retryAfterSeconds }: CustomerClientError) {
  return { message, path, extensions: { code, retryable, requestId, retryAfterSeconds } };
}
