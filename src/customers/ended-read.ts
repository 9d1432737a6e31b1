import type { Customer, CustomerApi, CustomerKey, EndedRead, Reader, ReadingApi, ReadOptions } from './customer.ts';
import type { CustomerChanges, NewCustomer } from './input.ts';

/** The API of an operation that has made a read before its execution. Its first read of that path gets the result of that read. */
export function startingWith(ended: EndedRead, api: ReadingApi): ReadingApi {
  return new StartingWith(ended, api);
}

class StartingWith implements ReadingApi {
  readonly #api: ReadingApi;
  #ended: EndedRead | undefined;

  constructor(ended: EndedRead, api: ReadingApi) {
    this.#ended = ended;
    this.#api = api;
  }

  get(key: CustomerKey, options: ReadOptions = {}): Promise<Customer | null> {
    return new Promise((resolve, reject) => this.read(key, options, { resolve, reject }));
  }

  read(key: CustomerKey, options: ReadOptions, reader: Reader): void {
    const ended = this.#ended;
    const isThis = ended !== undefined && !options.withClientAuthToken && 'any' in key && key.any === ended.pathId;
    if (!isThis) return this.#api.read(key, options, reader);
    this.#ended = undefined;
    ended.settle(reader);
  }

  create(input: NewCustomer, options?: ReadOptions): ReturnType<CustomerApi['create']> {
    return this.#api.create(input, options);
  }

  update(id: string, changes: CustomerChanges): Promise<Customer> {
    return this.#api.update(id, changes);
  }
}
