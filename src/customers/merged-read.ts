import { type Customer, type CustomerKey, isSameKey, matchesKey, type Reader, type ReadOptions } from './customer.ts';

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
  /** The last reader that `get` has added. `undefined` after the read ends. */
  #last: { readonly key: CustomerKey; readonly promise: Promise<Customer | null> } | undefined;
  #result: { readonly customer: Customer | null } | { readonly error: unknown } | undefined;

  readonly #reads: Reads;

  constructor(pathId: string, withClientAuthToken: boolean, reads: Reads) {
    this.pathId = pathId;
    this.withClientAuthToken = withClientAuthToken;
    this.#reads = reads;
  }

  /** Reads with the same key share one promise, which with its reader takes 0.6 kB. A list can have a hundred of them. */
  get(key: CustomerKey): Promise<Customer | null> {
    if (this.#last !== undefined && isSameKey(this.#last.key, key)) return this.#last.promise;
    const promise = new Promise<Customer | null>((resolve, reject) => this.join(new KeyReader(key, resolve, reject)));
    if (this.#result === undefined) this.#last = { key, promise };
    return promise;
  }

  join(reader: Reader): void {
    if (this.#result === undefined) this.#readers.push(reader);
    else if ('error' in this.#result) reader.reject(this.#result.error);
    else settle(reader, this.#result.customer);
  }

  resolve(customer: Customer | null): void {
    if (customer !== null) this.#reads.onCustomer(this, customer);
    this.#result = { customer };
    this.#last = undefined;
    for (const reader of this.#readers.splice(0)) settle(reader, customer);
  }

  reject(error: unknown): void {
    this.#result = { error };
    this.#last = undefined;
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
    this.#resolve(onlyIfMatching(customer, this.#key));
  }
}

export function onlyIfMatching(customer: Customer | null, key: CustomerKey): Customer | null {
  return customer !== null && matchesKey(customer, key) ? customer : null;
}

/** One reader that fails must not stop the others. */
function settle(reader: Reader, customer: Customer | null): void {
  try {
    reader.resolve(customer);
  } catch (error) {
    reader.reject(error);
  }
}
