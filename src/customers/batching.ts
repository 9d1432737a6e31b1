import DataLoader from 'dataloader';
import { GatewayError } from '../errors.ts';
import {
  type Customer,
  type CustomerApi,
  type CustomerKey,
  matchesKey,
  pathIdOf,
  type Reader,
  type ReadingApi,
  type ReadOptions,
} from './customer.ts';
import { isPathId, looksLikeProviderId } from './identity.ts';
import type { CustomerChanges, NewCustomer } from './input.ts';
import { KeyRead, onlyIfMatching, Read } from './merged-read.ts';
import type { OperationRecord } from './record.ts';

/** A reader above the limit that waits because a reservation may be released. */
interface Waiting {
  readonly findRead: () => Read | undefined;
  readonly reader: Reader;
}

/** The paths of the reads that count against the limit. A set is created by the first read of its kind: most operations have one kind. */
interface Counted {
  size: number;
  plain: Set<string> | undefined;
  token: Set<string> | undefined;
}

/** `CustomerApi` whose reads can request the token under a condition. */
export interface BatchedApi extends CustomerApi {
  get(key: CustomerKey, options?: BatchedReadOptions): Promise<Customer | null>;
}

interface BatchedReadOptions extends ReadOptions {
  /** Reads the customer without the token first, and reads it again with the token if this returns true. */
  readonly tokenFor?: (customer: Customer) => boolean;
}

/**
 * Merges the reads of one operation. Each customer costs one upstream call for each batch. The call requests the token if
 * any reader requests it. A response without the token is not used for a reader that requests the token. A response links the id
 * and the reference of its customer, so that later reads by either identifier share it. Writes are passed on; they clear
 * all reads when they end.
 *
 * Create one per operation, never one per process.
 *
 * @param maxReads limit of distinct reads for the operation. Each read above it fails with `OPERATION_TOO_COMPLEX`, in
 *   document order; the other reads succeed.
 * @param record counts the merged reads.
 */
export function batched(api: ReadingApi, options: BatchedOptions): BatchedApi {
  return new Batched(api, options);
}

interface BatchedOptions {
  readonly maxReads: number;
  readonly record: Pick<OperationRecord, 'mergedReads'>;
}

/** A class, because each operation has one: see docs/decisions/0036-young-garbage.md. */
class Batched implements BatchedApi {
  readonly #api: ReadingApi;
  readonly #options: BatchedOptions;
  readonly #reads = new Map<string, Read>();
  /** Reads that have ended with a customer, whose other identifier is not in `#reads` yet. */
  #unlinked: Read[] = [];
  /** The reads that count against `maxReads`. */
  readonly #counted: Counted = { size: 0, plain: undefined, token: undefined };
  /** Number of reservations: counted reads that may turn out to be unnecessary. */
  #reserved = 0;
  readonly #waiting: Waiting[] = [];
  #loader: DataLoader<Read, Read> | undefined;

  constructor(api: ReadingApi, options: BatchedOptions) {
    this.#api = api;
    this.#options = options;
  }

  get(key: CustomerKey, { withClientAuthToken = false, tokenFor }: BatchedReadOptions = {}): Promise<Customer | null> {
    const pathId = pathIdOf(key);
    // The client rejects this key without a call, so it does not count as a read.
    if (!isPathId(pathId)) return this.#api.get({ any: pathId });
    if (withClientAuthToken && tokenFor) {
      const isAllowed = (found: Customer) => matchesKey(found, key) && tokenFor(found);
      return this.#loadTwice(pathId, isAllowed).then((customer) => onlyIfMatching(customer, key));
    }
    const read = this.#find(pathId, withClientAuthToken);
    // Nearly every read is found, and needs no function that finds it again.
    if (read !== undefined) return read.get(key);
    const waiting = new KeyRead(key);
    this.#wait(waiting, () => this.#find(pathId, withClientAuthToken));
    return waiting;
  }

  create(input: NewCustomer, options?: ReadOptions): ReturnType<CustomerApi['create']> {
    return this.#clearingReads(this.#api.create(input, options));
  }

  update(id: string, changes: CustomerChanges): Promise<Customer> {
    return this.#clearingReads(this.#api.update(id, changes));
  }

