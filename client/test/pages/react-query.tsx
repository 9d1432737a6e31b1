import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import {
  skipToken,
  useCreateCustomer,
  useCreateCustomerWithToken,
  useCustomer,
  useCustomers,
  useUpdateCustomer,
} from 'juspay-customer-client/react-query';
import type { Flavour } from './flavour.ts';

export const flavour: Flavour = {
  start() {
    const queryClient = new QueryClient({ defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY } } });
    return {
      Provider: ({ children }) => <QueryClientProvider client={queryClient}>{children}</QueryClientProvider>,
      cached: () =>
        JSON.stringify([
          queryClient
            .getQueryCache()
            .getAll()
            .map(({ state }) => state),
          queryClient
            .getMutationCache()
            .getAll()
            .map(({ state }) => state),
        ]),
    };
  },
  useCustomer(id) {
    const { data, error } = useCustomer(id === undefined ? skipToken : { id });
    return { value: data, code: error?.code };
  },
  useCustomers(ids) {
    const { data, error } = useCustomers({ ids });
    return { value: data, code: error?.code };
  },
  useCreate() {
    const { mutateAsync } = useCreateCustomer();
    return (input) => mutateAsync({ input });
  },
  useCreateWithToken() {
    const { mutateAsync } = useCreateCustomerWithToken();
    return (input) => mutateAsync({ input });
  },
  useUpdate() {
    const { mutateAsync } = useUpdateCustomer();
    return (id, input) => mutateAsync({ id, input });
  },
};
