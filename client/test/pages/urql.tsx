import {
  createUrqlClient,
  customerErrorOf,
  useCreateCustomer,
  useCreateCustomerWithToken,
  useCustomer,
  useCustomers,
  useUpdateCustomer,
} from 'juspay-customer-client/urql';
import { mapExchange, Provider } from 'urql';
import type { Flavour } from './flavour.ts';

export const flavour: Flavour = {
  start(client) {
    // urql's document cache cannot be read, so record the results on their way to it.
    const seen: unknown[] = [];
    const watch = mapExchange({ onResult: ({ data, operation }) => void seen.push([operation.kind, data]) });
    const urql = createUrqlClient(client, { exchanges: [watch] });
    return {
      Provider: ({ children }) => <Provider value={urql}>{children}</Provider>,
      cached: () => JSON.stringify(seen),
    };
  },
  useCustomer(id) {
    const [{ data, error }] = useCustomer(id === undefined ? undefined : { id });
    return { value: data?.customer, code: customerErrorOf(error)?.code };
  },
  useCustomers(ids) {
    const [{ data, error }] = useCustomers({ ids });
    return { value: data?.customers ?? undefined, code: customerErrorOf(error)?.code };
  },
  useCreate() {
    const [, create] = useCreateCustomer();
    return async (input) => (await create({ input })).outcome;
  },
  useCreateWithToken() {
    const [, create] = useCreateCustomerWithToken();
    return async (input) => (await create({ input })).outcome;
  },
  useUpdate() {
    const [, update] = useUpdateCustomer();
    return async (id, input) => (await update({ id, input })).outcome;
  },
};
