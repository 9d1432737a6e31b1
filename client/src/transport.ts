import type { TypedDocument } from './document.ts';
import { type CustomerClientError, readError, type TransportErrorCode } from './error.ts';
import { isNetworkFailure } from './failure.ts';

/** The argument of `new Headers()`. */
export type HeadersLike = NonNullable<ConstructorParameters<typeof Headers>[0]>;

export interface TransportOptions {
  /** The GraphQL endpoint. In a browser it may be relative. */
  readonly url: string | URL;
  /** Called before each request, because sessions change: `() => ({ authorization: … })`. */
  readonly headers?: () => HeadersLike | Promise<HeadersLike>;
  /**
   * Renews the session. Called once for all concurrent operations when the gateway answers `UNAUTHENTICATED` without executing anything.
   * Each operation is then sent once more, with the headers that `headers` returns at that time.
   */
  readonly refresh?: () => Promise<unknown>;
  /** Sends ids instead of documents: for a gateway with `PERSISTED_ONLY=on`. Default `false`. */
  readonly persisted?: boolean;
  /** Time limit of one operation, response body included. Default 30,000, which is longer than the gateway's own deadline. */
  readonly timeoutMs?: number;
  readonly credentials?: NonNullable<RequestInit['credentials']>;
  readonly fetch?: typeof fetch;
}

export interface RequestOptions {
  /** Cancels the request. A cancelled write can still be executed. */
  readonly signal?: AbortSignal | undefined;
  /**
   * For mutations: identifies the operation, so that a repeat with the same key answers what the first one answered. Printable ASCII without
   * quotes and backslashes. Default: a new key for each call, which the kit's own repeats share.
   */
  readonly idempotencyKey?: string | undefined;
}

/** The response: data, errors, or both. */
export interface Answer<Result> {
  readonly data: Result | null;
  readonly errors: readonly CustomerClientError[];
}

export type Send = <Result, Variables>(
  document: TypedDocument<Result, Variables>,
  variables: Variables,
  options?: RequestOptions,
) => Promise<Answer<Result>>;

interface Body {
  readonly data?: unknown;
  readonly errors?: readonly (object | null)[];
}

/** Sends GraphQL over `fetch`, always by POST, because intermediaries do not cache POST responses and no token is issued over GET. */
export function createTransport(options: TransportOptions): Send {
  return async (document, variables, { signal, idempotencyKey } = {}) => {
    const headers = new Headers(await options.headers?.());
    headers.set('content-type', 'application/json');
    headers.set('accept', 'application/graphql-response+json, application/json');
    if (idempotencyKey) headers.set('idempotency-key', `"${idempotencyKey}"`);
    const { id, text } = document;
    const body = JSON.stringify({ ...(options.persisted && id ? { documentId: id } : { query: text }), variables });
    let response: Response | undefined;
    let answer: Body | null | undefined;
    const failure = (code: TransportErrorCode | 'UNAUTHENTICATED', retryable?: boolean) =>
      readError({ extensions: { code, retryable } }, response);
    try {
      response = await (options.fetch ?? fetch)(options.url, {
        method: 'POST',
        headers,
        body,
        // `fetch` ignores options that are `undefined`.
        signal: signal as AbortSignal,
        credentials: options.credentials as NonNullable<TransportOptions['credentials']>,
      });
      answer = (await response.json()) as Body | null;
    } catch (error) {
      // Do not attach the network error: its message can contain the address.
      if (isNetworkFailure(error)) throw failure('NETWORK_ERROR', true);
      // A body that is not JSON is reported as INVALID_RESPONSE below. Do not attach the parse error: it can quote the body.
      // Rethrow anything else: it is a programming error of the app.
      if (!response || (error as Error).name !== 'SyntaxError') throw error;
    }
    const data = answer?.data ?? null;
    const errors = answer?.errors ?? [];
    if (Array.isArray(errors) && (data || errors[0])) {
      return { data: data as never, errors: errors.map((error) => readError(error ?? {}, response)) };
    }
    // A proxy can report an expired session with a 401 whose body is not GraphQL.
    if (response.status === 401) return { data: null, errors: [failure('UNAUTHENTICATED')] };
    throw failure('INVALID_RESPONSE');
  };
}
