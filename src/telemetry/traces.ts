import {
  type Attributes,
  type Context,
  context,
  createTraceState,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { ErrorCode } from '../errors.ts';
import type { OperationType, Outcome } from './log.ts';
import { traceParentOf } from './trace-parent.ts';

/** Starts the spans of operations. */
export interface Traces {
  start(request: TracedRequest): OperationSpan;
}

/** The head of a request. */
export interface TracedRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** The path of the endpoint; `undefined` if the request has another path. */
  readonly route: string | undefined;
  readonly traceparent: string | null | undefined;
  readonly tracestate: string | null | undefined;
  /** In ms on the clock of `performance.now()`, as all times here. */
  readonly startedAtMs: number;
}

/**
 * The span of one operation. No attribute holds text of a caller: no header, no path, no document, no variable, no id.
 */
export interface OperationSpan {
  readonly traceId: string;
  /** The trace id if the trace is recorded, for exemplars. */
  readonly sampledTraceId: string | undefined;
  /** Whether the span is recorded. If not, the methods other than `end` need not be called. */
  readonly isRecorded: boolean;
  /** @param name the name of an operation of the manifest. Other names are text of the caller. */
  setName(name: string): void;
  /** @param server the provider's address; `undefined` if it is not known yet. */
  setProvider(merchant: string | undefined, server: ServerAddress | undefined): void;
  /** Records the outcome of a mutation field: `CREATED`, `RECONCILED`, `UPDATED` or an error code. */
  write(field: string, outcome: string): void;
  onAttemptStart(attempt: TracedAttempt): void;
  /** Records the span of an upstream attempt. */
  onAttemptEnd(attempt: TracedAttempt, end: TracedAttemptEnd): void;
  /** Call it once, with the answer. */
  end(answer: TracedAnswer): void;
}

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** An upstream attempt. */
export interface TracedAttempt {
  readonly method: string;
  /** The path without the id. */
  readonly pathTemplate: string;
  /** How often the same call was sent before. */
  readonly resends: number;
  /** Whether the call requests a client auth token. */
  readonly withToken: boolean;
  readonly startedAtMs: number;
  /** The wait for a free connection before `startedAtMs`. */
  readonly queuedMs: number;
}

export interface TracedAttemptEnd {
  readonly status: number | undefined;
  readonly outcome: Outcome;
  readonly durationMs: number;
}

export interface TracedAnswer {
  readonly status: number;
  readonly outcome: Outcome;
  readonly operationType: OperationType | undefined;
  /** Counts of the operation. */
  readonly record: { readonly mergedReads: number; readonly sharedReads: number; readonly tokens: number };
}

export interface TracesOptions {
  /** Whether to continue the trace of `traceparent`. Default `true`. */
  readonly continuesTraces?: boolean;
}

/**
 * Creates the spans with the OpenTelemetry API: one of the kind SERVER for each operation, and one of the kind CLIENT for each
 * upstream attempt. The operation continues the active span, which an instrumentation of the host may have started, or else the
 * trace of `traceparent`.
 */
export function createTraces(tracer: Tracer, { continuesTraces = true }: TracesOptions = {}): Traces {
  return {
    start: (request) => new OperationTrace(tracer, request, parentOf(request, continuesTraces)),
  };
}

/**
 * The tracer of the provider that the process has registered, for example with `--import` or in the server that mounts the gateway.
 * `undefined` if there is none.
 */
export function registeredTracer(version?: string): Tracer | undefined {
  const provider = trace.getTracerProvider();
  // Without a registered provider, this is a proxy whose tracers do nothing.
  if ('getDelegateTracer' in provider) {
    return (provider as ProxyProvider).getDelegateTracer(scopeName, version);
  }
  return provider.getTracer(scopeName, version);
}

interface ProxyProvider {
  getDelegateTracer(name: string, version?: string): Tracer | undefined;
}

/** The name of the instrumentation scope. */
export const scopeName = 'juspay-customer-gateway';

function parentOf({ traceparent, tracestate }: TracedRequest, continuesTraces: boolean): Context {
  const active = context.active();
  if (trace.getSpan(active) !== undefined || !continuesTraces) return active;
  const parent = traceParentOf(traceparent);
  if (parent === undefined) return active;
  const { traceId, spanId, isSampled } = parent;
  return trace.setSpanContext(active, {
    traceId,
    spanId,
    traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(tracestate != null && { traceState: createTraceState(tracestate) }),
  });
}

/** Other methods are text of a caller. */
const methods: readonly string[] = ['GET', 'POST', 'OPTIONS', 'HEAD', 'PUT', 'PATCH', 'DELETE'];

