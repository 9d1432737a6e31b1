import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { HeaderReader } from '../auth/auth.ts';
import type { Caller } from '../auth/caller.ts';
import type { Cancellation } from '../customers/cancellation.ts';
import type { EndedRead, ReadListener } from '../customers/customer.ts';
import { OperationRecord } from '../customers/record.ts';
import type { Resource } from '../customers/tracking.ts';
import type { Answer } from '../execution/answer.ts';
import type { Repeatable } from '../idempotency/idempotency.ts';
import type { OperationSpan } from '../telemetry/traces.ts';
import type { Target } from './target.ts';

/** The properties of a request that its entry point sets. */
export interface RequestOrigin {
  /** The request target as sent. `request.url` differs, because URL parsers normalise the path. */
  readonly target: Target;
  /** Returns the IP address of the client; `undefined` if it is unknown. */
  findAddress(): string | undefined;
  /** Whether the client's connection uses TLS. */
  isEncrypted(): boolean;
  /** Reads the body from the `node:http` message. Set for requests of the listener, whose `Request` has no body. */
  readBody?(maxBytes: number): Promise<Uint8Array>;
}

/** The properties of a request that its operation depends on. */
export interface OperationRequest {
  readonly isGet: boolean;
  readonly headers: HeaderReader;
  /** Cancelled when the client disconnects. */
  readonly cancellation: Cancellation;
  /** Told of the reads of a query. */
  readonly reads?: ReadListener | undefined;
  /** A read that a query has made before its execution. */
  readonly ended?: EndedRead | undefined;
}

/** State of one request, from its head to the end of its response. */
export class RequestState {
  readonly requestId = randomUUID();
  /** Start of the request on the monotonic clock, in ms. */
  readonly startedAtMs = performance.now();
  readonly origin: RequestOrigin;
  /** What the operation of this request did. All zero if the request was refused. */
  readonly record = new OperationRecord();
  /** Trace id of the span, or from the header `traceparent`. Set before authentication. */
  traceId: string | undefined;
  /** The same id if the trace is sampled. Other traces cannot be found by an exemplar. */
  sampledTraceId: string | undefined;
  /** Set before authentication, with tracing. */
  span: OperationSpan | undefined;
  /** Set after authentication. */
  caller: Caller | undefined;
  /** Set for an operation with an `Idempotency-Key`. */
  repeatable: Repeatable | undefined;
  /** Set when the answer of an operation, or of a refused one, is known. */
  answer: Answer | undefined;
  #address: { readonly text: string | undefined } | undefined;
  /** `undefined` after the end. */
  #resources: Resource[] | undefined = [];

  constructor(origin: RequestOrigin) {
    this.origin = origin;
  }

  /** IP address of the client. Read on demand: callers with an API key are not identified by it. */
  get address(): string | undefined {
    this.#address ??= { text: this.origin.findAddress() };
    return this.#address.text;
  }

  /** Uses a resource until the response is finished or the client disconnects. @throws if it cannot be acquired. */
  use(resource: Resource): void {
    resource.acquire();
    if (this.#resources === undefined) resource.release();
    else this.#resources.push(resource);
  }

  /** Releases all resources. Call it when the response is finished or the client disconnects. */
  end(): void {
    const resources = this.#resources ?? [];
    this.#resources = undefined;
    for (const resource of resources) resource.release();
  }
}
