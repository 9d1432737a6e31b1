import type { GatewayError } from '../errors.ts';
import type { Cancellation } from './cancellation.ts';
import { foldReference } from './identity.ts';
import type { CustomerChanges, NewCustomer } from './input.ts';
import type { Listener } from './lazy-promise.ts';
import type { OperationRecord } from './record.ts';

/** A customer of the provider, with the gateway's field names. A field is `null` if the provider sends no value. */
export interface Customer {
  /** Assigned by the provider: opaque, case-sensitive, never empty. */
  readonly id: string;
  /** The merchant's own identifier, unique per merchant. */
  readonly objectReferenceId: string | null;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly emailAddress: string | null;
  /** National number, digits only. */
  readonly mobileNumber: string | null;
  /** Calling code, digits only. */
  readonly mobileCountryCode: string | null;
  readonly dateCreated: Date | null;
  readonly lastUpdated: Date | null;
  /** `undefined`: not requested. `null`: requested, but the provider returned none. An error: the read of the token failed. */
  readonly clientAuthToken?: ClientAuthToken | GatewayError | null;
}

/** A short-lived credential for the provider's client SDK. */
export interface ClientAuthToken {
  readonly token: string;
  /** An upper bound: the provider may revoke a token earlier. */
  readonly expiresAt: Date;
}

/** Identifies a customer. `any` matches either identifier, as the provider's path does; `id` and `reference` match one of them. */
export type CustomerKey = { readonly any: string } | { readonly id: string } | { readonly reference: string };

export interface ReadOptions {
  /** Requests a client auth token from the provider in the same call. Default `false`. */
  readonly withClientAuthToken?: boolean;
}

/** How a create was confirmed: `CREATED` by its response, `RECONCILED` by a lookup after the response was lost. */
export type CreateOrigin = 'CREATED' | 'RECONCILED';

/**
 * The operations on customers. The HTTP client implements it. Each layer between the client and the resolvers takes one
 * and returns one. Tests pass their own implementation.
 */
export interface CustomerApi {
  /**
   * Reads one customer.
   *
   * @param key `any`: the provider's id or the merchant's reference. `id`, `reference`: this identifier only; a match by
   *   the other identifier returns `null`.
   * @returns the customer, or `null` if the provider reports that it does not exist.
   * @throws GatewayError `BAD_USER_INPUT` for a string that is not a valid path id; `UPSTREAM_TIMEOUT`,
   *   `UPSTREAM_UNAVAILABLE`, `UPSTREAM_REJECTED`, `UPSTREAM_MALFORMED`, `UPSTREAM_MISCONFIGURED`, `RATE_LIMITED`;
   *   `OPERATION_TOO_COMPLEX` above the limit of reads for one operation.
   */
  get(key: CustomerKey, options?: ReadOptions): Promise<Customer | null>;

  /**
   * Creates one customer at most once. After an ambiguous outcome it reads the customer back; it never repeats the POST
   * without that read.
   *
   * @throws GatewayError as `get`, and `ALREADY_EXISTS`, `VALIDATION_FAILED` (a {@link CustomerInvalidError}),
   *   `OUTCOME_UNKNOWN`.
   */
  create(input: NewCustomer, options?: ReadOptions): Promise<{ customer: Customer; origin: CreateOrigin }>;

  /**
   * Changes the fields that are present. The returned customer has no token.
   *
   * @param id the provider's id or the merchant's reference.
   * @throws GatewayError as `get`, and `NOT_FOUND`, `VALIDATION_FAILED`, `OUTCOME_UNKNOWN`.
   */
  update(id: string, changes: CustomerChanges): Promise<Customer>;
}

/** Receives the result of a read, during `read` or later. */
export type Reader = Listener<Customer | null>;

/**
 * A {@link CustomerApi} of the layers below `batched`. They pass one reader down instead of a chain of promises, each of which costs
 * 0.2 µs and keeps its scope alive.
 */
export interface ReadingApi extends CustomerApi {
  /** As `get`, with a reader instead of a promise. Must not throw. */
  read(key: CustomerKey, options: ReadOptions, reader: Reader): void;
}

/** Adds `read` to an API that has promises only, or whose `get` was replaced. */
export function reading(api: CustomerApi): ReadingApi {
  return {
    get: (key, options) => api.get(key, options),
    create: (input, options) => api.create(input, options),
    update: (id, changes) => api.update(id, changes),
    read(key, options, reader) {
      api.get(key, options).then(
        (customer) => reader.resolve(customer),
        (error: unknown) => reader.reject(error),
      );
    },
  };
}

/** An upstream read that several operations wait for. */
export interface SharedRead {
  operations(): readonly Operation[];
  /** Told of each operation that joins the read. */
  joinListener: JoinListener | undefined;
}

export interface JoinListener {
  onJoin(operation: Operation): void;
}

/** An in-flight read of another operation. */
export interface JoinableRead {
  readonly pathId: string;
  /** Adds an operation, whose record then counts the read. */
  add(operation: Operation, reader: Reader): void;
}