/** Outcomes that the caller caused. They do not set the status of the span to an error, as the conventions ask for 4xx. */
const callerErrors: ReadonlySet<string> = new Set<ErrorCode>([
  'BAD_USER_INPUT',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'OPERATION_TOO_COMPLEX',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_ONLY',
  'VALIDATION_FAILED',
  'ALREADY_EXISTS',
  'NOT_FOUND',
  'RATE_LIMITED',
]);

/** Outcomes of mutation fields that are not errors. */
const successes: ReadonlySet<string> = new Set(['CREATED', 'RECONCILED', 'UPDATED']);

class OperationTrace implements OperationSpan {
  readonly traceId: string;
  readonly sampledTraceId: string | undefined;
  readonly isRecorded: boolean;
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;
  #server: ServerAddress | undefined;
  /** At most `LIMIT_ROOT_MUTATIONS`. */
  #writes: string[] | undefined;
  /** The first error of a mutation field. */
  #writeError: string | undefined;

  constructor(tracer: Tracer, { method, scheme, route, startedAtMs }: TracedRequest, parent: Context) {
    const attributes: Attributes = {
      'http.request.method': methods.includes(method) ? method : '_OTHER',
      'url.scheme': scheme,
    };
    if (route !== undefined) {
      attributes['url.path'] = route;
      attributes['http.route'] = route;
    }
    this.#tracer = tracer;
    this.#span = tracer.startSpan(
      'GraphQL Operation',
      { kind: SpanKind.SERVER, startTime: startedAtMs, attributes },
      parent,
    );
    this.#context = trace.setSpan(ROOT_CONTEXT, this.#span);
    const { traceId, traceFlags } = this.#span.spanContext();
    this.traceId = traceId;
    this.sampledTraceId = (traceFlags & TraceFlags.SAMPLED) === 0 ? undefined : traceId;
    this.isRecorded = this.#span.isRecording();
  }

  setName(name: string): void {
    this.#span.setAttribute('graphql.operation.name', name);
  }

  setProvider(merchant: string | undefined, server: ServerAddress | undefined): void {
    this.#server = server;
    if (merchant !== undefined) this.#span.setAttribute('customer_gateway.merchant', merchant);
  }

  write(field: string, outcome: string): void {
    this.#writes ??= [];
    this.#writes.push(`${field} ${outcome}`);
    if (!successes.has(outcome)) this.#writeError ??= outcome;
  }

  onAttemptStart(): void {
    // The span is created at its end, with the time of its start: nothing needs its id before.
  }

  onAttemptEnd(attempt: TracedAttempt, { status, outcome, durationMs }: TracedAttemptEnd): void {
    const { method, pathTemplate, startedAtMs } = attempt;
    const attributes: Attributes = {
      'http.request.method': method,
      'url.template': pathTemplate,
      'customer_gateway.queued_ms': Math.round(attempt.queuedMs),
    };
    if (this.#server !== undefined) {
      attributes['server.address'] = this.#server.host;
      attributes['server.port'] = this.#server.port;
    }
    if (status !== undefined) attributes['http.response.status_code'] = status;
    if (attempt.resends > 0) attributes['http.request.resend_count'] = attempt.resends;
    if (attempt.withToken) attributes['customer_gateway.token_requested'] = true;
    // `NOT_FOUND` is a successful read of a customer that does not exist.
    const isError = outcome !== 'OK' && outcome !== 'NOT_FOUND';
    if (isError) attributes['error.type'] = outcome;
    const span = this.#tracer.startSpan(
      `${method} ${pathTemplate}`,
      { kind: SpanKind.CLIENT, startTime: startedAtMs, attributes },
      this.#context,
    );
    if (isError) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(startedAtMs + durationMs);
  }

  end({ status, outcome, operationType, record }: TracedAnswer): void {
    const span = this.#span;
    if (this.isRecorded) {
      const error = outcome === 'OK' ? this.#writeError : outcome;
      const attributes: Attributes = {
        'http.response.status_code': status,
        'customer_gateway.outcome': error ?? 'OK',
      };
      if (operationType !== undefined) {
        span.updateName(operationType);
        attributes['graphql.operation.type'] = operationType;
      }
      if (this.#writes !== undefined) attributes['customer_gateway.writes'] = this.#writes;
      if (record.mergedReads > 0) attributes['customer_gateway.reads.merged'] = record.mergedReads;
      if (record.sharedReads > 0) attributes['customer_gateway.reads.shared'] = record.sharedReads;
      if (record.tokens > 0) attributes['customer_gateway.tokens'] = record.tokens;
      if (error !== undefined) {
        attributes['error.type'] = error;
        if (!callerErrors.has(error)) span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.setAttributes(attributes);
    }
    span.end(performance.now());
  }
}
