import type { Caller } from '../auth/caller.ts';
import type { CustomerApi } from '../customers/customer.ts';
import type { AuditEntry } from '../telemetry/audit.ts';
import type { Log } from '../telemetry/log.ts';

/** The context that the resolvers of one GraphQL operation receive. */
export interface OperationContext {
  /** Also in the log, in `extensions.requestId` and in the header `x-request-id`. */
  readonly requestId: string;
  /** The caller, with the scopes that apply to this operation: over GET, `customer:token` is removed. */
  readonly caller: Caller;
  /** Access to customers, with the rights, limits and deadline of this operation. */
  readonly customers: CustomerApi;
  /** Writes the audit entry of a requested write. */
  readonly audit: (entry: AuditEntry) => void;
  readonly log: Log;
}
