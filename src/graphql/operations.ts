import type { HeaderReader } from '../auth/auth.ts';
import type { Caller } from '../auth/caller.ts';
import { batched } from '../customers/batching.ts';
import type { Cancellation } from '../customers/cancellation.ts';
import type { CustomerApi, Operation, ReadingApi } from '../customers/customer.ts';
import { forbidden, owned } from '../customers/ownership.ts';
import type { OperationRecord } from '../customers/record.ts';
import { type Resource, tracked } from '../customers/tracking.ts';
import { codes, RequestError } from '../errors.ts';
import { type AuditEntry, createAudit } from '../telemetry/audit.ts';
import { FailureCount } from '../telemetry/failure-count.ts';
import { type Correlation, correlationOf, type Log, type Metrics } from '../telemetry/log.ts';
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
  readonly pseudonym: (text: string) => string;
  readonly pseudonymOfCaller: (name: string) => string;
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

/** The properties of a request, and the name of its operation. */
interface OperationRequest {
  readonly isGet: boolean;
  readonly headers: HeaderReader;
  /** Cancelled when the client disconnects. */
  readonly cancellation: Cancellation;
  readonly name: string | undefined;
}

/** Creates the contexts of operations: access to customers with the rights, limits and deadline of one operation. */
export function createOperations({ clientOf, inFlight, timeoutMs, maxReads, log, metrics }: OperationsOptions) {
  return { open, deadlineOf };

  /** The deadline of an operation, in ms on the clock of `performance.now()`. */
  function deadlineOf(startedAtMs: number, headers: HeaderReader): number {
    return startedAtMs + Math.min(timeoutMs, budgetOf(headers.get('x-request-timeout-ms')));
  }

  function open(state: RequestState, { isGet, headers, cancellation, name }: OperationRequest): OperationContext {
    const { requestId, startedAtMs, caller, record, span } = state;
    // Reject the request if authentication has not run. This guards against routes that bypass it.
    if (caller === undefined) throw new RequestError('UNAUTHENTICATED', { status: 401 });
    const failures = new FailureCount(log, state);
    state.use(failures);
    const operation: Operation = {
      requestId,
      traceId: state.traceId,
      sampledTraceId: state.sampledTraceId,
      caller: caller.credentialKeys.join(' ') || `address ${state.address}`,
      callerKind: caller.kind ?? 'anonymous',
      record,
      deadlineAtMs: deadlineOf(startedAtMs, headers),
      cancellation,
      onFailure: (failure) => failures.add(failure),
      onWriteSent: () => {
        write.isSent = true;
      },
      onProviderRequest: (id) => {
        providerRequestId = id;
      },
    };
    const write = { isSent: false, isReplayed: false };
    let providerRequestId: string | undefined;
    const client = clientOf(caller);
    if (client) state.use(client);
    if (span?.isRecorded) {
      span.setProvider(client?.merchantId, client?.server);
      record.observe(span);
    }
    const rights = rightsOf(caller, { hasMerchant: client !== undefined, isGet });
    // Only writes have an audit.
    const audit = (entry: AuditEntry) => {
      if (span?.isRecorded) span.write(entry.field, entry.outcome);
      const { outcome, isError = false } = entry;
      if (!isError && outcome in codes) record.countFailure(outcome);
      createAudit(
        {
          correlation: state,
          caller,
          merchant: client?.merchantId,
          pseudonym: client?.pseudonym ?? unknown,
          pseudonymOfCaller: client?.pseudonymOfCaller ?? unknown,
          operationName: name,
          providerRequestId: () => providerRequestId,
        },
        log,
        metrics,
      )(entry);
    };
    const customers = client
      ? owned(batched(tracked(client.open(operation), [inFlight, client, failures]), { maxReads, record }), rights)
      : forbidden;
    const onUnexpected = (cause: unknown) => log.error('unexpected error', { ...correlationOf(state), cause });
    const { repeatable } = state;
    if (repeatable === undefined) return { requestId, caller: rights, customers, audit, write, onUnexpected };
    const onReplay = () => {
      write.isReplayed = true;
    };
    const recorded = repeatable.over(customers, onReplay);
    return { requestId, caller: rights, customers: recorded, audit, write, onUnexpected };
  }
}

/** The pseudonym of everybody without a merchant, whose key would make it. */
const unknown = () => 'unknown';

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
