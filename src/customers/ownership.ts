import { GatewayError } from '../errors.ts';
import type { Access } from './access.ts';
import type { BatchedApi } from './batching.ts';
import { type Customer, type CustomerApi, pathIdOf } from './customer.ts';

/**
 * What one caller may reach: `CustomerApi` in, `CustomerApi` out. Somebody else's customer is exactly like one that does
 * not exist: the same answer for the same calls. Put it around the layer that merges reads, so that establishing an owner
 * costs a read only where nobody made it yet.
 */
export function owned(api: BatchedApi, caller: Access): CustomerApi {
  const { customers } = caller;
  if (caller.denied || customers === 'none') return forbidden;
  if (customers === 'any') return api;
  /** Exactly: a provider that ignores case when it looks up must not make two people one. */
  const owns = ({ id, objectReferenceId }: Customer) =>
    customers.every((own) => own === id || own === objectReferenceId);
  /** By its text alone: a provider that ignores case may still have somebody else's customer there. */
  const isOwnPath = (pathId: string) => customers.every((own) => own === pathId);

  const get: CustomerApi['get'] = async (key, options = {}) => {
    // No token is minted for a stranger: elsewhere than at its own path a plain read tells first whose it is.
    const customer = await api.get(key, isOwnPath(pathIdOf(key)) ? options : { ...options, tokenFor: owns });
    return customer !== null && owns(customer) ? customer : null;
  };
  return {
    get,
    async create(input, options) {
      if (!isOwnPath(input.objectReferenceId)) throw new GatewayError('FORBIDDEN');
      const created = await api.create(input, options);
      // A provider that ignores case may answer with somebody else's customer, also to the lookup that settles a create.
      if (!owns(created.customer)) {
        throw new GatewayError(created.origin === 'RECONCILED' ? 'ALREADY_EXISTS' : 'OUTCOME_UNKNOWN');
      }
      return created;
    },
    async update(id, changes) {
      // The caller's own path too: what it leads to is known only from the answer.
      if ((await get({ any: id })) === null) throw new GatewayError('NOT_FOUND');
      const updated = await api.update(id, changes);
      if (!owns(updated)) throw new GatewayError('NOT_FOUND');
      return updated;
    },
  };
}

/** Nothing can be reached: a caller without a customer, or without a merchant. */
export const forbidden: CustomerApi = {
  get: () => Promise.reject(new GatewayError('FORBIDDEN')),
  create: () => Promise.reject(new GatewayError('FORBIDDEN')),
  update: () => Promise.reject(new GatewayError('FORBIDDEN')),
};
