import { GatewayError } from '../errors.ts';
import type { Customer, CustomerApi, CustomerKey, Operation, Reader, ReadingApi, ReadOptions } from './customer.ts';
import { InFlightRead, type InFlightReads, type WrittenIdentifiers } from './in-flight-reads.ts';
import type { CustomerChanges, NewCustomer } from './input.ts';

/**
 * Invalidates the in-flight reads of other processes. Resolves when they are invalidated, or after a time limit. Never rejects.
 */
type InvalidateElsewhere = (identifiers: WrittenIdentifiers) => Promise<unknown>;

/**
 * Shares one upstream call between concurrent operations that read the same customer without the token. Responses are not
 * cached. Reads with a token are never shared.
 *
 * A write invalidates the in-flight reads of its customer when it starts and when it ends. So a read that starts after the
 * response of a write never gets a response to an earlier request. The reads of other processes are invalidated before a write
 * has its response.
 */
export function coalescing(
  reads: InFlightReads,
  invalidateElsewhere?: InvalidateElsewhere,
): (operation: Operation) => ReadingApi {
  const merchant: MerchantReads = { reads, invalidateElsewhere };
  return (operation) => new Coalesced(reads.client(operation), operation, merchant);
}

/** What the operations of a merchant share. */
interface MerchantReads {
  readonly reads: InFlightReads;
  readonly invalidateElsewhere: InvalidateElsewhere | undefined;
}

/** The customers as one operation reads and writes them. */
class Coalesced implements ReadingApi {
  readonly #api: ReadingApi;
  readonly #operation: Operation;
  readonly #merchant: MerchantReads;

  constructor(api: ReadingApi, operation: Operation, merchant: MerchantReads) {
    this.#api = api;
    this.#operation = operation;
    this.#merchant = merchant;
  }

  get(key: CustomerKey, options: ReadOptions = {}): Promise<Customer | null> {
    return new Promise((resolve, reject) => this.read(key, options, { resolve, reject }));
  }

  read(key: CustomerKey, options: ReadOptions, reader: Reader): void {
    // `batched` reads by `any` and checks `id` and `reference` itself, so only `any` is shared.
    const operation = this.#operation;
    if (options.withClientAuthToken || !('any' in key)) {
      operation.onRead?.(undefined);
      return this.#api.read(key, options, reader);
    }
    const inFlight = this.#merchant.reads;
    if (operation.cancellation.isCancelled) return reader.reject(new GatewayError('UPSTREAM_TIMEOUT'));
    const known = inFlight.find(key.any);
    operation.onRead?.(known);
    if (known !== undefined) return known.add(operation, reader);
    const read = new InFlightRead(key.any, operation.record, inFlight);
    read.join(operation, reader);
    inFlight.add(read);
    read.start();
  }

  async create(input: NewCustomer, options?: ReadOptions): ReturnType<CustomerApi['create']> {
    this.#merchant.reads.invalidate([input.objectReferenceId]);
    let written: Customer | undefined;
    try {
      const created = await this.#api.create(input, options);
      written = created.customer;
      return created;
    } finally {
      const others = this.#invalidate([input.objectReferenceId, ...identifiersOf(written)]);
      if (others !== undefined) await others;
    }
  }

  async update(id: string, changes: CustomerChanges): Promise<Customer> {
    this.#merchant.reads.invalidate([id]);
    let written: Customer | undefined;
    try {
      written = await this.#api.update(id, changes);
      return written;
    } finally {
      // Without a response the other identifier of the customer is unknown, and any in-flight read can be its read.
      const others = this.#invalidate(written && [id, ...identifiersOf(written)]);
      if (others !== undefined) await others;
    }
  }

  /** Without other processes, the result of the write does not wait for a further turn. */
  #invalidate(identifiers: WrittenIdentifiers): Promise<unknown> | undefined {
    const { reads, invalidateElsewhere } = this.#merchant;
    reads.invalidate(identifiers);
    return invalidateElsewhere?.(identifiers);
  }
}

function identifiersOf(customer: Customer | undefined): string[] {
  if (customer === undefined) return [];
  return customer.objectReferenceId === null ? [customer.id] : [customer.id, customer.objectReferenceId];
}
