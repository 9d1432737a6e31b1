import type { HeaderReader } from '../auth/auth.ts';
import { type Caller, credentialsOf } from '../auth/caller.ts';
import { batched } from '../customers/batching.ts';
import type { Cancellation } from '../customers/cancellation.ts';
import type {
  CallerKind,
  CustomerApi,
  EndedRead,
  JoinableRead,
  Operation,
  Reader,
  ReadingApi,
  ReadListener,
} from '../customers/customer.ts';
import { startingWith } from '../customers/ended-read.ts';
import { forbidden, owned } from '../customers/ownership.ts';
import type { OperationRecord } from '../customers/record.ts';
import { type Resource, tracked } from '../customers/tracking.ts';
import { codes, RequestError } from '../errors.ts';
import { type AuditEntry, writeAudit } from '../telemetry/audit.ts';
import { FailureCount } from '../telemetry/failure-count.ts';
import { type Correlation, correlationOf, type Log, type Metrics } from '../telemetry/log.ts';
import type { Pseudonyms } from '../telemetry/pseudonyms.ts';
import type { OperationSpan, ServerAddress } from '../telemetry/traces.ts';
import type { OperationContext } from './context.ts';

/** What all operations of a gateway share. */
export interface OperationsOptions {
  /** Returns the client of the caller's merchant; `undefined` if there is no such merchant. */
  readonly clientOf: (caller: Caller) => MerchantClient | undefined;
  /** Counts requests and writes. */
  readonly inFlight: Resource;
  /** Maximum time of an operation. */
  readonly timeoutMs: number;
  /** Maximum number of upstream reads of an operation. */
  readonly maxReads: number;
  readonly log: Log;
  readonly metrics: Metrics | undefined;
}

/** The provider's calls for one merchant. Held while an operation or a write uses its connections. */
interface MerchantClient extends Resource {
  readonly merchantId: string;
  readonly server: ServerAddress | undefined;
  open(operation: Operation): ReadingApi;
  hasRead(read: JoinableRead): boolean;
  readonly pseudonyms: Pseudonyms;
}

/** The state of a request that its operation depends on. */
interface RequestState extends Correlation {
  readonly startedAtMs: number;
  /** `undefined` if authentication has not run. */
  readonly caller: Caller | undefined;
  readonly address: string | undefined;
  /** Counts what the operation does. */
  readonly record: OperationRecord;
  /** The id of a sampled trace, for exemplars. */
  readonly sampledTraceId?: string | undefined;
  /** The span of the operation, with tracing. */
  readonly span: OperationSpan | undefined;
  /** Set for an operation with an `Idempotency-Key`. */
  readonly repeatable?: { over(api: CustomerApi, onReplay: () => void): CustomerApi } | undefined;
  /** Holds a resource until the end of the request. */
  use(resource: Resource): void;
}

/** The properties of a request. */
interface OperationRequest {
  readonly isGet: boolean;
  readonly headers: HeaderReader;
  /** Cancelled when the client disconnects. */
  readonly cancellation: Cancellation;
  /** Told of the reads. */
  readonly reads?: ReadListener | undefined;
}

/** The properties of an operation whose document is known. */
interface KnownOperation extends OperationRequest {
  readonly name: string | undefined;
  /** A read that the operation has made before its execution. Its result answers the first read of the same path. */
  readonly ended?: EndedRead | undefined;
}

/** Creates the contexts of operations: access to customers with the rights, limits and deadline of one operation. */
export function createOperations({ clientOf, inFlight, timeoutMs, maxReads, log, metrics }: OperationsOptions) {
  return { open, join, deadlineOf };

  /** The deadline of an operation, in ms on the clock of `performance.now()`. */
  function deadlineOf(startedAtMs: number, headers: HeaderReader): number {
    return startedAtMs + Math.min(timeoutMs, budgetOf(headers.get('x-request-timeout-ms')));
  }

  function open(state: RequestState, request: KnownOperation): OperationContext {
    const { caller, record, span, repeatable } = state;
    const { isGet, name, ended } = request;
    // Reject the request if authentication has not run. This guards against routes that bypass it.
    if (caller === undefined) throw new RequestError('UNAUTHENTICATED', { status: 401 });
    const client = clientOf(caller);
    const { operation, failures } = begin(state, caller, client, request);
    if (span?.isRecorded) {
      span.setProvider(client?.merchantId, client?.server);
      record.observe(span);
    }
    const rights = rightsOf(caller, { hasMerchant: client !== undefined, isGet });
    const customers = client
      ? owned(
          batched(tracked(openApi(client, operation, ended), [inFlight, client, failures]), { maxReads, record }),
          rights,
        )
      : forbidden;
    const context = new OpenContext(rights, customers, { state, operation, client, operationName: name, log, metrics });
    if (repeatable === undefined) return context;
    const onReplay = () => {
      context.write.isReplayed = true;
    };
    context.customers = repeatable.over(customers, onReplay);
    return context;
  }

  /**
   * Lets an operation wait for an in-flight read without being executed.
   *
   * @returns whether it has joined.
   */
  function join(state: RequestState, request: OperationRequest, read: JoinableRead, reader: Reader): boolean {
    const { caller } = state;
    const client = caller && clientOf(caller);
    if (caller === undefined || client === undefined) return false;
    if (request.cancellation.isCancelled || !client.hasRead(read)) return false;
    read.add(begin(state, caller, client, request).operation, reader);
    return true;
  }

  /** The part that an operation needs for its reads, whether it is executed or not. */
  function begin(
    state: RequestState,
    caller: Caller,
    client: MerchantClient | undefined,
    { headers, cancellation, reads }: OperationRequest,
  ): { operation: OpenOperation; failures: FailureCount } {
    const failures = new FailureCount(log, state);
    state.use(failures);
    const deadlineAtMs = deadlineOf(state.startedAtMs, headers);
    const operation = new OpenOperation(state, { caller, failures, cancellation, deadlineAtMs, reads });
    if (client) state.use(client);
    return { operation, failures };
  }
}

