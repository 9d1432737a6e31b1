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
  /** @param options.tokenFor reads the customer without the token first, and reads it again with the token if this returns true. */
  get(
    key: CustomerKey,
    options?: ReadOptions & { readonly tokenFor?: (customer: Customer) => boolean },
  ): Promise<Customer | null>;
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
export function batched(
  api: ReadingApi,
  { maxReads, record }: { readonly maxReads: number; readonly record: Pick<OperationRecord, 'mergedReads'> },
): BatchedApi {
  const reads = new Map<string, Read>();
  /** The reads that count against `maxReads`. */
  const counted: Counted = { size: 0, plain: undefined, token: undefined };
  /** Number of reservations: counted reads that may turn out to be unnecessary. */
  let reserved = 0;
  const waiting: Waiting[] = [];

  // DataLoader collects the reads of one tick: 0.4 µs for each. Its promises are not used, because each read settles its own
  // readers: a slow or failing customer does not delay the others, and a reader needs one promise instead of four.
  const loader = new DataLoader<Read, Read>(
    (batch) => {
      for (const read of batch) start(read);
      return Promise.resolve(batch);
    },
    { cache: false },
  );

  return {
    get(key, { withClientAuthToken = false, tokenFor } = {}) {
      const pathId = pathIdOf(key);
      // The client rejects this key without a call, so it does not count as a read.
      if (!isPathId(pathId)) return api.get({ any: pathId });
      return new Promise((resolve, reject) => {
        const reader = new KeyReader(key, resolve, reject);
        if (withClientAuthToken && tokenFor) {
          const isAllowed = (found: Customer) => matchesKey(found, key) && tokenFor(found);
          loadTwice(pathId, isAllowed).then((customer) => settle(reader, customer), reject);
        } else {
          join(reader, find(pathId, withClientAuthToken), () => find(pathId, withClientAuthToken));
        }
      });
    },
    create: (input, options) => clearingReads(api.create(input, options)),
    update: (id, changes) => clearingReads(api.update(id, changes)),
  };

  function clearingReads<T>(write: Promise<T>): Promise<T> {
    return write.then(
      (result) => {
        reads.clear();
        return result;
      },
      (error: unknown) => {
        reads.clear();
        throw error;
      },
    );
  }

  /** @param findRead finds the read again, after a reservation was released. */
  function join(reader: Reader, read: Read | undefined, findRead: () => Read | undefined): void {
    if (read !== undefined) read.join(reader);
    else if (reserved === 0) reader.reject(new GatewayError('OPERATION_TOO_COMPLEX'));
    // A released reservation leaves a read for a later field of the document.
    else waiting.push({ findRead, reader });
  }

  function load(findRead: () => Read | undefined): Promise<Customer | null> {
    return new Promise((resolve, reject) => join({ resolve, reject }, findRead(), findRead));
  }

  /** Serves waiting readers in document order until the limit is reached. The cost is linear in the readers served. */
  function serveWaiting(): void {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const read = first.findRead();
      if (read === undefined && reserved > 0) return;
      waiting.shift();
      join(first.reader, read, first.findRead);
    }
  }

  /** Reads without the token, then with it. Reserves the second read immediately, so that it counts before later fields do. */
  async function loadTwice(pathId: string, isAllowed: (customer: Customer) => boolean): Promise<Customer | null> {
    const needsToken = (customer: Customer | null) => customer !== null && isAllowed(customer);
    const customer = await load(() => {
      const read = find(pathId, false);
      if (read !== undefined) reserve(pathId, () => load(() => read).then(needsToken));
      return read;
    });
    if (customer === null || !needsToken(customer)) return customer;
    return load(() => find(pathId, true)).catch((error: unknown) => {
      // The first read succeeded, so only the token field fails.
      if (error instanceof GatewayError) return { ...customer, clientAuthToken: error };
      throw error;
    });
  }

  /** Returns an existing read or starts a new one; `undefined` if the limit is reached. */
  function find(pathId: string, withClientAuthToken: boolean): Read | undefined {
    const known = reads.get(pathId);
    if (known !== undefined) {
      if (known.withClientAuthToken || !withClientAuthToken || !known.isInFlight) {
        known.withClientAuthToken ||= withClientAuthToken;
        record.mergedReads += 1;
        return known;
      }
    }
    if (!count(pathId, withClientAuthToken)) return undefined;
    const read = new Read(pathId, withClientAuthToken, linkIdentifiers);
    void loader.load(read);
    reads.set(pathId, read);
    return read;
  }

  /**
   * Reserves the read with the token.
   *
   * @param isNeeded a function, because a promise that is created and not awaited could reject unhandled.
   */
  function reserve(pathId: string, isNeeded: () => Promise<boolean>): void {
    if (counted.token?.has(pathId) || !count(pathId, true)) return;
    reserved += 1;
    const decide = (needed: boolean) => {
      if (!needed && counted.token?.delete(pathId)) counted.size -= 1;
      reserved -= 1;
      serveWaiting();
    };
    isNeeded().then(decide, () => decide(false));
  }

  function count(pathId: string, withClientAuthToken: boolean): boolean {
    const kind = withClientAuthToken ? 'token' : 'plain';
    // A repeated read after a write does not count again.
    if (counted[kind]?.has(pathId)) return true;
    if (counted.size >= maxReads) return false;
    counted.size += 1;
    counted[kind] ??= new Set();
    counted[kind].add(pathId);
    return true;
  }

  function start(read: Read): void {
    read.isInFlight = true;
    try {
      api.read({ any: read.pathId }, read, read);
    } catch (error) {
      read.reject(error);
    }
  }

  /** Registers the read under both identifiers of its customer, unless a write has cleared it. */
  function linkIdentifiers(read: Read, { id, objectReferenceId }: Customer): void {
    if (reads.get(read.pathId) !== read) return;
    for (const identifier of [id, objectReferenceId]) {
      if (identifier === null || identifier === read.pathId) continue;
      // A reference with the shape of a provider id can be the id of another customer.
      if (identifier !== id && looksLikeProviderId(identifier)) continue;
      const known = reads.get(identifier);
      if (known === undefined || (read.withClientAuthToken && !known.withClientAuthToken)) reads.set(identifier, read);
    }
  }
}