export interface ReadListener {
  /** Called with each read of an operation: the in-flight read that it joins, or `undefined` if it makes an upstream call. */
  onRead(joined: JoinableRead | undefined): void;
}

/** A read that has ended, with its result. */
export interface EndedRead {
  readonly pathId: string;
  settle(reader: Reader): void;
}

export type CallerKind = 'anonymous' | 'api-key' | 'jwt' | 'both';

/** The GraphQL operation that an upstream call belongs to. */
export interface Operation {
  /** Correlation id of the operation in the log. */
  readonly requestId: string;
  /** Id of the caller's trace, if the request has one. */
  readonly traceId?: string | undefined;
  /** The same id if the trace is sampled, for exemplars. */
  readonly sampledTraceId?: string | undefined;
  /** Opaque key of the credential or the address, for fairness between the callers of one merchant. Never logged. */
  readonly caller: string;
  /** The kind of the caller's credentials, for the metrics. Default `anonymous`. */
  readonly callerKind?: CallerKind;
  /** Counts what the operation does. */
  readonly record: OperationRecord;
  /** Set only on the operation that `coalescing` creates for a shared read. */
  readonly sharedRead?: SharedRead;
  /** Milliseconds on the clock of `performance.now()`. The deadline includes attempts, retries and queueing. */
  readonly deadlineAtMs: number;
  /** Cancelled when the client disconnects. Stops reads; a write that was sent continues. */
  readonly cancellation: Cancellation;
  /** Called with the provider's request id of each response that has one. */
  onProviderRequest?(id: string): void;
  /** Called right before a write is sent. From then on, an unexpected error does not mean that nothing was changed. */
  onWriteSent?(): void;
  /**
   * Counts an upstream failure by its code or an internal name.
   *
   * @returns whether it is the first failure of this name in the operation. Only the first is logged on its own line.
   */
  onFailure?(name: string): boolean;
  /** See {@link ReadListener}. */
  onRead?: ReadListener['onRead'];
  /**
   * Called with the end of a backoff, in ms on the clock of `performance.now()`. A shared read uses it to reject the
   * operations whose deadline is earlier.
   */
  onBackoff?(untilMs: number): void;
}

/** The same operation with changes. Operations can be objects of a class, which a spread would leave without their methods. */
export function changedOperation(operation: Operation, changes: Partial<Operation>): Operation {
  const { requestId, traceId, sampledTraceId, caller, callerKind, record, sharedRead, deadlineAtMs, cancellation } =
    operation;
  return {
    ...{ requestId, caller, record, deadlineAtMs, cancellation },
    ...(traceId !== undefined && { traceId }),
    ...(sampledTraceId !== undefined && { sampledTraceId }),
    ...(callerKind !== undefined && { callerKind }),
    ...(sharedRead !== undefined && { sharedRead }),
    onProviderRequest: (id) => operation.onProviderRequest?.(id),
    onWriteSent: () => operation.onWriteSent?.(),
    onFailure: (name) => operation.onFailure?.(name) ?? true,
    onBackoff: (untilMs) => operation.onBackoff?.(untilMs),
    ...changes,
  };
}

/** Whether `key` identifies the customer. References are compared without ASCII case and outer blanks, ids exactly. */
export function matchesKey(customer: Customer, key: CustomerKey): boolean {
  if ('id' in key) return customer.id === key.id;
  if ('reference' in key) return hasReference(customer, key.reference);
  return customer.id === key.any || hasReference(customer, key.any);
}

/** Whether the keys have the same form and the same value. */
export function isSameKey(one: CustomerKey, other: CustomerKey): boolean {
  if (pathIdOf(one) !== pathIdOf(other)) return false;
  return 'id' in one === 'id' in other && 'reference' in one === 'reference' in other;
}

/** The string that the path of the call contains. */
export function pathIdOf(key: CustomerKey): string {
  if ('id' in key) return key.id;
  return 'reference' in key ? key.reference : key.any;
}

/**
 * Names of the sent fields whose stored value differs. The provider may normalize values, so the comparison ignores outer
 * blanks, the Unicode form, the case of e-mail addresses, the ASCII case of references, and the plus sign and leading zeros of
 * country codes. Ownership is compared exactly, in `ownership.ts`.
 */
export function differingFields(sent: NewCustomer | CustomerChanges, stored: Customer): string[] {
  return Object.entries(sent)
    .filter(([name, value]) => {
      const found = stored[name as keyof NewCustomer];
      return found === null || normalized(name, found) !== normalized(name, value);
    })
    .map(([name]) => name);
}

function normalized(field: string, value: string): string {
  const text = value.normalize('NFC').trim();
  if (field === 'emailAddress') return text.toLowerCase();
  if (field === 'objectReferenceId') return foldReference(text);
  return field === 'mobileCountryCode' ? text.replace(/^\+?0*/, '') : text;
}

function hasReference(customer: Customer, reference: string): boolean {
  const own = customer.objectReferenceId;
  return own !== null && (own === reference || foldReference(own) === foldReference(reference));
}
