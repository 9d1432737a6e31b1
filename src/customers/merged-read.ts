import { type Customer, type CustomerKey, matchesKey, type Reader, type ReadOptions } from './customer.ts';

/** The reads of one operation. */
interface Reads {
  /** Called with the customer of a read before its readers are. */
  onCustomer(read: Read, customer: Customer): void;
}

/** One upstream read of an operation and its readers. */
export class Read implements Reader, ReadOptions {
  readonly pathId: string;
  /** True if any reader of the batch requests the token. */
  withClientAuthToken: boolean;
  isInFlight = false;
  /** Empty after the read ends, so that a finished read does not keep the promises of its readers in memory. */
  #readers: Reader[] = [];
  #result: { readonly customer: Customer | null } | { readonly error: unknown } | undefined;

  readonly #reads: Reads;

  constructor(pathId: string, withClientAuthToken: boolean, reads: Reads) {
    this.pathId = pathId;
    this.withClientAuthToken = withClientAuthToken;
    this.#reads = reads;
  }

  join(reader: Reader): void {
    if (this.#result === undefined) this.#readers.push(reader);
    else if ('error' in this.#result) reader.reject(this.#result.error);
    else settle(reader, this.#result.customer);
  }

  resolve(customer: Customer | null): void {
    if (customer !== null) this.#reads.onCustomer(this, customer);
    this.#result = { customer };
    for (const reader of this.#readers.splice(0)) settle(reader, customer);
  }

  reject(error: unknown): void {
    this.#result = { error };
    for (const reader of this.#readers.splice(0)) reader.reject(error);
  }
}

/** The path accepts either identifier, but a key of the form `id` or `reference` must match that identifier. */
export class KeyReader implements Reader {
  readonly reject: (error: unknown) => void;
  readonly #key: CustomerKey;
  readonly #resolve: (customer: Customer | null) => void;

  constructor(key: CustomerKey, resolve: (customer: Customer | null) => void, reject: (error: unknown) => void) {
    this.#key = key;
    this.#resolve = resolve;
    this.reject = reject;
  }

  resolve(customer: Customer | null): void {
    this.#resolve(customer !== null && matchesKey(customer, this.#key) ? customer : null);
  }
}

/** One reader that fails must not stop the others. */
export function settle(reader: Reader, customer: Customer | null): void {
  try {
    reader.resolve(customer);
  } catch (error) {
    reader.reject(error);
  }
}