  #clearingReads<Result>(write: Promise<Result>): Promise<Result> {
    return write.then(
      (result) => {
        this.#clearReads();
        return result;
      },
      (error: unknown) => {
        this.#clearReads();
        throw error;
      },
    );
  }

  #clearReads(): void {
    this.#reads.clear();
    this.#unlinked = [];
  }

  /** @param findRead finds the read again, after a reservation was released. */
  #join(reader: Reader, read: Read | undefined, findRead: () => Read | undefined): void {
    if (read !== undefined) read.join(reader);
    else this.#wait(reader, findRead);
  }

  #wait(reader: Reader, findRead: () => Read | undefined): void {
    if (this.#reserved === 0) reader.reject(new GatewayError('OPERATION_TOO_COMPLEX'));
    // A released reservation leaves a read for a later field of the document.
    else this.#waiting.push({ findRead, reader });
  }

  #load(findRead: () => Read | undefined): Promise<Customer | null> {
    return new Promise((resolve, reject) => this.#join({ resolve, reject }, findRead(), findRead));
  }

  /** Serves waiting readers in document order until the limit is reached. The cost is linear in the readers served. */
  #serveWaiting(): void {
    const waiting = this.#waiting;
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const read = first.findRead();
      if (read === undefined && this.#reserved > 0) return;
      waiting.shift();
      this.#join(first.reader, read, first.findRead);
    }
  }

  /** Reads without the token, then with it. Reserves the second read immediately, so that it counts before later fields do. */
  async #loadTwice(pathId: string, isAllowed: (customer: Customer) => boolean): Promise<Customer | null> {
    const needsToken = (customer: Customer | null) => customer !== null && isAllowed(customer);
    const customer = await this.#load(() => {
      const read = this.#find(pathId, false);
      if (read !== undefined) this.#reserve(pathId, () => this.#load(() => read).then(needsToken));
      return read;
    });
    if (customer === null || !needsToken(customer)) return customer;
    return this.#load(() => this.#find(pathId, true)).catch((error: unknown) => {
      // The first read succeeded, so only the token field fails.
      if (error instanceof GatewayError) return { ...customer, clientAuthToken: error };
      throw error;
    });
  }

  /** Returns an existing read or starts a new one; `undefined` if the limit is reached. */
  #find(pathId: string, withClientAuthToken: boolean): Read | undefined {
    if (this.#unlinked.length > 0) this.#linkEnded();
    const known = this.#reads.get(pathId);
    if (known !== undefined) {
      if (known.withClientAuthToken || !withClientAuthToken || !known.isInFlight) {
        known.withClientAuthToken ||= withClientAuthToken;
        this.#options.record.mergedReads += 1;
        return known;
      }
    }
    if (!this.#count(pathId, withClientAuthToken)) return undefined;
    const read = new Read(pathId, withClientAuthToken, this);
    this.#loader ??= this.#openLoader();
    void this.#loader.load(read);
    this.#reads.set(pathId, read);
    return read;
  }

  /**
   * DataLoader collects the reads of one tick: 0.4 µs for each. Its promises are not used, because each read settles its own
   * readers: a slow or failing customer does not delay the others, and a reader needs one promise instead of four.
   */
  #openLoader(): DataLoader<Read, Read> {
    const start = (batch: readonly Read[]) => {
      for (const read of batch) this.#start(read);
      return Promise.resolve(batch);
    };
    return new DataLoader(start, uncached);
  }

  /**
   * Reserves the read with the token.
   *
   * @param isNeeded a function, because a promise that is created and not awaited could reject unhandled.
   */
  #reserve(pathId: string, isNeeded: () => Promise<boolean>): void {
    const counted = this.#counted;
    if (counted.token?.has(pathId) || !this.#count(pathId, true)) return;
    this.#reserved += 1;
    const decide = (needed: boolean) => {
      if (!needed && counted.token?.delete(pathId)) counted.size -= 1;
      this.#reserved -= 1;
      this.#serveWaiting();
    };
    isNeeded().then(decide, () => decide(false));
  }

  #count(pathId: string, withClientAuthToken: boolean): boolean {
    const counted = this.#counted;
    const kind = withClientAuthToken ? 'token' : 'plain';
    // A repeated read after a write does not count again.
    if (counted[kind]?.has(pathId)) return true;
    if (counted.size >= this.#options.maxReads) return false;
    counted.size += 1;
    counted[kind] ??= new Set();
    counted[kind].add(pathId);
    return true;
  }

  #start(read: Read): void {
    read.isInFlight = true;
    try {
      this.#api.read({ any: read.pathId }, read, read);
    } catch (error) {
      read.reject(error);
    }
  }

  /** Linked by the next search only: most operations make none after the first result, and a link takes 0.5 µs. */
  onCustomer(read: Read): void {
    this.#unlinked.push(read);
  }

  /** Registers ended reads under both identifiers of their customers, unless a read with the token has replaced them. */
  #linkEnded(): void {
    for (const read of this.#unlinked) {
      const { customer } = read;
      if (customer === null || this.#reads.get(read.pathId) !== read) continue;
      const { id, objectReferenceId } = customer;
      this.#link(read, id);
      // A reference with the shape of a provider id can be the id of another customer.
      if (objectReferenceId !== null && (objectReferenceId === id || !looksLikeProviderId(objectReferenceId)))
        this.#link(read, objectReferenceId);
    }
    this.#unlinked = [];
  }

  #link(read: Read, identifier: string): void {
    if (identifier === read.pathId) return;
    const known = this.#reads.get(identifier);
    if (known === undefined || (read.withClientAuthToken && !known.withClientAuthToken))
      this.#reads.set(identifier, read);
  }
}

const uncached = { cache: false };
