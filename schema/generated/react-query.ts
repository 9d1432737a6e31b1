// Generated from the schema and the operations. Do not edit: change those, and generate again.
import type { SkipToken } from '@tanstack/react-query';
import {
  mutationFactory,
  queryFactory,
  type DataOf,
  type MutationHookOptions,
  type QueryHookOptions,
  useMutationOf,
  useQueryOf,
} from '../../client/src/react-query-hooks.ts';
import {
  CreateCustomerDocument,
  CreateCustomerWithTokenDocument,
  CustomerDocument,
  CustomersDocument,
  UpdateCustomerDocument,
} from './documents.ts';
import type {
  CustomerQueryVariables,
  CustomersQueryVariables,
} from './operations.ts';

/** The mutation `CreateCustomer`. */
export const createCustomerOptions = /* @__PURE__ */ mutationFactory(CreateCustomerDocument);
/** The mutation `CreateCustomer`. */
export function useCreateCustomer(options?: MutationHookOptions<typeof createCustomerOptions>) {
  return useMutationOf(createCustomerOptions, options);
}

/** The mutation `CreateCustomerWithToken`. */
export const createCustomerWithTokenOptions = /* @__PURE__ */ mutationFactory(CreateCustomerWithTokenDocument);
/** The mutation `CreateCustomerWithToken`. */
export function useCreateCustomerWithToken(options?: MutationHookOptions<typeof createCustomerWithTokenOptions>) {
  return useMutationOf(createCustomerWithTokenOptions, options);
}

/** The query `Customer`. */
export const customerOptions = /* @__PURE__ */ queryFactory(CustomerDocument, 'customer');
/** The query `Customer`. */
export function useCustomer<Selected = DataOf<typeof customerOptions>>(
  variables: CustomerQueryVariables | SkipToken,
  options?: QueryHookOptions<DataOf<typeof customerOptions>, Selected>,
) {
  return useQueryOf(customerOptions, variables, options);
}

/** The query `Customers`. */
export const customersOptions = /* @__PURE__ */ queryFactory(CustomersDocument, 'customers');
/** The query `Customers`. */
export function useCustomers<Selected = DataOf<typeof customersOptions>>(
  variables: CustomersQueryVariables | SkipToken,
  options?: QueryHookOptions<DataOf<typeof customersOptions>, Selected>,
) {
  return useQueryOf(customersOptions, variables, options);
}

/** The mutation `UpdateCustomer`. */
export const updateCustomerOptions = /* @__PURE__ */ mutationFactory(UpdateCustomerDocument);
/** The mutation `UpdateCustomer`. */
export function useUpdateCustomer(options?: MutationHookOptions<typeof updateCustomerOptions>) {
  return useMutationOf(updateCustomerOptions, options);
}
