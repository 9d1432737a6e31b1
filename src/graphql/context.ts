import type { Caller } from '../auth/caller.ts';
import type { CustomerApi } from '../customers/customer.ts';
import type { AuditEntry } from '../telemetry/audit.ts';
import type { Log } from '../telemetry/log.ts';

/** What one GraphQL operation carries to its resolvers. */
export interface OperationContext {
  /** Found again in the log, in `extensions.requestId` and in the `x-request-id` header. */
  readonly requestId: string;
  /** Who is calling, with what this operation leaves of its scopes: none mints a token over GET. */
  readonly caller: Caller;
  /** Everything that can be done with customers, under this operation's rights, limits and deadline. */
  readonly customers: CustomerApi;
  /** Records a write that was asked for. */
  readonly audit: (entry: AuditEntry) => void;
  readonly log: Log;
}
