import type { FetchAPI, Plugin } from 'graphql-yoga';
import type { Caller } from '../auth/caller.ts';
import { parseExactJson } from '../customers/exact-json.ts';
import { overloaded, RequestError } from '../errors.ts';
import { type Answer, answerOf } from '../execution/answer.ts';
import type { Engine } from '../execution/engine.ts';
import { errorBody, toRequestError } from '../execution/outcome.ts';
import { type DocumentRequest, documentOf, type Manifest } from '../execution/persisted.ts';
import type { Correlation, Log, OperationType, Outcome } from '../telemetry/log.ts';
import { type Bodies, tooLong } from './bodies.ts';
import { answerType, isJson } from './media.ts';
import type { Target } from './target.ts';

/** State of one request. */
export interface RequestState {
  readonly requestId: string;
  /** The request target as sent. `request.url` differs, because URL parsers normalise the path. */
  readonly target: Target;
  /** Trace id from the header `traceparent`. Set before authentication. */
  traceId?: string | undefined;
  /** Start of the request on the monotonic clock, in ms. */
  readonly startedAtMs: number;
  /** IP address of the client. `undefined` if unknown. */
  readonly address?: string | undefined;
  /** Settles when the response is finished or the client disconnects. */
  readonly over: Promise<unknown>;
  /** Reads the body from the `node:http` message. Set for requests of the listener, whose `Request` has no body. */
  readonly readBody?: ((maxBytes: number) => Promise<Uint8Array>) | undefined;
  /** Set after authentication. */
  caller?: Caller;
  /** Code of the first error, or `OK`. Set when the result is known. */
  outcome?: Outcome;
  /** Set when the answer of an operation is known. `undefined` if the operation was not executed. */
  operationType?: OperationType | undefined;
  /** Set when the engine has executed or refused the operation. */
  answer?: Answer;
}

export interface HttpRules {
  readonly endpoint: string;
  readonly maxBodyBytes: number;
  readonly bodies: Bodies;
  readonly isDraining: () => boolean;
  /** @throws RequestError for missing or invalid credentials. */
  readonly authenticate: (headers: Headers, correlation: Correlation) => Promise<Caller>;
  /** @throws RequestError if the concurrency limit is reached. */
  readonly enter: (caller: Caller, over: Promise<unknown>) => void;
  /** @throws RequestError if the rate limit of the caller is exceeded. */
  readonly admit?: ((caller: Caller, address: string | undefined) => Promise<void>) | undefined;
  /** Counts a request with refused credentials. @throws RequestError if the rate limit of the address is exceeded. */
  readonly countRefused?: ((address: string | undefined) => Promise<void>) | undefined;
  readonly engine: Engine;
  /** @throws RequestError if authentication has not run. */
  readonly createContext: (
    request: Request,
    state: RequestState,
    operation: { readonly name: string | undefined },
  ) => object;
  readonly manifest: Manifest;
  /** Whether callers may send only ids of persisted documents. */
  readonly persistedOnly: boolean;
  readonly log: Log;
}

/** Custom headers: a browser sends a CORS preflight before a cross-origin request that has one. */
const preflightHeaders = ['x-graphql-yoga-csrf', 'apollo-require-preflight'];

const drainRetryAfterSeconds = 1;

/**
 * Rules for HTTP requests. Accepts POST with `application/json`, and GET for queries with a header that forces a CORS
 * preflight. Refuses compressed bodies, bodies over `maxBodyBytes`, batches, and any operation during a drain. Every refusal
 * has a JSON body with `errors`.
 */
