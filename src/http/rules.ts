import type { HeaderReader } from '../auth/auth.ts';
import { type Caller, credentialsOf } from '../auth/caller.ts';
import type { Cancellation } from '../customers/cancellation.ts';
import type { Resource } from '../customers/tracking.ts';
import { overloaded, RequestError } from '../errors.ts';
import type { Answer } from '../execution/answer.ts';
import type { Engine, EngineRequest } from '../execution/engine.ts';
import { errorBody, toRequestError } from '../execution/outcome.ts';
import { documentOf, type Manifest } from '../execution/persisted.ts';
import { keyHeader, replayedHeader } from '../idempotency/header.ts';
import type { Repeatable, RepeatableRequest } from '../idempotency/idempotency.ts';
import type { Correlation, Log } from '../telemetry/log.ts';
import { traceParentOf } from '../telemetry/trace-parent.ts';
import type { Traces } from '../telemetry/traces.ts';
import type { Bodies } from './bodies.ts';
import { findFault, type Head } from './head.ts';
import { answerType } from './media.ts';
import type { Params } from './params.ts';
import type { Report } from './report.ts';
import type { SharedAnswers } from './shared-answers.ts';
import type { OperationRequest, RequestState } from './state.ts';

export interface HttpRules {
  readonly endpoint: string;
  readonly maxBodyBytes: number;
  readonly bodies: Bodies;
  readonly isDraining: () => boolean;
  /**
   * Returns a promise only if the verification takes one.
   *
   * @throws RequestError for missing or invalid credentials.
   */
  readonly authenticate: (headers: HeaderReader, correlation: Correlation) => Caller | Promise<Caller>;
  /** The slots of the caller's merchant. Acquiring one throws RequestError if the concurrency limit is reached. */
  readonly slotsOf: (caller: Caller) => Resource;
  /** @throws RequestError if the rate limit of the caller is exceeded. */
  readonly admit?: ((caller: Caller, address: string | undefined) => void | Promise<void>) | undefined;
  /** Counts a request with refused credentials. @throws RequestError if the rate limit of the address is exceeded. */
  readonly countRefused?: ((address: string | undefined) => void | Promise<void>) | undefined;
  readonly engine: Engine;
  /** Opens the context of an operation. @throws RequestError if authentication has not run. */
  readonly openOperation: (
    state: RequestState,
    request: OperationRequest & { readonly name: string | undefined },
  ) => object;
  /** Opens the explanation of one operation. */
  readonly explain: (mode: ExplainMode) => Explained;
  /** Opens an operation with an `Idempotency-Key`. `undefined`: the header is ignored. */
  readonly openRepeatable: ((key: string, request: RepeatableRequest) => Repeatable | undefined) | undefined;
  /** The deadline of an operation, in ms on the clock of `performance.now()`. */
  readonly deadlineOf: (startedAtMs: number, headers: HeaderReader) => number;
  readonly manifest: Manifest;
  readonly sharedAnswers: SharedAnswers;
  /** Whether callers may send only ids of persisted documents. */
  readonly persistedOnly: boolean;
  readonly report: Report;
  readonly log: Log;
  /** `undefined`: no tracing. */
  readonly traces: Traces | undefined;
}

/** `plan`: which upstream calls the operation would make, without executing it. `trace`: which calls it has made. */
export type ExplainMode = 'plan' | 'trace';

/** The explanation of one operation. It replaces the engine and the contexts of its request. */
interface Explained extends Pick<HttpRules, 'engine' | 'openOperation'> {
  /** Adds the explanation to the answer. Returns the answer of a refused document unchanged. */
  explain(answer: Answer): Answer;
}

const drainRetryAfterSeconds = 1;

/** Headers of every response. */
export const commonHeaders = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

/**
 * The steps of a request before its operation, in order: {@link checkHead}, {@link identify}, reading the body,
 * {@link admit}, reading the parameters, {@link execute}. Both ways to serve a request call these functions, so that
 * each rule exists once. A step that returns a promise only sometimes saves the others the turn of an `await`.
 *
 * @throws RequestError for a request that is refused for every caller.
 */
export function checkHead(head: Head, state: RequestState, rules: HttpRules): void {
  startTrace(head, state, rules);
  // Yoga also accepts other paths, such as `/any/graphql`.
  if (state.origin.target.path !== rules.endpoint) throw notFound(rules.endpoint);
  if (rules.isDraining()) throw overloaded(drainRetryAfterSeconds);
  const fault = findFault(head, rules.maxBodyBytes);
  if (fault !== undefined) throw fault;
}

/** Sets the caller. @throws RequestError for missing or invalid credentials, or if the address sent too many of them. */
export function identify(headers: HeaderReader, state: RequestState, rules: HttpRules): void | Promise<void> {
  const refuse = (error: unknown): void | Promise<void> => {
    const counted = isRefusedCredential(error) ? rules.countRefused?.(state.address) : undefined;
    if (counted === undefined) throw error;
    return counted.then(() => {
      throw error;
    });
  };
  try {
    const caller = rules.authenticate(headers, state);
    if (caller instanceof Promise) {
      return caller.then((identified) => {
        state.caller = identified;
      }, refuse);
    }
    state.caller = caller;
    return undefined;
  } catch (error) {
    return refuse(error);
  }
}

/**
 * Counts the operation against the limits of its merchant and its caller. Call it after the body is read: slow senders must
 * not take slots of the concurrency limit.
 *
 * @throws RequestError if a limit is reached.
 */
export function admit(state: RequestState, rules: HttpRules): void | Promise<void> {
  const caller = callerOf(state);
  state.use(rules.slotsOf(caller));
  // After load shedding: a request that is shed does not count against its caller's rate limit.
  return rules.admit?.(caller, caller.credentialKeys.length === 0 ? state.address : undefined);
}

