import type { GatewayError } from '../errors.ts';
import { foldReference } from './identity.ts';
import type { CustomerChanges, NewCustomer } from './input.ts';

/** A payer known to the provider, in the gateway's spelling. `null` is what the provider does not tell. */
export interface Customer {
  /** Given by the provider: opaque, case-sensitive, never empty. */
  readonly id: string;
  /** The merchant's own identifier, unique per merchant. */
  readonly objectReferenceId: string | null;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly emailAddress: string | null;
  /** National number: digits only. */
  readonly mobileNumber: string | null;
  /** Calling code: digits only. */
  readonly mobileCountryCode: string | null;
  readonly dateCreated: Date | null;
  readonly lastUpdated: Date | null;
  /** `undefined`: nobody asked for it; `null`: asked for, and the provider gave none; an error: its own read failed. */
  readonly clientAuthToken?: ClientAuthToken | GatewayError | null;
}

/** A short-lived credential for the provider's client SDK. */
export interface ClientAuthToken {
  readonly token: string;
  /** An upper bound: the provider may end a token earlier. */
  readonly expiresAt: Date;
}

/** How a customer is named: by either identifier (as the provider's path takes them), or by one of the two alone. */
export type CustomerKey = { readonly any: string } | { readonly id: string } | { readonly reference: string };

export interface ReadOptions {
  /** Asks the provider to mint a client auth token with the answer. Default `false`. */
  readonly withClientAuthToken?: boolean;
}

/** How a create came to be known as done: by its own answer, or found after that answer was lost. */
export type CreateOrigin = 'CREATED' | 'RECONCILED';

/**
 * All that can be done with customers. The HTTP client is one; every layer between it and the resolvers takes one and
 * is one; a test hands in its own.
 */
export interface CustomerApi {
  /**
   * Reads one customer.
   *
   * @param key `any`: the provider's id or the merchant's reference. `id`, `reference`: that one only; a customer that
   *   answers to the string by its other identifier counts as none.
   * @returns the customer, or `null` when the provider says that there is none.
   * @throws GatewayError `BAD_USER_INPUT` for a string that cannot be a path id; `UPSTREAM_TIMEOUT`,
   *   `UPSTREAM_UNAVAILABLE`, `UPSTREAM_REJECTED`, `UPSTREAM_MALFORMED`, `UPSTREAM_MISCONFIGURED`, `RATE_LIMITED`;
   *   `OPERATION_TOO_COMPLEX` beyond the reads one operation may cost.
   */
  get(key: CustomerKey, options?: ReadOptions): Promise<Customer | null>;

  /**
   * Creates one customer, once: an unknown outcome is settled by reading back, never by posting blindly again.
   *
   * @throws GatewayError as `get`, and `ALREADY_EXISTS`, `VALIDATION_FAILED` (a {@link CustomerInvalidError}),
   *   `OUTCOME_UNKNOWN`.
   */
  create(input: NewCustomer, options?: ReadOptions): Promise<{ customer: Customer; origin: CreateOrigin }>;

  /**
   * Changes the fields that are present. The customer that comes back never carries a token.
   *
   * @param id the provider's id or the merchant's reference.
   * @throws GatewayError as `get`, and `NOT_FOUND`, `VALIDATION_FAILED`, `OUTCOME_UNKNOWN`.
   */
  update(id: string, changes: CustomerChanges): Promise<Customer>;
}

/** A read that several operations wait for. */
export interface SharedRead {
  readonly waiters: ReadonlySet<Operation>;
  /** Told of each operation that joins. */
  readonly joinListeners: Set<(operation: Operation) => void>;
}

/** What every call to the provider carries. */
export interface Operation {
  /** The id under which this operation is found in the log. */
  readonly requestId: string;
  /** The same of the caller's trace, where it named one. */
  readonly traceId?: string | undefined;
  /**
   * Whose operation it is, so that no caller takes what belongs to all of its merchant: an opaque key, of a credential or of
   * an address. Never logged.
   */
  readonly caller: string;
  /** Only of a read that is shared. */
  readonly sharedRead?: SharedRead;
  /** On the monotonic clock of `performance.now()`, in ms. Attempts, retries and waiting all fit inside it. */
  readonly deadlineAtMs: number;
  /** Aborted when nobody waits for the answer any more. Stops reads; a write that was sent goes on. */
  readonly signal: AbortSignal;
  /** Told the provider's own id of each answer, where it sent one. */
  readonly onProviderRequest?: (id: string) => void;
  /**
   * Counts a failure of the upstream, by its code or a name of our own.
   *
   * @returns whether it is the first of this name in the operation: the others are summed up in one line of the log.
   */
  readonly onFailure?: (name: string) => boolean;
  /** Told until when the provider holds the call back, on the monotonic clock: who shares it may have less time. */
  readonly onBackoff?: (untilMs: number) => void;
}

/** Whether a customer answers to `key`. References compare without ASCII case and outer blanks, ids exactly. */
export function matchesKey(customer: Customer, key: CustomerKey): boolean {
  if ('id' in key) return customer.id === key.id;
  if ('reference' in key) return hasReference(customer, key.reference);
  return customer.id === key.any || hasReference(customer, key.any);
}

/** The string of a key, as it stands in the path. */
export function pathIdOf(key: CustomerKey): string {
  if ('id' in key) return key.id;
  return 'reference' in key ? key.reference : key.any;
}

/**
 * Names of the sent fields whose stored value is another one. A provider may tidy what it stores, so both are compared
 * without outer blanks and in one Unicode form, e-mail addresses without case, country codes without plus sign and leading
 * zeros.
 */
export function differingFields(sent: NewCustomer | CustomerChanges, stored: Customer): string[] {
  return Object.entries(sent)
    .filter(([name, value]) => {
      const found = stored[name as keyof NewCustomer];
      return found === null || tidied(name, found) !== tidied(name, value);
    })
    .map(([name]) => name);
}

function tidied(field: string, value: string): string {
  const text = value.normalize('NFC').trim();
  if (field === 'emailAddress') return text.toLowerCase();
  return field === 'mobileCountryCode' ? text.replace(/^\+?0*/, '') : text;
}

function hasReference(customer: Customer, reference: string): boolean {
  const own = customer.objectReferenceId;
  return own !== null && (own === reference || foldReference(own) === foldReference(reference));
}
