import { type FetchAPI, type Plugin, processRegularResult } from 'graphql-yoga';
import type { Caller } from '../auth/caller.ts';
import { parseExactJson } from '../customers/exact-json.ts';
import { overloaded, RequestError } from '../errors.ts';
import { errorBody, toClientError, toRequestError } from '../execution/outcome.ts';
import { type DocumentRequest, documentOf, type Manifest } from '../execution/persisted.ts';
import type { Correlation, Log, OperationType, Outcome } from '../telemetry/log.ts';
import { type Bodies, tooLong } from './bodies.ts';
import { answerType, isJson } from './media.ts';
import type { Target } from './target.ts';

/** What accompanies one request through the server, from its first byte to its answer. */
export interface RequestState {
  readonly requestId: string;
  /** The address that the client asked for. `request.url` is not it: URL parsers normalise the path. */
  readonly target: Target;
  /** Of the caller's trace; set first of all. */
  traceId?: string | undefined;
  /** On the monotonic clock, in ms. */
  readonly startedAtMs: number;
  /** Of the client; `undefined` where nobody knows. */
  readonly address?: string | undefined;
  /** Settles when nobody is served any more: the answer went out, or the client went away. */
  readonly over: Promise<unknown>;
  /** Reads the body of a request that came without one, from the socket behind it. */
  readonly readBody?: ((maxBytes: number) => Promise<Uint8Array>) | undefined;
  /** Set before anything is executed. */
  caller?: Caller;
  /** Set when it is known: the code of the first error, where there is one. */
  outcome?: Outcome;
  /** Set when it is executed. */
  operationType?: OperationType;
}

export interface HttpRules {
  readonly endpoint: string;
  readonly maxBodyBytes: number;
  readonly bodies: Bodies;
  readonly isDraining: () => boolean;
  /** @throws RequestError, which is answered; nothing is executed then. */
  readonly authenticate: (headers: Headers, correlation: Correlation) => Promise<Caller>;
  /** @throws RequestError when more is under way than can be carried. */
  readonly enter: (caller: Caller, over: Promise<unknown>) => void;
  /** @throws RequestError when this caller has had its share. */
  readonly admit?: ((caller: Caller, address: string | undefined) => Promise<void>) | undefined;
  /** @throws RequestError when the address has used up its share. */
  readonly countRefused?: ((address: string | undefined) => Promise<void>) | undefined;
  readonly manifest: Manifest;
  /** Whether callers may send ids of documents only. */
  readonly persistedOnly: boolean;
  readonly log: Log;
}

/** Headers that no form, image or link can send: a browser asks the server first whether another site may. */
const preflightHeaders = ['x-graphql-yoga-csrf', 'apollo-require-preflight'];

/** While it drains, how long a client should wait before it comes back (to another instance). */
const drainRetryAfterSeconds = 1;

/**
 * What may come in over HTTP, and in what shape every refusal goes out: POST with `application/json` only; GET for
 * queries only and only with a header that forces a preflight; no compressed, no over-long and no array bodies; nothing
 * new while draining. Every refusal has a JSON body with `errors`.
 */
export function useHttp(rules: HttpRules): Plugin<{ state: RequestState }, { state: RequestState }> {
  return {
    async onRequest({ request, url, serverContext, fetchAPI, endResponse }) {
      const { state } = serverContext;
      state.traceId = traceIdOf(request.headers.get('traceparent'));
      try {
        // The library takes more addresses for its endpoint than this one, such as `/any/graphql`.
        if (state.target.path !== rules.endpoint) throw notHere(rules.endpoint);
        if (rules.isDraining()) throw overloaded(drainRetryAfterSeconds);
        const fault = findFault(request, url, rules.maxBodyBytes);
        if (fault !== undefined) throw fault;
        state.caller = await rules.authenticate(request.headers, state).catch(async (error: unknown) => {
          if (error instanceof RequestError && error.code === 'UNAUTHENTICATED')
            await rules.countRefused?.(state.address);
          throw error;
        });
      } catch (error) {
        // Whatever it is: the library would answer with the stack.
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
        // Only a complete request takes a slot: slow senders must not use up what others need.
        rules.enter(state.caller, state.over);
        // After load shedding: a request that is shed does not count against its caller's rate limit.
        await rules.admit?.(state.caller, state.address);
        const params = body === undefined ? paramsOfQuery(url.searchParams) : paramsOfBody(body);
        // The library takes no parameter but those of the specification.
        return { ...params, documentId: undefined, query: documentOf(params, rules.manifest, onlyIds) };
      });
    },

    onResultProcess({ request, result, setResult, setResultProcessor, serverContext }) {
      // The library takes the first type that is listed, whatever its weight.
      setResultProcessor(processRegularResult, answerType(request.headers.get('accept')) ?? 'application/json');
      if (Array.isArray(result) || Symbol.asyncIterator in result) return;
      const { state } = serverContext;
      state.outcome = 'OK';
      if (!result.errors) return;
      const executed = 'data' in result && result.data !== undefined;
      const errors = result.errors.map((error) =>
        toClientError(error, { correlation: state, executed, log: rules.log }),
      );
      state.outcome = (errors[0]?.extensions['code'] as Outcome | undefined) ?? 'OK';
      setResult({ ...result, errors });
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
    // The framework around us has read the stream already, and keeps the text.
    const bytes = Buffer.from(await request.text());
    if (bytes.byteLength > rules.maxBodyBytes) throw tooLong(rules.maxBodyBytes);
    return bytes;
  }
}