/** An operation as its upstream calls see it. Classes, because each operation has one: closures would keep its whole scope alive. */
class OpenOperation implements Operation {
  readonly requestId: string;
  readonly traceId: string | undefined;
  readonly sampledTraceId: string | undefined;
  readonly caller: string;
  readonly callerKind: CallerKind;
  readonly record: OperationRecord;
  readonly deadlineAtMs: number;
  readonly cancellation: Cancellation;
  readonly write = { isSent: false, isReplayed: false };
  providerRequestId: string | undefined;
  readonly #failures: FailureCount;
  readonly #reads: ReadListener | undefined;

  constructor(
    state: RequestState,
    given: {
      readonly caller: Caller;
      readonly failures: FailureCount;
      readonly cancellation: Cancellation;
      readonly deadlineAtMs: number;
      readonly reads: ReadListener | undefined;
    },
  ) {
    this.requestId = state.requestId;
    this.traceId = state.traceId;
    this.sampledTraceId = state.sampledTraceId;
    // Reading the address takes time, and only anonymous callers are identified by it.
    this.caller = credentialsOf(given.caller) || `address ${state.address}`;
    this.callerKind = given.caller.kind ?? 'anonymous';
    this.record = state.record;
    this.deadlineAtMs = given.deadlineAtMs;
    this.cancellation = given.cancellation;
    this.#failures = given.failures;
    this.#reads = given.reads;
  }

  onFailure(failure: string): boolean {
    return this.#failures.add(failure);
  }

  onRead(joined: JoinableRead | undefined): void {
    this.#reads?.onRead(joined);
  }

  onWriteSent(): void {
    this.write.isSent = true;
  }

  onProviderRequest(id: string): void {
    this.providerRequestId = id;
  }
}

/** The context of the resolvers. */
class OpenContext implements OperationContext {
  readonly requestId: string;
  readonly caller: Caller;
  customers: CustomerApi;
  readonly write: OpenOperation['write'];
  readonly #parts: ContextParts;

  constructor(rights: Caller, customers: CustomerApi, parts: ContextParts) {
    this.requestId = parts.state.requestId;
    this.caller = rights;
    this.customers = customers;
    this.write = parts.operation.write;
    this.#parts = parts;
  }

  /** Only writes have an audit. */
  audit(entry: AuditEntry): void {
    const { state, operation, client, operationName, log, metrics } = this.#parts;
    const { caller, span, record } = state;
    if (span?.isRecorded) span.write(entry.field, entry.outcome);
    const { outcome, isError = false } = entry;
    if (!isError && outcome in codes) record.countFailure(outcome);
    writeAudit(
      entry,
      {
        correlation: state,
        callerName: caller?.name ?? '',
        merchant: client,
        operationName,
        providerRequestId: operation.providerRequestId,
      },
      log,
      metrics,
    );
  }

  onUnexpected(cause: unknown): void {
    const { log, state } = this.#parts;
    log.error('unexpected error', { ...correlationOf(state), cause });
  }
}

interface ContextParts extends Pick<OperationsOptions, 'log' | 'metrics'> {
  readonly state: RequestState;
  readonly operation: OpenOperation;
  readonly client: MerchantClient | undefined;
  readonly operationName: string | undefined;
}

function openApi(client: MerchantClient, operation: Operation, ended: EndedRead | undefined): ReadingApi {
  const api = client.open(operation);
  return ended === undefined ? api : startingWith(ended, api);
}

/** Time limit from the header `X-Request-Timeout-Ms`, in ms. `Infinity` if the header is missing or invalid. */
function budgetOf(header: string | null | undefined): number {
  return header != null && /^[1-9]\d*$/.test(header) ? Number(header) : Number.POSITIVE_INFINITY;
}

/** The caller with the scopes that apply to this operation. The schema's scope checks then report `FORBIDDEN` for each field. */
function rightsOf(caller: Caller, { hasMerchant, isGet }: { hasMerchant: boolean; isGet: boolean }): Caller {
  if (!hasMerchant || caller.denied || caller.customers === 'none') {
    return { ...caller, denied: true, scopes: new Set() };
  }
  if (!isGet) return caller;
  // A GET never creates tokens, because browsers and proxies may repeat, cache and log it.
  return { ...caller, scopes: new Set([...caller.scopes].filter((scope) => scope !== 'customer:token')) };
}