/** One upstream read of an operation and its readers. */
class Read implements Reader, ReadOptions {
  readonly pathId: string;
  /** True if any reader of the batch requests the token. */
  withClientAuthToken: boolean;
  isInFlight = false;
  /** Empty after the read ends, so that a finished read does not keep the promises of its readers in memory. */
  #readers: Reader[] = [];
  #result: { readonly customer: Customer | null } | { readonly error: unknown } | undefined;

  readonly #onCustomer: (read: Read, customer: Customer) => void;

  /** @param onCustomer called with the customer before the readers are. */
  constructor(pathId: string, withClientAuthToken: boolean, onCustomer: (read: Read, customer: Customer) => void) {
    this.pathId = pathId;
    this.withClientAuthToken = withClientAuthToken;
    this.#onCustomer = onCustomer;
  }

  join(reader: Reader): void {
    if (this.#result === undefined) this.#readers.push(reader);
    else if ('error' in this.#result) reader.reject(this.#result.error);
    else settle(reader, this.#result.customer);
  }

  resolve(customer: Customer | null): void {
    if (customer !== null) this.#onCustomer(this, customer);
    this.#result = { customer };
    for (const reader of this.#readers.splice(0)) settle(reader, customer);
  }

  reject(error: unknown): void {
    this.#result = { error };
    for (const reader of this.#readers.splice(0)) reader.reject(error);
  }
}

/** The path accepts either identifier, but a key of the form `id` or `reference` must match that identifier. */
class KeyReader implements Reader {
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
function settle(reader: Reader, customer: Customer | null): void {
  try {
    reader.resolve(customer);
  } catch (error) {
    reader.reject(error);
  }
}
