import type { Customer, CustomerApi, CustomerKey, Reader, ReadingApi, ReadOptions } from './customer.ts';
import type { CustomerChanges, NewCustomer } from './input.ts';

/** Something that counts its users, such as the slots of the concurrency limit. */
export interface Resource {
  /** @throws if it cannot be acquired. */
  acquire(): void;
  release(): void;
}

/**
 * Holds `resources` during each write. Writes continue after the client disconnects, so a drain must wait for the write itself.
 *
 * The result is that of the write. A fault of a resource does not change it, because the write was started.
 */
export function tracked(api: ReadingApi, resources: readonly Resource[]): ReadingApi {
  return new Tracked(api, resources);
}

class Tracked implements ReadingApi {
  readonly #api: ReadingApi;
  readonly #resources: readonly Resource[];

  constructor(api: ReadingApi, resources: readonly Resource[]) {
    this.#api = api;
    this.#resources = resources;
  }

  get(key: CustomerKey, options?: ReadOptions): Promise<Customer | null> {
    return this.#api.get(key, options);
  }

  read(key: CustomerKey, options: ReadOptions, reader: Reader): void {
    this.#api.read(key, options, reader);
  }

  create(input: NewCustomer, options?: ReadOptions): ReturnType<CustomerApi['create']> {
    return this.#start(this.#api.create(input, options));
  }

  update(id: string, changes: CustomerChanges): Promise<Customer> {
    return this.#start(this.#api.update(id, changes));
  }

  #start<Result>(write: Promise<Result>): Promise<Result> {
    // Rejects if the write fails, too.
    this.#hold(write).catch(() => undefined);
    return write;
  }

  async #hold(write: Promise<unknown>): Promise<void> {
    for (const resource of this.#resources) resource.acquire();
    try {
      await write;
    } finally {
      for (const resource of this.#resources) resource.release();
    }
  }
}
