import type { ErrorCode } from '../errors.ts';

/** What can go wrong between the app and the gateway. Nobody knows then whether a write was done: `retryable` all the same. */
export type TransportErrorCode =
  /** No answer: not connected, refused by CORS, cut off. */
  | 'NETWORK_ERROR'
  /** No answer in time. */
  | 'TIMEOUT'
  /** An answer that is no GraphQL: somebody else's, such as a proxy's page. */
  | 'INVALID_RESPONSE';

/** The gateway's codes, the kit's own, and whatever comes later or from a router in between. */
export type ClientErrorCode = ErrorCode | TransportErrorCode | (string & {});

export interface ClientErrorDetails {
  readonly retryable: boolean;
  readonly requestId?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
  readonly status?: number | undefined;
  readonly path?: readonly (string | number)[] | undefined;
}

/**
 * What the kit throws. It holds no value that the app sent or received, no address and no server's text, so that it can be logged
 * as it is.
 */
export class CustomerClientError extends Error {
  readonly code: ClientErrorCode;
  /** Whether sending the very same operation again can help; it never does harm. */
  readonly retryable: boolean;
  /** Finds the operation in the gateway's log. */
  readonly requestId: string | undefined;
  /** Whole seconds after which a repeat can succeed. */
  readonly retryAfterSeconds: number | undefined;
  /** The HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** The field of the answer that failed. Empty: the operation as a whole. */
  readonly path: readonly (string | number)[];

  constructor(code: ClientErrorCode, details: ClientErrorDetails) {
    const { path = [], requestId } = details;
    super(`${code}${path.length > 0 ? ` at ${path.join('.')}` : ''}${requestId ? ` (request ${requestId})` : ''}`);
    this.name = 'CustomerClientError';
    this.code = code;
    this.retryable = details.retryable;
    this.requestId = requestId;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.status = details.status;
    this.path = path;
  }
}

interface GraphQLErrorLike {
  readonly path?: readonly (string | number)[] | undefined;
  readonly extensions?: Readonly<Record<string, unknown>> | undefined;
}

/** Reads an error of an answer. Its message is left behind: a router's may hold what was sent. */
export function readError(
  error: GraphQLErrorLike,
  response?: Pick<Response, 'status' | 'headers'>,
): CustomerClientError {
  const { code, retryable, requestId, retryAfterSeconds } = error.extensions ?? {};
  return new CustomerClientError(typeof code === 'string' && /^\w{1,64}$/.test(code) ? code : 'INTERNAL_SERVER_ERROR', {
    retryable: retryable === true,
    requestId: textOf(requestId) ?? response?.headers.get('x-request-id') ?? undefined,
    retryAfterSeconds: typeof retryAfterSeconds === 'number' ? retryAfterSeconds : retryAfterOf(response?.headers),
    status: response?.status,
    path: error.path,
  });
}

/** An answer that is no GraphQL: a proxy's, a login page's. */
export function invalidResponse({ status, headers }: Response): CustomerClientError {
  return new CustomerClientError('INVALID_RESPONSE', {
    retryable: status >= 500 || status === 429,
    requestId: headers.get('x-request-id') ?? undefined,
    retryAfterSeconds: retryAfterOf(headers),
    status,
  });
}

const textOf = (value: unknown) => (typeof value === 'string' ? value : undefined);

function retryAfterOf(headers: Headers | undefined): number | undefined {
  const text = headers?.get('retry-after') ?? '';
  return /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}

/**
 * The kit's error behind the one that a client of GraphQL hands out: urql's `CombinedError`, Apollo's `CombinedGraphQLErrors`.
 * `undefined` for what did not come from the gateway.
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

/** As a GraphQL error, for clients that want those. */
export function asGraphQLError({ message, path, code, retryable, requestId, retryAfterSeconds }: CustomerClientError) {
  return { message, path, extensions: { code, retryable, requestId, retryAfterSeconds } };
}
