import type { Caller } from '../auth/caller.ts';
import type { CustomerApi } from '../customers/customer.ts';
import type { AuditEntry } from '../telemetry/audit.ts';

/** The context that the resolvers of one GraphQL operation receive. */
export interface OperationContext {
  /** Also in the log, in `extensions.requestId` and in the header `x-request-id`. */
  readonly requestId: string;
  /** The caller, with the scopes that apply to this operation: over GET, `customer:token` is removed. */
  readonly caller: Caller;
  /** Access to customers, with the rights, limits and deadline of this operation. */
  readonly customers: CustomerApi;
  /** Writes the audit entry of a requested write. Never throws. */
  audit(entry: AuditEntry): void;
  /**
   * Whether the write of the current mutation field may have been sent, and whether an earlier operation with the same
   * `Idempotency-Key` has made it instead. Each mutation field resets both: they run one after the other.
   */
  readonly write: { isSent: boolean; isReplayed: boolean };
  /** Logs an unexpected error that the result hides. Never throws. */
  onUnexpected(cause: unknown): void;
}
