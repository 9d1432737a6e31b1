import type { TypedDocument } from './document.ts';
import { type CustomerClientError, readError, type TransportErrorCode } from './error.ts';

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
  const { persisted, refresh, timeoutMs = 30_000 } = options;
  /** The newest renewal of the session, and the newest that is over. */
  let renewal: Promise<unknown> | undefined;
  let renewed: typeof renewal;

  const once: Send = async (document, variables, { signal } = {}) => {
    const given = new Headers(await options.headers?.());
    given.set('content-type', 'application/json');
    given.set('accept', 'application/graphql-response+json, application/json');
    const { id, text } = document;
    const body = JSON.stringify({ ...(persisted && id ? { documentId: id } : { query: text }), variables });
    const timeout = AbortSignal.timeout(timeoutMs);
    let response: Response | undefined;
    let answer: Body | null = null;
    const failure = (code: TransportErrorCode | 'UNAUTHENTICATED', retryable?: boolean) =>
      readError({ extensions: { code, retryable } }, response);
    try {
      response = await (options.fetch ?? fetch)(options.url, {
        method: 'POST',
        headers: given,
        body,
        signal: AbortSignal.any([signal ?? timeout, timeout]),
        // One that is not given is left out by `fetch` itself.
        credentials: options.credentials as NonNullable<TransportOptions['credentials']>,
      });
      answer = (await response.json()) as Body | null;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      // A body that is no JSON is an answer that is no GraphQL. No error is kept: one may quote the body, another name the address.
      if (!response || !(error instanceof SyntaxError))
        throw failure(timeout.aborted ? 'TIMEOUT' : 'NETWORK_ERROR', true);
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

  return async (document, variables, options) => {
    const seen = renewed;
    const answer = await once(document, variables, options);
    // With data beside it something was executed: a router asked more than one server.
    if (!refresh || answer.data || !answer.errors.some(({ code }) => code === 'UNAUTHENTICATED')) return answer;
    // Somebody may have renewed the session since this was sent.
    if (seen === renewed) {
      if (renewal === renewed) {
        renewal = refresh().finally(() => {
          renewed = renewal;
        });
      }
      await renewal;
    }
    return once(document, variables, options);
  };
}