/**
 * The trace that a caller says it is part of, as W3C Trace Context has it. What is no such header counts as not sent, two of
 * them included; of later versions what is known is read.
 */
function traceIdOf(traceparent: string | null): string | undefined {
  const [, version, traceId, more] =
    /^([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/.exec(traceparent ?? '') ?? [];
  return version === 'ff' || (version === '00' && more !== undefined) ? undefined : traceId;
}

function notHere(endpoint: string): RequestError {
  return new RequestError('BAD_USER_INPUT', {
    status: 404,
    message: `There is nothing here: GraphQL is at ${endpoint}.`,
  });
}

function findFault({ method, headers }: Request, url: URL, maxBodyBytes: number): RequestError | undefined {
  if (method === 'GET') {
    const forced = preflightHeaders.some((name) => headers.has(name)) || isJson(headers.get('content-type'));
    if (!forced || (headers.has('content-type') && !isJson(headers.get('content-type')))) {
      const message = `GET takes one of the headers ${preflightHeaders.join(', ')} or content-type: application/json. Or send POST.`;
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
    return new RequestError('BAD_USER_INPUT', { message: 'A POST carries its document in the body.' });
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

/** Said before anything is executed: an answer that nobody can read would hide what was done. */
function findUnreadable(headers: Headers): RequestError | undefined {
  if (answerType(headers.get('accept')) !== undefined) return undefined;
  const message = 'Answers are application/graphql-response+json or application/json, in UTF-8: accept one of them.';
  return new RequestError('BAD_USER_INPUT', { status: 406, message });
}

function paramsOfBody(bytes: Uint8Array): Params {
  const body = parseJson(() => new TextDecoder('utf-8', { fatal: true }).decode(bytes), 'The body');
  if (Array.isArray(body))
    throw new RequestError('BAD_USER_INPUT', { message: 'Batches of operations are not taken. Send one.' });
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

/** Takes what GraphQL over HTTP knows and ignores the rest, as the specification asks. */
function checkParams(params: unknown): Params {
  if (!isRecord(params)) throw new RequestError('BAD_USER_INPUT', { message: 'The body must be a JSON object.' });
  const { query, documentId, operationName, variables, extensions } = params;
  const wrong = (message: string) => new RequestError('BAD_USER_INPUT', { message });
  if (query != null && typeof query !== 'string') throw wrong('`query` must be a text: the GraphQL document.');
  if (documentId != null && typeof documentId !== 'string') throw wrong('`documentId` must be a text.');
  if (operationName != null && typeof operationName !== 'string') throw wrong('`operationName` must be a text.');
  if (variables != null && !isRecord(variables)) throw wrong('`variables` must be an object.');
  if (extensions != null && !isRecord(extensions)) throw wrong('`extensions` must be an object.');
  return {
    query: query ?? undefined,
    documentId: documentId ?? apolloId(extensions),
    // Some clients send "" for none.
    ...(operationName && { operationName }),
    ...(variables != null && { variables }),
    ...(extensions != null && { extensions }),
  };
}

/** Apollo's clients name the document in an extension. */
function apolloId(extensions: unknown): string | undefined {
  const persisted = isRecord(extensions) ? extensions['persistedQuery'] : undefined;
  const hash = isRecord(persisted) ? persisted['sha256Hash'] : undefined;
  return typeof hash === 'string' ? hash : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The parser's own message quotes the text, so it is not passed on. */
function parseJson(read: () => string, what: string): unknown {
  try {
    return parseExactJson(read());
  } catch {
    throw new RequestError('BAD_USER_INPUT', { message: `${what} is not valid JSON.` });
  }
}

function refusalResponse(error: RequestError, request: Request, requestId: string, fetchAPI: FetchAPI): Response {
  // Who takes neither is told so in JSON: better than nothing.
  const type = answerType(request.headers.get('accept')) ?? 'application/json';
  return new fetchAPI.Response(errorBody(error, requestId), {
    status: error.status,
    headers: { ...error.headers, 'content-type': `${type}; charset=utf-8` },
  });
}
