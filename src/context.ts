import type { CustomerApi } from './customer.ts';
import type { Log } from './telemetry.ts';

/** What one GraphQL operation carries to its resolvers. */
export interface OperationContext {
  /** Found again in the log, in `extensions.requestId` and in the `x-request-id` header. */
  readonly requestId: string;
  /** Everything that can be done with customers, under this operation's rights, limits and deadline. */
  readonly customers: CustomerApi;
  readonly log: Log;
}
