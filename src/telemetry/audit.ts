import { type Correlation, correlationOf, type Log, type LogFields, type Metrics } from './log.ts';

/** What the lines of one operation have in common. */
export interface AuditContext {
  readonly correlation: Correlation;
  readonly caller: { readonly name: string };
  /** `undefined`: the caller's merchant is none of ours. */
  readonly merchant: string | undefined;
  /** A name for a person or a caller that only who holds the merchant's key can make, so that guessing tells nothing. */
  readonly pseudonym: (text: string) => string;
  /** As the client named it; left out where it is no name. */
  readonly operationName: string | undefined;
  /** The provider's own id of its last answer to this operation. */
  readonly providerRequestId: () => string | undefined;
}

/** One write that was asked for, and how it ended. */
export interface AuditEntry {
  readonly field: string;
  /** The id or the reference of the customer; it leaves as a pseudonym. */
  readonly subject: string;
  /** Only the names of its fields leave. */
  readonly changed: object;
  /** `CREATED`, `RECONCILED`, `UPDATED`, or a code. */
  readonly outcome: string;
}

/**
 * One line, and one count, for each write that was asked for, whatever became of it: who, for which merchant, on whom, which fields, and
 * how it ended. Values never stand in it.
 */
export function createAudit(context: AuditContext, log: Log, metrics?: Metrics): (entry: AuditEntry) => void {
  return ({ field, subject, changed, outcome }) => {
    metrics?.write({ merchant: context.merchant ?? 'none', field, outcome });
    const providerRequestId = context.providerRequestId();
    const fields: LogFields = {
      ...correlationOf(context.correlation),
      caller: context.pseudonym(context.caller.name),
      ...(context.merchant !== undefined && { merchant: context.merchant }),
      ...(context.operationName !== undefined && { operationName: context.operationName }),
      field,
      customer: context.pseudonym(subject),
      changed: Object.keys(changed).toSorted(),
      outcome,
      ...(providerRequestId !== undefined && { providerRequestId }),
    };
    // Called on the object: a log of the caller's own may be a class.
    if (log.audit) log.audit('audit', fields);
    else log.info('audit', fields);
  };
}
