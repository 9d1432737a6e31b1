import type { ErrorCode } from '../../src/errors.ts';

/** What can go wrong between the app and the gateway. Nobody knows then whether a write was done: `retryable` all the same. */
export type TransportErrorCode =
  /** No answer: not connected, refused by CORS, cut off. Only what the network did; a mistake of the program is thrown as it is. */
  | 'NETWORK_ERROR'
  /** No answer in time. */
  | 'TIMEOUT'
  /** An answer that is no GraphQL: somebody else's, such as a proxy's page. */
  | 'INVALID_RESPONSE'
  /** Shown by hooks: a mistake of the program, which is the `cause`. A repeat cannot help. */
  | 'UNEXPECTED';

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
  declare readonly code: ClientErrorCode;
  /** Whether sending the very same operation again can help; it never does harm. */
  declare readonly retryable: boolean;
  /** Finds the operation in the gateway's log. */
  declare readonly requestId: string | undefined;
  /** Whole seconds after which a repeat can succeed. */
  declare readonly retryAfterSeconds: number | undefined;
  /** The HTTP status, where there was an answer. */
  declare readonly status: number | undefined;
  /** The field of the answer that failed. Empty: the operation as a whole. */
  declare readonly path: readonly (string | number)[];

  constructor(code: ClientErrorCode, details: ClientErrorDetails) {
    const { path = [], requestId = '' } = details;
    const at = path.join('.');
    super(`${code}${at && ` at ${at}`}${requestId && ` (request ${requestId})`}`);
    Object.assign(this, details, { name: 'CustomerClientError', code, path });
  }
}

interface GraphQLErrorLike {
  readonly path?: readonly (string | number)[] | undefined;
  readonly extensions?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Reads whole seconds, with any number of digits, or an HTTP date in one of its three forms; `undefined` for all else. `Date.parse` takes much
 * that is no date: an HTTP date begins with a capital letter, and is of GMT even if it does not say so.
 * No pause is longer than a day, as the gateway's own.
 */
function readPause(text: string): number | undefined {
  const dateMs = Date.parse(text.replace(/^[^A-Z].*|( GMT)?$/, ' GMT'));
  const seconds = /^\d+$/.test(text) ? +text : Math.max(0, Math.ceil((dateMs - Date.now()) / 1000));
  return seconds >= 0 ? Math.min(seconds, 86_400) : undefined;
}

/** Reads an error of an answer. Its message is left behind: a router's may hold what was sent. */
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
  // A router in between may have left it out, and the server have said it in a header.
  const textOf = (value: unknown, header: string) => String(value ?? headers?.get(header) ?? '');
  return new CustomerClientError(typeof code === 'string' && /^\w{1,64}$/.test(code) ? code : 'INTERNAL_SERVER_ERROR', {
    retryable: retryable === true,
    requestId: textOf(requestId, 'x-request-id') || undefined,
    retryAfterSeconds: readPause(textOf(retryAfterSeconds, 'retry-after')),
    status,
    path,
  });
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