export function useHttp(rules: HttpRules): Plugin<{ state: RequestState }, { state: RequestState }> {
  return {
    async onRequest({ request, url, serverContext, fetchAPI, endResponse }) {
      const { state } = serverContext;
      state.traceId = traceIdOf(request.headers.get('traceparent'));
      try {
        // Yoga also accepts other paths, such as `/any/graphql`.
        if (state.target.path !== rules.endpoint) throw notFound(rules.endpoint);
        if (rules.isDraining()) throw overloaded(drainRetryAfterSeconds);
        const fault = findFault(request, url, rules.maxBodyBytes);
        if (fault !== undefined) throw fault;
        state.caller = await rules.authenticate(request.headers, state).catch(async (error: unknown) => {
          if (error instanceof RequestError && error.code === 'UNAUTHENTICATED')
            await rules.countRefused?.(state.address);
          throw error;
        });
      } catch (error) {
        // Translate every error: Yoga would send the stack of an unknown one.
        const refusal = toRequestError(error, { correlation: state, log: rules.log });
        state.outcome = refusal.code;
        endResponse(refusalResponse(refusal, request, state.requestId, fetchAPI));
      }
    },

    onRequestParse({ request, url, setRequestParser, serverContext }) {
      const { state } = serverContext;
      const onlyIds = rules.persistedOnly && !state.caller?.anyDocument;
      setRequestParser(async () => {
        const body = request.method === 'GET' ? undefined : await readBytes(request, state);
        if (state.caller === undefined) throw new RequestError('UNAUTHENTICATED', { status: 401 });
        // After the body is read: slow senders must not take slots of the concurrency limit.
        rules.enter(state.caller, state.over);
        // After load shedding: a request that is shed does not count against its caller's rate limit.
        await rules.admit?.(state.caller, state.address);
        const params = body === undefined ? paramsOfQuery(url.searchParams) : paramsOfBody(body);
        // Yoga refuses parameters that the specification does not define.
        return { ...params, documentId: undefined, query: documentOf(params, rules.manifest, onlyIds) };
      });
    },

    async onParams({ params, request, context: { state }, setResult }) {
      const { query = '', operationName, variables } = params;
      state.answer = await rules.engine.run(
        { query, operationName, variables },
        {
          correlation: state,
          isGet: request.method === 'GET',
          mediaType: mediaTypeOf(request),
          requester: state.caller?.counted.join(' ') || state.address || '',
          signal: request.signal,
          createContext: (operation) => rules.createContext(request, state, operation),
        },
      );
      // Yoga's own parsing, validation and execution do not run for a request that has a result.
      setResult({ data: null });
    },

    onResultProcess({ request, result, setResultProcessor, serverContext: { state } }) {
      if (Array.isArray(result) || Symbol.asyncIterator in result) return;
      // Without an answer, the result has the errors of a request that the engine did not receive.
      const answer =
        state.answer ?? answerOf(result, { correlation: state, mediaType: mediaTypeOf(request) }, rules.log);
      state.outcome = answer.outcome;
      state.operationType = answer.operationType;
      const { status, headers, body } = answer;
      setResultProcessor((_result, fetchAPI) => new fetchAPI.Response(body, { status, headers }), '');
    },

    onResponse({ response, serverContext }) {
      response.headers.set('x-request-id', serverContext.state.requestId);
      response.headers.set('cache-control', 'no-store');
      response.headers.set('x-content-type-options', 'nosniff');
    },
  };

  async function readBytes(request: Request, state: RequestState): Promise<Uint8Array> {
    if (state.readBody !== undefined) return state.readBody(rules.maxBodyBytes);
    if (request.body !== null) return rules.bodies.read(request.body, rules.maxBodyBytes);
    // A framework has already read the stream and keeps the text.
    const bytes = Buffer.from(await request.text());
    if (bytes.byteLength > rules.maxBodyBytes) throw tooLong(rules.maxBodyBytes);
    return bytes;
  }
}

/**
 * Reads the trace id of `traceparent`. Ignores an invalid or repeated header. Of later versions, reads the known fields.
 *
 * @see W3C Trace Context, section 3.2
 */
