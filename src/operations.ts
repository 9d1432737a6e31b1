import type { Caller } from './auth/caller.ts';
import { batched } from './customers/batching.ts';
import type { Operation } from './customers/customer.ts';
import { forbidden, owned } from './customers/ownership.ts';
import { tracked } from './customers/tracking.ts';
import { RequestError } from './errors.ts';
import type { OperationContext } from './graphql/context.ts';
import type { OperationRequest } from './http/rules.ts';
import type { RequestState, Resource } from './http/state.ts';
import type { Merchants } from './juspay/merchants.ts';
import { type AuditEntry, createAudit } from './telemetry/audit.ts';
import { correlationOf, FailureCount, type Log, type Metrics } from './telemetry/log.ts';

/** What all operations of a gateway share. */
export interface OperationsOptions {
  readonly merchants: Pick<Merchants, 'of'>;
  /** Counts requests and writes. */
  readonly inFlight: Resource;
  /** Maximum time of an operation. */
  readonly timeoutMs: number;
  /** Maximum number of upstream reads of an operation. */
  readonly maxReads: number;
  readonly log: Log;
  readonly metrics: Metrics | undefined;
}

/** A request and the name of its operation. */
type Request = OperationRequest & { readonly name: string | undefined };

/** Creates the contexts of operations: access to customers with the rights, limits and deadline of one operation. */
export function createOperations({ merchants, inFlight, timeoutMs, maxReads, log, metrics }: OperationsOptions) {
  return { open };

  function open(state: RequestState, { isGet, headers, cancellation, name }: Request): OperationContext {
    const { requestId, startedAtMs, caller } = state;
    // Reject the request if authentication has not run. This guards against routes that bypass it.
    if (caller === undefined) throw new RequestError('UNAUTHENTICATED', { status: 401 });
    const failures = new FailureCount(log, state);
    state.use(failures);
    const operation: Operation = {
      requestId,
      traceId: state.traceId,
      caller: caller.credentialKeys.join(' ') || `address ${state.address}`,
      deadlineAtMs: startedAtMs + Math.min(timeoutMs, budgetOf(headers.get('x-request-timeout-ms'))),
      cancellation,
      onFailure: (failure) => failures.add(failure),
      onWriteSent: () => {
        write.isSent = true;
      },
      onProviderRequest: (id) => {
        providerRequestId = id;
      },
    };
    const write = { isSent: false };
    let providerRequestId: string | undefined;
    const client = merchants.of(caller);
    if (client) state.use(client);
    const rights = rightsOf(caller, { hasMerchant: client !== undefined, isGet });
    // Only writes have an audit.
    const audit = (entry: AuditEntry) =>
      createAudit(
        {
          correlation: state,
          caller,
          merchant: client?.merchantId,
          pseudonym: client?.pseudonym ?? (() => 'unknown'),
          operationName: name,
          providerRequestId: () => providerRequestId,
        },
        log,
        metrics,
      )(entry);
    const customers = client
      ? owned(
          batched(
            tracked(client.open(operation), (write) => during(write, [inFlight, client, failures])),
            { maxReads },
          ),
          rights,
        )
      : forbidden;
    const onUnexpected = (cause: unknown) => log.error('unexpected error', { ...correlationOf(state), cause });
    return { requestId, caller: rights, customers, audit, write, onUnexpected };
  }
}

/** Time limit from the header `X-Request-Timeout-Ms`, in ms. `Infinity` if the header is missing or invalid. */
function budgetOf(header: string | null | undefined): number {
  return header != null && /^[1-9]\d*$/.test(header) ? Number(header) : Number.POSITIVE_INFINITY;
}

/** A write uses the resources until it has ended, as it continues after the client disconnects. */
async function during(write: Promise<unknown>, resources: readonly Resource[]): Promise<void> {
  for (const resource of resources) resource.acquire();
  try {
    await write;
  } finally {
    for (const resource of resources) resource.release();
  }
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
