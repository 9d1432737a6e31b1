import type { ReasonKind } from './calls.ts';

/** What `extensions.explain` holds: the documented contract of the header `x-gateway-explain`. It has no data of a customer. */
export type Explanation = Plan | Trace;

/** The upstream calls that an operation would make. Nothing was executed. */
export interface Plan {
  readonly mode: 'plan';
  /** The calls if each of them succeeds: every customer exists, and the caller may access it. In the order of the calls. */
  readonly calls: readonly PlannedCall[];
  /** Fields that fail before they make a call, at most the first five errors of the operation. */
  readonly refused: readonly RefusedField[];
}

/** One call of the client. */
interface Explained {
  /** From 1. */
  readonly call: number;
  readonly method: 'GET' | 'POST';
  /** The path without the id. */
  readonly path: '/customers' | '/customers/{customer_id}';
  /** A placeholder, such as `{customer 1}`. Equal ids have equal placeholders within one explanation. */
  readonly customer: string;
  /** Whether the call creates a client auth token. */
  readonly token: boolean;
  readonly reasons: readonly ExplainedReason[];
  /** The number of reads of fields and list items that the call answers. More than 1: they were merged. */
  readonly reads: number;
}

export interface ExplainedReason {
  readonly kind: ReasonKind | ConditionalReason;
  /** Paths of fields in the response, without indexes of lists. */
  readonly fields: readonly string[];
  /** A sentence. */
  readonly text: string;
}

export interface PlannedCall extends Explained {
  /** The number of the call that must succeed before. `null` if the call depends on no other one. */
  readonly after: number | null;
  /** A command for a shell. Credentials are variables of the shell, identifiers and values are placeholders. */
  readonly curl: string;
  /** Further calls in case this one does not succeed. */
  readonly conditional: readonly ConditionalCall[];
}

/**
 * `ALREADY_EXISTS`: the create is refused because its reference exists. `OUTCOME_UNKNOWN`: the outcome of the write is unknown.
 * `NOT_APPLIED`: its outcome was unknown, and the lookup finds that it had no effect.
 */
export type Condition = 'ALREADY_EXISTS' | 'OUTCOME_UNKNOWN' | 'NOT_APPLIED';

/** `EXISTING`: fields of the refused create read the stored customer. `LOOKUP`, `REPEAT`: the call settles the write. */
export type ConditionalReason = 'EXISTING' | 'LOOKUP' | 'REPEAT';

export interface ConditionalCall extends Omit<Explained, 'call'> {
  readonly condition: Condition;
  readonly curl: string;
}

export interface RefusedField {
  /** Response names and list indexes, joined by dots. */
  readonly field: string;
  /** An error code. */
  readonly code: string;
}

/** The upstream calls that an operation has made. */
export interface Trace {
  readonly mode: 'trace';
  readonly calls: readonly TracedCall[];
}

export interface TracedCall extends Explained {
  /** Whether an in-flight call of another operation answered the reads. It then has no attempts here. */
  readonly shared: boolean;
  /** The requests that were sent, including retries and the calls that settle a write. */
  readonly attempts: readonly TracedAttempt[];
}

export interface TracedAttempt {
  readonly method: 'GET' | 'POST';
  readonly path: '/customers' | '/customers/{customer_id}';
  readonly token: boolean;
  /** From 1. The attempt with the other key after a 401 has the number of the refused one. */
  readonly attempt: number;
  /** `null` without a complete response, and for reads of a caller that is bound to a customer. */
  readonly status: number | null;
  /** `OK` or an error code. `null` if the attempt has not ended, and for reads of a caller that is bound to a customer. */
  readonly outcome: string | null;
  /** `null` if the attempt has not ended. */
  readonly durationMs: number | null;
  /** The wait for a free connection before. */
  readonly queuedMs: number;
}

/** The text of an explanation's reason. */
export function reasonText(kind: ExplainedReason['kind'], fields: readonly string[]): string {
  const names = listOf(fields);
  const many = fields.length > 1;
  const texts: Readonly<Record<ExplainedReason['kind'], string>> = {
    READ: `${names} ${many ? 'read' : 'reads'} the customer.`,
    TOKEN: `${names} ${many ? 'request' : 'requests'} a client auth token.`,
    OWNERSHIP: `The caller is bound to one customer: the owner is established before ${names}.`,
    CREATE: `${names} creates the customer.`,
    UPDATE: `${names} changes the customer.`,
    TOKEN_AFTER_UPDATE: `${names} ${many ? 'request' : 'requests'} a client auth token, which the response to an update does not have.`,
    EXISTING: `${names} ${many ? 'read' : 'reads'} the stored customer.`,
    LOOKUP: `Finds out whether ${names} had an effect.`,
    REPEAT: `Sends ${names} again.`,
  };
  return texts[kind];
}

function listOf(fields: readonly string[]): string {
  const shown = fields.slice(0, maxNamedFields).map((field) => `\`${field}\``);
  if (fields.length > maxNamedFields) shown.push(`${fields.length - maxNamedFields} more`);
  const last = shown.pop() ?? '';
  return shown.length === 0 ? last : `${shown.join(', ')} and ${last}`;
}

/** Fields that a sentence names. */
const maxNamedFields = 5;
