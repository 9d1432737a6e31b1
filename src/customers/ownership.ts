import { GatewayError } from '../errors.ts';
import type { Access } from './access.ts';
import type { BatchedApi } from './batching.ts';
import { type Customer, type CustomerApi, pathIdOf } from './customer.ts';

/**
 * Restricts `api` to the customers that the caller may access. A customer of another owner is indistinguishable from one
 * that does not exist: same result, same upstream calls. Wrap it around `batched`, so that the ownership check shares the
 * reads of the operation.
 */
export function owned(api: BatchedApi, caller: Access): CustomerApi {
  const { customers } = caller;
  if (caller.denied || customers === 'none') return forbidden;
  if (customers === 'any') return api;
  /** Compares exactly, because the provider may ignore case in a lookup and return another person's customer. */
  const owns = ({ id, objectReferenceId }: Customer) =>
    customers.every((own) => own === id || own === objectReferenceId);
  /** Whether the path is the caller's own identifier. The response still needs `owns`, because the provider may ignore case. */
  const isOwnPath = (pathId: string) => customers.every((own) => own === pathId);

  const get: CustomerApi['get'] = async (key, options = {}) => {
    // A token must not be created for another owner's customer. At any path but the caller's own, a read without the token
    // checks the owner first.
    const customer = await api.get(key, isOwnPath(pathIdOf(key)) ? options : { ...options, tokenFor: owns });
    return customer !== null && owns(customer) ? customer : null;
  };
  return {
    get,
    async create(input, options) {
      if (!isOwnPath(input.objectReferenceId)) throw new GatewayError('FORBIDDEN');
      const created = await api.create(input, options);
      // If the provider ignores case, the response and the lookup after it can contain another owner's customer.
      if (!owns(created.customer)) {
        throw new GatewayError(created.origin === 'RECONCILED' ? 'ALREADY_EXISTS' : 'OUTCOME_UNKNOWN');
      }
      return created;
    },
    async update(id, changes) {
      // Required at the caller's own path too: only the response shows which customer the path addresses.
      if ((await get({ any: id })) === null) throw new GatewayError('NOT_FOUND');
      const updated = await api.update(id, changes);
      // The owner changed after the read, or the provider ignores case. The write may have changed that customer.
      if (!owns(updated)) throw new GatewayError('OUTCOME_UNKNOWN');
      return updated;
    },
  };
}

/** Rejects every call. For callers without a customer or without a merchant. */
export const forbidden: CustomerApi = {
  get: () => Promise.reject(new GatewayError('FORBIDDEN')),
  create: () => Promise.reject(new GatewayError('FORBIDDEN')),
  update: () => Promise.reject(new GatewayError('FORBIDDEN')),
};
