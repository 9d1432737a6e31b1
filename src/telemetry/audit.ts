import {
  type AuditSink,
  type Correlation,
  correlationOf,
  type Log,
  type LogFields,
  type Metrics,
  textOf,
} from './log.ts';

/** The state of one operation that its audit lines share. */
export interface AuditContext {
  readonly correlation: Correlation;
  readonly caller: { readonly name: string };
  /** The merchant id; `undefined` if the caller's merchant is not configured. */
  readonly merchant: string | undefined;
  /** Maps an identifier to a keyed hash. Without the merchant's key, a guessed identifier cannot be confirmed. */
  readonly pseudonym: (text: string) => string;
  /** The same for the name of the caller. Remembers the result: an HMAC takes 3 µs, and callers are few. */
  readonly pseudonymOfCaller: (name: string) => string;
  /** The client's operation name; `undefined` if it is missing or not a valid GraphQL name. */
  readonly operationName: string | undefined;
  /** The provider's request id of its latest response to this operation. */
  readonly providerRequestId: () => string | undefined;
}

/** One mutation field and its outcome. */
export interface AuditEntry {
  readonly field: string;
  /** The customer's id or object reference id. The log line holds its pseudonym. */
  readonly subject: string;
  /** The input. The log line holds its field names only. */
  readonly changed: object;
  /** `CREATED`, `RECONCILED`, `UPDATED`, or an error code. */
  readonly outcome: string;
  /** Whether the field fails with a GraphQL error. Otherwise a failure is part of the result. Default `false`. */
  readonly isError?: boolean;
}

/**
 * Records every mutation field, successful or not: writes one audit line and counts one write in the metrics. The line contains the
 * merchant, pseudonyms of the caller and the customer, the names of the changed fields, and the outcome. It contains no values.
 */
export function createAudit(context: AuditContext, log: Log, metrics?: Metrics): (entry: AuditEntry) => void {
  return (entry) => {
    try {
      record(entry);
    } catch (cause) {
      // The entry is about a write that has ended. A fault of the audit must not change the result.
      log.error('unexpected error', { ...correlationOf(context.correlation), cause });
    }
  };

  function record({ field, subject, changed, outcome }: AuditEntry): void {
    const providerRequestId = context.providerRequestId();
    const fields: LogFields = {
      audit: true,
      ...correlationOf(context.correlation),
      caller: context.pseudonymOfCaller(context.caller.name),
      ...(context.merchant !== undefined && { merchant: context.merchant }),
      ...(context.operationName !== undefined && { operationName: context.operationName }),
      field,
      customer: context.pseudonym(subject),
      changed: Object.keys(changed).toSorted(),
      outcome,
      ...(providerRequestId !== undefined && { providerRequestId }),
    };
    // Call `audit` as a method: a custom log may be a class instance that uses `this`.
    if (log.audit) log.audit('audit', fields);
    else log.info('audit', fields);
    metrics?.write({ merchant: context.merchant ?? 'none', field, outcome });
  }
}

/** A log that adds its audit lines to a file too. */
export function withAuditFile(log: Log, file: AuditSink): Log {
  return {
    get isDebugDropped() {
      return log.isDebugDropped === true;
    },
    debug: (message, fields) => log.debug(message, fields),
    info: (message, fields) => log.info(message, fields),
    warn: (message, fields) => log.warn(message, fields),
    error: (message, fields) => log.error(message, fields),
    audit(message, fields) {
      file.append(textOf('info', message, fields));
      return log.audit ? log.audit(message, fields) : log.info(message, fields);
    },
  };
}
