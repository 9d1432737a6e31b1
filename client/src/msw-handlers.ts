import { type HttpHandler, HttpResponse, http } from 'msw';
import type { TypedDocument } from './document.ts';
import type { ClientErrorCode } from './error.ts';

export interface HandlerOptions {
  /** The endpoint: an address, or a path with `*`. Default `*\/graphql`. */
  readonly url?: string;
}

/** A failed operation, with errors in the gateway's format. */
export interface MockErrors {
  readonly errors: readonly {
    readonly code: ClientErrorCode;
    readonly retryable?: boolean;
    readonly retryAfterSeconds?: number;
  }[];
}

/** The data, the errors, or a function of the variables that returns either. */
export type MockAnswer<Result, Variables> =
  | Result
  | MockErrors
  | ((variables: Variables) => Result | MockErrors | Promise<Result | MockErrors>);

/**
 * Creates a handler factory such as `mockCustomer(answer, options?)` for one operation, sent by text or by id. Requests for other operations pass
 * through to the next handlers.
 */
export function mockOperation<Result extends object, Variables>(document: TypedDocument<Result, Variables>) {
  return (answer: MockAnswer<Result, Variables>, { url = '*/graphql' }: HandlerOptions = {}): HttpHandler =>
    http.post(url, async ({ request }) => {
      const body = (await request.clone().json()) as Body;
      if (!isRequestFor(document, body)) return undefined;
      const given = typeof answer === 'function' ? await answer((body.variables ?? {}) as Variables) : answer;
      if (!('errors' in given)) return HttpResponse.json({ data: given });
      const errors = given.errors.map(({ code, retryable = false, retryAfterSeconds }) => ({
        message: code,
        path: [],
        extensions: {
          code,
          retryable,
          requestId: 'mocked',
          ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
        },
      }));
      return HttpResponse.json({ data: null, errors });
    });
}

interface Body {
  readonly query?: string;
  readonly operationName?: string;
  readonly documentId?: string;
  readonly variables?: unknown;
  readonly extensions?: { readonly persistedQuery?: { readonly sha256Hash?: string } };
}

function isRequestFor(
  { id, kind, name }: Pick<TypedDocument<never, never>, 'id' | 'kind' | 'name'>,
  body: Body,
): boolean {
  const sent = body.documentId ?? body.extensions?.persistedQuery?.sha256Hash;
  if (sent !== undefined) return id !== undefined && sent.replace(/^sha256:/, '') === id.replace(/^sha256:/, '');
  return new RegExp(`\\b${kind}\\s+${name}\\b`).test(body.query ?? '');
}
