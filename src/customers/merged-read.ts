import { type Customer, type CustomerKey, isSameKey, matchesKey, type Reader, type ReadOptions } from './customer.ts';
import { LazyPromise } from './lazy-promise.ts';
import { added } from './short-list.ts';

/** The reads of one operation. */
interface Reads {
  /** Called when a read has ended with a customer, before its readers are. */
  onCustomer(read: Read): void;
}

/** One upstream read of an operation and its readers. */
export class Read implements Reader, ReadOptions {
  readonly pathId: string;
  /** True if any reader of the batch requests the token. */
  withClientAuthToken: boolean;
  isInFlight = false;
  /** Empty after the read ends, so that a finished read does not keep its readers in memory. */
  #readers: Reader[] | undefined;
  /** The last reader that `get` has added. `undefined` after the read ends. */
  #last: KeyRead | undefined;
  #result: { readonly customer: Customer | null } | { readonly error: unknown } | undefined;

  readonly #reads: Reads;

  constructor(pathId: string, withClientAuthToken: boolean, reads: Reads) {
    this.pathId = pathId;
    this.withClientAuthToken = withClientAuthToken;
    this.#reads = reads;
  }

  /** The customer of an ended read; `null` if there is none. */
  get customer(): Customer | null {
    return this.#result !== undefined && 'customer' in this.#result ? this.#result.customer : null;
  }

  /** Reads with the same key share one promise. A list can have a hundred of them. */
  get(key: CustomerKey): KeyRead {
    if (this.#last !== undefined && isSameKey(this.#last.key, key)) return this.#last;
    const read = new KeyRead(key);
    if (this.#result === undefined) this.#last = read;
    this.join(read);
    return read;
  }

  join(reader: Reader): void {
    if (this.#result === undefined) this.#readers = added(this.#readers, reader);
    else if ('error' in this.#result) reader.reject(this.#result.error);
    else settle(reader, this.#result.customer);
  }

  resolve(customer: Customer | null): void {
    this.#result = { customer };
    if (customer !== null) this.#reads.onCustomer(this);
    for (const reader of this.#end()) settle(reader, customer);
  }

  reject(error: unknown): void {
    this.#result = { error };
    for (const reader of this.#end()) reader.reject(error);
  }

  #end(): readonly Reader[] {
    const readers = this.#readers;
    this.#readers = undefined;
    this.#last = undefined;
    return readers ?? [];
  }
}

/** The path accepts either identifier, but a key of the form `id` or `reference` must match that identifier. */
export class KeyRead extends LazyPromise<Customer | null> {
  readonly key: CustomerKey;

  constructor(key: CustomerKey) {
    super();
    this.key = key;
  }

  override resolve(customer: Customer | null): void {
    super.resolve(onlyIfMatching(customer, this.key));
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
