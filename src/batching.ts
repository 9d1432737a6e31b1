import DataLoader from 'dataloader';
import { answersTo, type Customer, type CustomerApi, isPathId, looksLikeProviderId, pathIdOf } from './customer.ts';
import { GatewayError } from './errors.ts';

/** One upstream read of this operation. */
interface Read {
  readonly pathId: string;
  /** ORed within a batch: who wants the token makes the whole read ask for it. */
  withClientAuthToken: boolean;
  underWay: boolean;
  customer: Promise<Customer | null>;
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
export function batched(api: CustomerApi, { maxReads }: { maxReads: number }): CustomerApi {
  const reads = new Map<string, Read>();
  const counted = new Set<string>();

  // DataLoader gathers what one tick asks for. It holds no values: each read settles on its own, so that neither a
  // failing nor a slow customer holds up its neighbours.
  const loader = new DataLoader<Read, { customer: Promise<Customer | null> }>(
    async (batch) => batch.map((read) => ({ customer: start(read) })),
    { cache: false },
  );

  return {
    async get(key, { withClientAuthToken = false } = {}) {
      const customer = await load(pathIdOf(key), withClientAuthToken);
      // The path takes either identifier; a key that names one of them means that one.
      return customer !== null && answersTo(customer, key) ? customer : null;
    },
    create: (input, options) => api.create(input, options).finally(() => reads.clear()),
    update: (id, changes) => api.update(id, changes).finally(() => reads.clear()),
  };

  function load(pathId: string, withClientAuthToken: boolean): Promise<Customer | null> {
    // Refused without a call, so it costs none of the reads.
    if (!isPathId(pathId)) return api.get({ any: pathId });
    const known = reads.get(pathId);
    if (known !== undefined) {
      if (known.withClientAuthToken || !withClientAuthToken) return known.customer;
      if (!known.underWay) {
        known.withClientAuthToken = true;
        return known.customer;
      }
    }
    const countedAs = `${withClientAuthToken ? 'token' : 'plain'} ${pathId}`;
    // A read again after a write is not a new one.
    if (!counted.has(countedAs) && counted.size >= maxReads)
      return Promise.reject(new GatewayError('OPERATION_TOO_COMPLEX'));
    counted.add(countedAs);
    const read: Read = { pathId, withClientAuthToken, underWay: false, customer: Promise.resolve(null) };
    read.customer = loader.load(read).then(({ customer }) => customer);
    reads.set(pathId, read);
    return read.customer;
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
