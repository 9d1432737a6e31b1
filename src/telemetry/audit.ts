import {
  type AuditSink,
  type Correlation,
  correlationOf,
  type Log,
  type LogFields,
  type Metrics,
  textOf,
} from './log.ts';
import type { Pseudonyms } from './pseudonyms.ts';

/** The state of one operation that its audit lines share. */
export interface AuditContext {
  readonly correlation: Correlation;
  readonly callerName: string;
  /** `undefined` if the caller's merchant is not configured. */
  readonly merchant: { readonly merchantId: string; readonly pseudonyms: Pseudonyms } | undefined;
  /** The client's operation name; `undefined` if it is missing or not a valid GraphQL name. */
  readonly operationName: string | undefined;
  /** The provider's request id of its latest response to this operation. */
  readonly providerRequestId: string | undefined;
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
 * Records a mutation field, successful or not: writes one audit line and counts one write in the metrics. The line contains the
 * merchant, pseudonyms of the caller and the customer, the names of the changed fields, and the outcome. It contains no values.
 * Never throws.
 */
export function writeAudit(entry: AuditEntry, context: AuditContext, log: Log, metrics?: Metrics): void {
  try {
    const { field, outcome } = entry;
    const fields = fieldsOf(entry, context);
    // Call `audit` as a method: a custom log may be a class instance that uses `this`.
    if (log.audit) log.audit('audit', fields);
    else log.info('audit', fields);
    metrics?.write({ merchant: context.merchant?.merchantId ?? 'none', field, outcome });
  } catch (cause) {
    // The entry is about a write that has ended. A fault of the audit must not change the result.
    log.error('unexpected error', { ...correlationOf(context.correlation), cause });
  }
}

function fieldsOf({ field, subject, changed, outcome }: AuditEntry, context: AuditContext): LogFields {
  const { correlation, merchant, operationName, providerRequestId } = context;
  const fields: LogFields = { audit: true, requestId: correlation.requestId };
  if (correlation.traceId !== undefined) fields.traceId = correlation.traceId;
  fields.caller = merchant?.pseudonyms.ofCaller(context.callerName) ?? unknown;
  if (merchant !== undefined) fields.merchant = merchant.merchantId;
  if (operationName !== undefined) fields.operationName = operationName;
  fields.field = field;
  fields.customer = merchant?.pseudonyms.of(subject) ?? unknown;
  fields.changed = Object.keys(changed).toSorted();
  fields.outcome = outcome;
  if (providerRequestId !== undefined) fields.providerRequestId = providerRequestId;
  return fields;
}

/** The pseudonym of callers without a merchant. */
const unknown = 'unknown';

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