function traceIdOf(traceparent: string | null): string | undefined {
  const [, version, traceId, more] =
    /^([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/.exec(traceparent ?? '') ?? [];
  return version === 'ff' || (version === '00' && more !== undefined) ? undefined : traceId;
}

function notFound(endpoint: string): RequestError {
  return new RequestError('BAD_USER_INPUT', {
    status: 404,
    message: `Not found. The GraphQL endpoint is ${endpoint}.`,
  });
}

function findFault({ method, headers }: Request, url: URL, maxBodyBytes: number): RequestError | undefined {
  if (method === 'GET') {
    const forced = preflightHeaders.some((name) => headers.has(name)) || isJson(headers.get('content-type'));
    if (!forced || (headers.has('content-type') && !isJson(headers.get('content-type')))) {
      const message = `GET needs one of the headers ${preflightHeaders.join(', ')} or content-type: application/json. Or send POST.`;
      return new RequestError('BAD_USER_INPUT', { status: 403, message });
    }
    return findUnreadable(headers);
  }
  if (method !== 'POST') {
    return new RequestError('BAD_USER_INPUT', {
      status: 405,
      headers: { allow: 'GET, POST' },
      message: 'Send GET or POST.',
    });
  }
  if (url.searchParams.has('query')) {
    return new RequestError('BAD_USER_INPUT', { message: 'Send the document of a POST in the body, not in the URL.' });
  }
  if (!isJson(headers.get('content-type'))) {
    return new RequestError('BAD_USER_INPUT', { status: 415, message: 'The body must be application/json in UTF-8.' });
  }
  const encoding = headers.get('content-encoding')?.trim().toLowerCase();
  if (encoding !== undefined && encoding !== '' && encoding !== 'identity') {
    return new RequestError('BAD_USER_INPUT', { status: 415, message: 'The body must not be compressed.' });
  }
  return Number(headers.get('content-length')) > maxBodyBytes ? tooLong(maxBodyBytes) : findUnreadable(headers);
}

/** Checked before execution: a client that cannot read the response would not see the result of a mutation. */
function findUnreadable(headers: Headers): RequestError | undefined {
  if (answerType(headers.get('accept')) !== undefined) return undefined;
  const message = 'Accept must allow application/graphql-response+json or application/json, in UTF-8.';
  return new RequestError('BAD_USER_INPUT', { status: 406, message });
}

function paramsOfBody(bytes: Uint8Array): Params {
  const body = parseJson(() => new TextDecoder('utf-8', { fatal: true }).decode(bytes), 'The body');
  if (Array.isArray(body))
    throw new RequestError('BAD_USER_INPUT', { message: 'Batches are not supported. Send one operation.' });
  return checkParams(body);
}

function paramsOfQuery(query: URLSearchParams): Params {
  const json = (name: string) => {
    const text = query.get(name);
    return text === null || text === '' ? undefined : parseJson(() => text, `The parameter ${name}`);
  };
  return checkParams({
    query: query.get('query') ?? undefined,
    documentId: query.get('documentId') ?? undefined,
    operationName: query.get('operationName') ?? undefined,
    variables: json('variables'),
    extensions: json('extensions'),
  });
}

interface Params extends DocumentRequest {
  operationName?: string;
  variables?: Record<string, unknown>;
  extensions?: Record<string, unknown>;
}

/** Checks the parameters of the GraphQL over HTTP specification, and ignores all others as it requires. */
function checkParams(params: unknown): Params {
  if (!isRecord(params)) throw new RequestError('BAD_USER_INPUT', { message: 'The body must be a JSON object.' });
  const { query, documentId, operationName, variables, extensions } = params;
  const invalid = (message: string) => new RequestError('BAD_USER_INPUT', { message });
  if (query != null && typeof query !== 'string') throw invalid('`query` must be a string with the GraphQL document.');
  if (documentId != null && typeof documentId !== 'string') throw invalid('`documentId` must be a string.');
  if (operationName != null && typeof operationName !== 'string') throw invalid('`operationName` must be a string.');
  if (variables != null && !isRecord(variables)) throw invalid('`variables` must be an object.');
  if (extensions != null && !isRecord(extensions)) throw invalid('`extensions` must be an object.');
  return {
    query: query ?? undefined,
    documentId: documentId ?? apolloId(extensions),
    // Some clients send "" if there is no name.
    ...(operationName && { operationName }),
    ...(variables != null && { variables }),
    ...(extensions != null && { extensions }),
  };
}

/** Apollo clients send the document id as an extension. */
function apolloId(extensions: unknown): string | undefined {
  const persisted = isRecord(extensions) ? extensions['persistedQuery'] : undefined;
  const hash = isRecord(persisted) ? persisted['sha256Hash'] : undefined;
  return typeof hash === 'string' ? hash : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Replaces the parser's message, which quotes the text. */
function parseJson(read: () => string, what: string): unknown {
  try {
    return parseExactJson(read());
  } catch {
    throw new RequestError('BAD_USER_INPUT', { message: `${what} is not valid JSON.` });
  }
}

function refusalResponse(error: RequestError, request: Request, requestId: string, fetchAPI: FetchAPI): Response {
  return new fetchAPI.Response(errorBody(error, requestId), {
    status: error.status,
    headers: { ...error.headers, 'content-type': `${mediaTypeOf(request)}; charset=utf-8` },
  });
}

/** The media type of the response. JSON is the fallback if the client accepts neither type. Yoga ignores the weights in `Accept`. */
function mediaTypeOf({ headers }: Request): 'application/json' | 'application/graphql-response+json' {
  return answerType(headers.get('accept')) ?? 'application/json';
}
