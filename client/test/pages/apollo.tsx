import { ApolloProvider } from '@apollo/client/react';
import {
  createApolloClient,
  customerErrorOf,
  useCreateCustomer,
  useCreateCustomerWithToken,
  useCustomer,
  useCustomers,
  useUpdateCustomer,
} from 'juspay-customer-client/apollo';
import type { Flavour } from './flavour.ts';

export const flavour: Flavour = {
  start(client) {
    const apollo = createApolloClient(client);
    return {
      Provider: ({ children }) => <ApolloProvider client={apollo}>{children}</ApolloProvider>,
      cached: () => JSON.stringify(apollo.extract()),
    };
  },
  useCustomer(id) {
    const { data, error } = useCustomer(id === undefined ? undefined : { id });
    return { value: data?.customer, code: customerErrorOf(error)?.code };
  },
  useCustomers(ids) {
    const { data, error } = useCustomers({ ids });
    return { value: data?.customers ?? undefined, code: customerErrorOf(error)?.code };
  },
  useCreate() {
    const [create] = useCreateCustomer();
    return async (input) => (await create({ variables: { input } })).outcome;
  },
  useCreateWithToken() {
    const [create] = useCreateCustomerWithToken();
    return async (input) => (await create({ variables: { input } })).outcome;
  },
  useUpdate() {
    const [update] = useUpdateCustomer();
    return async (id, input) => (await update({ variables: { id, input } })).outcome;
  },
};
