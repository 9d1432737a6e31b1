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
  /** ORed within a batch: who wants the token makes the whole read ask for it. */
  withClientAuthToken: boolean;
  underWay: boolean;
  customer: Promise<Customer | null>;
}

/** A reader beyond the reads that are left while others are only held. */
interface Waiting {
  readonly findIt: () => Read | undefined;
  readonly resolve: (customer: Promise<Customer | null>) => void;
  readonly reject: (error: GatewayError) => void;
}

/** Reads, where a token can be had under a condition. */
export interface BatchedApi extends CustomerApi {
  /** @param options.tokenFor the token is asked for only after a plain read of a customer for whom this says yes. */
  get(
    key: CustomerKey,
    options?: ReadOptions & { readonly tokenFor?: (customer: Customer) => boolean },
  ): Promise<Customer | null>;
}

/**
 * The reads of one operation merged: one upstream call for each customer and batch, with the token if any reader wants
 * it. An answer without the token never serves a reader that wants one; an answer with it serves both. Once known, the
 * id and the reference of a customer meet. Writes go straight through, then everything read is forgotten.
 *
 * Make one per operation, never one per process.
 *
 * @param maxReads how many distinct reads the operation may cost; those beyond fail alone, in document order, with
 *   `OPERATION_TOO_COMPLEX`.
 */
export function batched(api: CustomerApi, { maxReads }: { maxReads: number }): BatchedApi {
  const reads = new Map<string, Read>();
  const counted = new Set<string>();
  /** Reads that are counted and may yet not be made; each is over when that is known. */
  const held = new Set<Promise<void>>();
  const waiting: Waiting[] = [];

  // DataLoader gathers what one tick asks for. It holds no values: each read settles on its own, so that neither a
  // failing nor a slow customer holds up its neighbours.
  const loader = new DataLoader<Read, { customer: Promise<Customer | null> }>(
    async (batch) => batch.map((read) => ({ customer: start(read) })),
    { cache: false },
  );

  return {
    async get(key, { withClientAuthToken = false, tokenFor } = {}) {
      const pathId = pathIdOf(key);
      // Refused without a call, so it costs none of the reads.
      if (!isPathId(pathId)) return api.get({ any: pathId });
      // The path takes either identifier; a key that names one of them means that one.
      const isMeant = (customer: Customer | null) => customer !== null && matchesKey(customer, key);
      const customer =
        withClientAuthToken && tokenFor
          ? await loadTwice(pathId, (found) => isMeant(found) && tokenFor(found))
          : await load(() => find(pathId, withClientAuthToken));
      return isMeant(customer) ? customer : null;
    },
    create: (input, options) => api.create(input, options).finally(() => reads.clear()),
    update: (id, changes) => api.update(id, changes).finally(() => reads.clear()),
  };

  async function load(findIt: () => Read | undefined): Promise<Customer | null> {
    const read = findIt();
    if (read !== undefined) return read.customer;
    if (held.size === 0) throw new GatewayError('OPERATION_TOO_COMPLEX');
    // Later readers of the document get what the ones before leave over.
    const { promise, resolve, reject } = Promise.withResolvers<Customer | null>();
    waiting.push({ findIt, resolve, reject });
    return promise;
  }

  /** Serves the readers that wait, in document order, as far as reads are left: each is looked at once, however many wait. */
  function serveWaiting(): void {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const read = first.findIt();
      if (read === undefined && held.size > 0) return;
      waiting.shift();
      if (read === undefined) first.reject(new GatewayError('OPERATION_TOO_COMPLEX'));
      else first.resolve(read.customer);
    }
  }

  /** The token's read has its place in the document where the plain one has, so both are counted there. */
  async function loadTwice(pathId: string, isRight: (customer: Customer) => boolean): Promise<Customer | null> {
    const follows = (customer: Customer | null) => customer !== null && isRight(customer);
    const customer = await load(() => {
      const read = find(pathId, false);
      if (read !== undefined) hold(countedAs(pathId, true), () => read.customer.then(follows));
      return read;
    });
    if (customer === null || !follows(customer)) return customer;
    return load(() => find(pathId, true)).catch((error: unknown) => {
      // The customer was read: the token alone could not be had.
      if (error instanceof GatewayError) return { ...customer, clientAuthToken: error };
      throw error;
    });
  }

  /** The read that serves this reader, one that begins now included; `undefined` where the operation may make no more. */
  function find(pathId: string, withClientAuthToken: boolean): Read | undefined {
    const known = reads.get(pathId);
    if (known !== undefined) {
      if (known.withClientAuthToken || !withClientAuthToken) return known;
      if (!known.underWay) {
        known.withClientAuthToken = true;
        return known;
      }
    }
    if (!count(countedAs(pathId, withClientAuthToken))) return undefined;
    const read: Read = { pathId, withClientAuthToken, underWay: false, customer: Promise.resolve(null) };
    read.customer = loader.load(read).then(({ customer }) => customer);
    reads.set(pathId, read);
    return read;
  }

  /** @param isMade called only where its promise is waited for: one that is dropped would reject unhandled. */
  function hold(name: string, isMade: () => Promise<boolean>): void {
    if (counted.has(name) || !count(name)) return;
    const over = isMade()
      .catch(() => false)
      .then((made) => {
        if (!made) counted.delete(name);
        held.delete(over);
        serveWaiting();
      });
    held.add(over);
  }

  function count(name: string): boolean {
    // A read again after a write is not a new one.
    if (!counted.has(name) && counted.size >= maxReads) return false;
    counted.add(name);
    return true;
  }

  async function start(read: Read): Promise<Customer | null> {
    read.underWay = true;
    const customer = await api.get({ any: read.pathId }, { withClientAuthToken: read.withClientAuthToken });
    if (customer !== null && reads.get(read.pathId) === read) meet(read, customer);
    return customer;
  }

  /** Lets later readers find this customer under its other identifier too. */
  function meet(read: Read, { id, objectReferenceId }: Customer): void {
    for (const twin of [id, objectReferenceId]) {
      // A reference that has the shape of an id could be somebody else's id.
      if (twin === null || twin === read.pathId || (twin !== id && looksLikeProviderId(twin))) continue;
      const known = reads.get(twin);
      if (known === undefined || (read.withClientAuthToken && !known.withClientAuthToken)) reads.set(twin, read);
    }
  }
}

function countedAs(pathId: string, withClientAuthToken: boolean): string {
  return `${withClientAuthToken ? 'token' : 'plain'} ${pathId}`;
}
