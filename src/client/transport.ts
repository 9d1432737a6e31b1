import type { TypedDocument } from './document.ts';
import { CustomerClientError, invalidResponse, readError } from './error.ts';

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

const defaultTimeoutMs = 30_000;

/** GraphQL over `fetch`, always by POST: a token is never minted over GET, and nothing on the way may keep a POST. */
export function createTransport(options: TransportOptions): Send {
  const { url, headers, refresh, persisted = false, timeoutMs = defaultTimeoutMs, credentials } = options;
  let refreshes = 0;
  let refreshing: Promise<unknown> | undefined;

  const once: Send = async (document, variables, { signal } = {}) => {
    const given = new Headers(await headers?.());
    given.set('content-type', 'application/json');
    given.set('accept', 'application/graphql-response+json, application/json;q=0.9');
    signal?.throwIfAborted();
    const timeout = AbortSignal.timeout(timeoutMs);
    const content = persisted && document.id !== undefined ? { documentId: document.id } : { query: document.text };
    let response: Response | undefined;
    try {
      response = await (options.fetch ?? fetch)(url, {
        method: 'POST',
        headers: given,
        body: JSON.stringify({ ...content, variables }),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        ...(credentials && { credentials }),
      });
      return readAnswer(await response.json(), response);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof CustomerClientError) throw error;
      if (timeout.aborted) throw new CustomerClientError('TIMEOUT', { retryable: true });
      // The error of a body that is no JSON quotes the body, the one of `fetch` may name the address: neither is kept.
      if (error instanceof SyntaxError && response) throw invalidResponse(response);
      throw new CustomerClientError('NETWORK_ERROR', { retryable: true, status: response?.status });
    }
  };

  return async (document, variables, options) => {
    const seen = refreshes;
    const answer = await once(document, variables, options);
    if (refresh === undefined || !answer.errors.some(({ code }) => code === 'UNAUTHENTICATED')) return answer;
    // Somebody may have renewed the session since this was sent.
    if (seen === refreshes) {
      refreshing ??= refresh().finally(() => {
        refreshes += 1;
        refreshing = undefined;
      });
      await refreshing;
    }
    return once(document, variables, options);
  };
}

function readAnswer<Result>(body: unknown, response: Response): Answer<Result> {
  const { data, errors } = (body ?? {}) as { data?: Result | null; errors?: readonly object[] };
  if (data === undefined && !Array.isArray(errors)) throw invalidResponse(response);
  return { data: data ?? null, errors: (errors ?? []).map((error) => readError(error, response)) };
}
