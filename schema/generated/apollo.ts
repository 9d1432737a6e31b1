// Generated from the schema and the operations. Do not edit: change those, and generate again.
import {
  type MutationHookOptions,
  type QueryHookOptions,
  useMutationOf,
  useQueryOf,
} from '../../client/src/apollo-hooks.ts';
import {
  CreateCustomerAst,
  CreateCustomerWithTokenAst,
  CustomerAst,
  CustomersAst,
  UpdateCustomerAst,
} from './asts.ts';
import type {
  CreateCustomerMutation,
  CreateCustomerMutationVariables,
  CreateCustomerWithTokenMutation,
  CreateCustomerWithTokenMutationVariables,
  CustomerQuery,
  CustomerQueryVariables,
  CustomersQuery,
  CustomersQueryVariables,
  UpdateCustomerMutation,
  UpdateCustomerMutationVariables,
} from './operations.ts';

/** The mutation `CreateCustomer`. */
export function useCreateCustomer(options?: MutationHookOptions<CreateCustomerMutation, CreateCustomerMutationVariables>) {
  return useMutationOf(CreateCustomerAst, 'createCustomer', options);
}

/** The mutation `CreateCustomerWithToken`. */
export function useCreateCustomerWithToken(options?: MutationHookOptions<CreateCustomerWithTokenMutation, CreateCustomerWithTokenMutationVariables>) {
  return useMutationOf(CreateCustomerWithTokenAst, 'createCustomer', options);
}

/** The query `Customer`. */
export function useCustomer(variables: CustomerQueryVariables | undefined, options?: QueryHookOptions<CustomerQuery, CustomerQueryVariables>) {
  return useQueryOf(CustomerAst, variables, options);
}

/** The query `Customers`. */
export function useCustomers(variables: CustomersQueryVariables | undefined, options?: QueryHookOptions<CustomersQuery, CustomersQueryVariables>) {
  return useQueryOf(CustomersAst, variables, options);
}

/** The mutation `UpdateCustomer`. */
export function useUpdateCustomer(options?: MutationHookOptions<UpdateCustomerMutation, UpdateCustomerMutationVariables>) {
  return useMutationOf(UpdateCustomerAst, 'updateCustomer', options);
}
