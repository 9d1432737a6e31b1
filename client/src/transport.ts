import type { TypedDocument } from './document.ts';
import { type CustomerClientError, readError, type TransportErrorCode } from './error.ts';
import { isNetworkFailure } from './failure.ts';

/** Whatever `new Headers()` takes. */
export type HeadersLike = NonNullable<ConstructorParameters<typeof Headers>[0]>;

export interface TransportOptions {
  /** The GraphQL endpoint. In a browser it may be relative. */
  readonly url: string | URL;
  /** Asked before each request, since sessions change: `() => ({ authorization: … })`. */
  readonly headers?: () => HeadersLike | Promise<HeadersLike>;
  /**
   * Renews the session. Called when the gateway answers `UNAUTHENTICATED` (nothing was executed then), once for all operations that wait
   * for it; each is then sent once more, with what `headers` says by then.
   */
  readonly refresh?: () => Promise<unknown>;
  /** Sends ids instead of documents: for a gateway with `PERSISTED_ONLY=on`. Default `false`. */
  readonly persisted?: boolean;
  /** For one request, to the last byte. Default 30,000: longer than the gateway's own deadline. */
  readonly timeoutMs?: number;
  readonly credentials?: NonNullable<RequestInit['credentials']>;
  readonly fetch?: typeof fetch;
}

export interface RequestOptions {
  /** The request is given up; a write may be done all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** What was answered: data, errors, or some of both. */
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

/** GraphQL over `fetch`, always by POST: a token is never minted over GET, and nothing on the way may keep a POST. */
export function createTransport(options: TransportOptions): Send {
  return async (document, variables, { signal } = {}) => {
    const headers = new Headers(await options.headers?.());
    headers.set('content-type', 'application/json');
    headers.set('accept', 'application/graphql-response+json, application/json');
    const { id, text } = document;
    const body = JSON.stringify({ ...(options.persisted && id ? { documentId: id } : { query: text }), variables });
    let response: Response | undefined;
    let answer: Body | null = null;
    const failure = (code: TransportErrorCode | 'UNAUTHENTICATED', retryable?: boolean) =>
      readError({ extensions: { code, retryable } }, response);
    try {
      response = await (options.fetch ?? fetch)(options.url, {
        method: 'POST',
        headers,
        body,
        // Options that are not given are left out by `fetch` itself.
        signal: signal as AbortSignal,
        credentials: options.credentials as NonNullable<TransportOptions['credentials']>,
      });
      answer = (await response.json()) as Body | null;
    } catch (error) {
      // The network's error is not kept: it may name the address.
      if (isNetworkFailure(error)) throw failure('NETWORK_ERROR', true);
      // A body that is no JSON is an answer that is no GraphQL. Its error is not kept: it may quote the body. All else is a mistake of the app.
      if (!response || (error as Error).name !== 'SyntaxError') throw error;
    }
    const data = answer?.data ?? null;
    const errors = answer?.errors ?? [];
    if (Array.isArray(errors) && (data || errors[0])) {
      return { data: data as never, errors: errors.map((error) => readError(error ?? {}, response)) };
    }
    // A proxy's: of a login that is over it tells in its own way.
    if (response.status === 401) return { data: null, errors: [failure('UNAUTHENTICATED')] };
    throw failure('INVALID_RESPONSE');
  };
}
