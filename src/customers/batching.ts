import DataLoader from 'dataloader';
import { GatewayError } from '../errors.ts';
import {
  type Customer,
  type CustomerApi,
  type CustomerKey,
  matchesKey,
  pathIdOf,
  type ReadOptions,
} from './customer.ts';
import { isPathId, looksLikeProviderId } from './identity.ts';

/** One upstream read of this operation. */
interface Read {
  readonly pathId: string;
  /** True if any reader of the batch wants the token. */
  withClientAuthToken: boolean;
  isInFlight: boolean;
  customer: Promise<Customer | null>;
}

/** A reader above the limit that waits because a reservation may be released. */
interface Waiting {
  readonly findRead: () => Read | undefined;
  readonly resolve: (customer: Promise<Customer | null>) => void;
  readonly reject: (error: GatewayError) => void;
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
 * any reader wants it. A response without the token is not used for a reader that wants the token. A response links the id
 * and the reference of its customer, so that later reads by either identifier share it. Writes are passed on; they clear
 * all reads when they end.
 *
 * Create one per operation, never one per process.
 *
 * @param maxReads limit of distinct reads for the operation. Each read above it fails with `OPERATION_TOO_COMPLEX`, in
 *   document order; the other reads succeed.
 */
export function batched(api: CustomerApi, { maxReads }: { maxReads: number }): BatchedApi {
  const reads = new Map<string, Read>();
  /** Keys of the reads that count against `maxReads`. */
  const counted = new Set<string>();
  /** Reservations: counted reads that may turn out to be unnecessary. Each promise resolves when that is decided. */
  const reserved = new Set<Promise<void>>();
  const waiting: Waiting[] = [];

  // DataLoader collects the reads of one tick. Its values are wrapped promises: each read settles separately, so that a
  // slow or failing customer does not delay the others.
  const loader = new DataLoader<Read, { customer: Promise<Customer | null> }>(
    async (batch) => batch.map((read) => ({ customer: start(read) })),
    { cache: false },
  );

  return {
    async get(key, { withClientAuthToken = false, tokenFor } = {}) {
      const pathId = pathIdOf(key);
      // The client rejects this key without a call, so it does not count as a read.
      if (!isPathId(pathId)) return api.get({ any: pathId });
      // The path accepts either identifier, but a key of the form `id` or `reference` must match that identifier.
      const isMatch = (customer: Customer | null) => customer !== null && matchesKey(customer, key);
      const customer =
        withClientAuthToken && tokenFor
          ? await loadTwice(pathId, (found) => isMatch(found) && tokenFor(found))
          : await load(() => find(pathId, withClientAuthToken));
      return isMatch(customer) ? customer : null;
    },
    create: (input, options) => api.create(input, options).finally(() => reads.clear()),
    update: (id, changes) => api.update(id, changes).finally(() => reads.clear()),
  };

  async function load(findRead: () => Read | undefined): Promise<Customer | null> {
    const read = findRead();
    if (read !== undefined) return read.customer;
    if (reserved.size === 0) throw new GatewayError('OPERATION_TOO_COMPLEX');
    // A released reservation leaves a read for a later field of the document.
    const { promise, resolve, reject } = Promise.withResolvers<Customer | null>();
    waiting.push({ findRead, resolve, reject });
    return promise;
  }

  /** Serves waiting readers in document order until the limit is reached. The cost is linear in the readers served. */
  function serveWaiting(): void {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const read = first.findRead();
      if (read === undefined && reserved.size > 0) return;
      waiting.shift();
      if (read === undefined) first.reject(new GatewayError('OPERATION_TOO_COMPLEX'));
      else first.resolve(read.customer);
    }
  }

  /** Reads without the token, then with it. Reserves the second read immediately, so that it counts before later fields do. */
  async function loadTwice(pathId: string, isAllowed: (customer: Customer) => boolean): Promise<Customer | null> {
    const needsToken = (customer: Customer | null) => customer !== null && isAllowed(customer);
    const customer = await load(() => {
      const read = find(pathId, false);
      if (read !== undefined) reserve(countKey(pathId, true), () => read.customer.then(needsToken));
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
      if (known.withClientAuthToken || !withClientAuthToken) return known;
      if (!known.isInFlight) {
        known.withClientAuthToken = true;
        return known;
      }
    }
    if (!count(countKey(pathId, withClientAuthToken))) return undefined;
    const read: Read = { pathId, withClientAuthToken, isInFlight: false, customer: Promise.resolve(null) };
    read.customer = loader.load(read).then(({ customer }) => customer);
    reads.set(pathId, read);
    return read;
  }

  /** @param isNeeded a function, because a promise that is created and not awaited could reject unhandled. */
  function reserve(key: string, isNeeded: () => Promise<boolean>): void {
    if (counted.has(key) || !count(key)) return;
    const decided = isNeeded()
      .catch(() => false)
      .then((needed) => {
        if (!needed) counted.delete(key);
        reserved.delete(decided);
        serveWaiting();
      });
    reserved.add(decided);
  }

  function count(key: string): boolean {
    // A repeated read after a write does not count again.
    if (!counted.has(key) && counted.size >= maxReads) return false;
    counted.add(key);
    return true;
  }

  async function start(read: Read): Promise<Customer | null> {
    read.isInFlight = true;
    const customer = await api.get({ any: read.pathId }, { withClientAuthToken: read.withClientAuthToken });
    if (customer !== null && reads.get(read.pathId) === read) linkIdentifiers(read, customer);
    return customer;
  }

  /** Registers the read under both identifiers of its customer. */
  function linkIdentifiers(read: Read, { id, objectReferenceId }: Customer): void {
    for (const identifier of [id, objectReferenceId]) {
      if (identifier === null || identifier === read.pathId) continue;
      // A reference with the shape of a provider id can be the id of another customer.
      if (identifier !== id && looksLikeProviderId(identifier)) continue;
      const known = reads.get(identifier);
      if (known === undefined || (read.withClientAuthToken && !known.withClientAuthToken)) reads.set(identifier, read);
    }
  }
}

function countKey(pathId: string, withClientAuthToken: boolean): string {
  return `${withClientAuthToken ? 'token' : 'plain'} ${pathId}`;
}