/** Executes the operation. @throws RequestError for a document that may not be executed, see `documentOf`. */
export function execute(
  params: Params,
  request: OperationRequest,
  state: RequestState,
  rules: HttpRules,
): Answer | Promise<Answer> {
  const caller = callerOf(state);
  const query = documentOf(params, rules.manifest, rules.persistedOnly && !caller.anyDocument);
  const { operationName, variables } = params;
  const { headers, cancellation } = request;
  const key = headers.get(keyHeader);
  if (key != null) {
    const deadlineAtMs = rules.deadlineOf(state.startedAtMs, headers);
    state.repeatable = rules.openRepeatable?.(key, { caller, correlation: state, deadlineAtMs, cancellation });
  }
  const execution = new Execution(request, caller, state, rules);
  const answer = rules.engine.run({ query, operationName, variables }, execution);
  if (state.repeatable !== undefined)
    return endRepeatable(answer, state.repeatable).then((answered) => execution.keep(answered));
  if (answer instanceof Promise) return answer.then((answered) => execution.keep(answered));
  return execution.keep(answer);
}

/** One operation as the engine sees its request. */
class Execution implements EngineRequest {
  readonly correlation: RequestState;
  readonly isGet: boolean;
  readonly mediaType: EngineRequest['mediaType'];
  readonly requester: string;
  readonly cancellation: Cancellation;
  readonly gate: RequestState['repeatable'];
  readonly #request: OperationRequest;
  readonly #rules: HttpRules;

  constructor(request: OperationRequest, caller: Caller, state: RequestState, rules: HttpRules) {
    this.correlation = state;
    this.isGet = request.isGet;
    this.mediaType = mediaTypeOf(request.headers);
    this.requester = credentialsOf(caller) || state.address || '';
    this.cancellation = request.cancellation;
    this.gate = state.repeatable;
    this.#request = request;
    this.#rules = rules;
  }

  createContext({ name, type }: Parameters<EngineRequest['createContext']>[0]): object {
    const { correlation: state } = this;
    const { manifest, openOperation } = this.#rules;
    if (state.span?.isRecorded && name !== undefined && manifest.hasName(name)) state.span.setName(name);
    const { isGet, headers, cancellation, ended } = this.#request;
    const reads = type === 'query' ? this.#request.reads : undefined;
    return openOperation(state, { isGet, headers, cancellation, name, reads, ended });
  }

  keep(answer: Answer): Answer {
    return keep(answer, this.correlation, this.#rules);
  }
}

/** Reports an answer. */
export function keep(answer: Answer, state: RequestState, { report }: HttpRules): Answer {
  state.answer = answer;
  report.answered(state);
  return answer;
}

/** Keeps the writes before the answer is sent: whoever has received an answer can rely on it. */
async function endRepeatable(executed: Answer | Promise<Answer>, repeatable: Repeatable): Promise<Answer> {
  const answer = await executed;
  const isReplay = await repeatable.end();
  return isReplay ? { ...answer, headers: { ...answer.headers, [replayedHeader]: 'true' } } : answer;
}

/** Answers a request that is refused before its operation. Translates every error: an unknown one is logged and masked. */
export function refuse(error: unknown, headers: HeaderReader, state: RequestState, { log, report }: HttpRules): Answer {
  const refusal = toRequestError(error, { correlation: state, log });
  const mediaType = mediaTypeOf(headers);
  const isAnswered = state.answer !== undefined;
  state.answer = {
    // The GraphQL-over-HTTP specification: with `application/json`, an invalid document does not change the status.
    status: refusal.inDocument && mediaType === 'application/json' ? 200 : refusal.status,
    headers: { ...refusal.headers, 'content-type': `${mediaType}; charset=utf-8` },
    body: errorBody(refusal, state.requestId),
    outcome: refusal.code,
    codes: undefined,
    operationType: undefined,
    operationName: undefined,
    document: undefined,
  };
  // A fault while an answer is sent is not another operation.
  if (!isAnswered) report.refused(state);
  return state.answer;
}

/** The media type of the response. JSON is the fallback if the client accepts neither type. Yoga ignores the weights in `Accept`. */
export function mediaTypeOf(headers: HeaderReader): 'application/json' | 'application/graphql-response+json' {
  return answerType(headers.get('accept')) ?? 'application/json';
}

/** Rejects the request if authentication has not run. This guards against routes that bypass it. */
export function callerOf({ caller }: RequestState): Caller {
  if (caller === undefined) throw new RequestError('UNAUTHENTICATED', { status: 401 });
  return caller;
}

function isRefusedCredential(error: unknown): boolean {
  return error instanceof RequestError && error.code === 'UNAUTHENTICATED';
}

/** Starts the span of the operation. Without tracing, only reads the trace id for the log. */
function startTrace({ method, headers }: Head, state: RequestState, { traces, endpoint }: HttpRules): void {
  const traceparent = headers.get('traceparent');
  if (traces === undefined) {
    const parent = traceParentOf(traceparent);
    state.traceId = parent?.traceId;
    if (parent?.isSampled) state.sampledTraceId = parent.traceId;
    return;
  }
  const { origin, startedAtMs } = state;
  state.span = traces.start({
    method,
    scheme: origin.isEncrypted() ? 'https' : 'http',
    route: origin.target.path === endpoint ? endpoint : undefined,
    traceparent,
    tracestate: headers.get('tracestate'),
    startedAtMs,
  });
  state.traceId = state.span.traceId;
  state.sampledTraceId = state.span.sampledTraceId;
}

function notFound(endpoint: string): RequestError {
  return new RequestError('BAD_USER_INPUT', {
    status: 404,
    message: `Not found. The GraphQL endpoint is ${endpoint}.`,
  });
}
