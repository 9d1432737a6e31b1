import type {
  CreateCustomerInput,
  CreateCustomerMutation,
  CreateCustomerWithTokenMutation,
  CustomerClient,
  CustomerFieldsFragment,
  Outcome,
  RootOf,
  UpdateCustomerInput,
  UpdateCustomerMutation,
} from 'juspay-customer-client/client';
import type { ReactNode } from 'react';

/** What a read shows: the value, the code of what went wrong, or neither yet. */
export interface Shown<Value> {
  readonly value?: Value | undefined;
  readonly code?: string | undefined;
}

/** The hooks of one flavour, in one form, so that one page shows all of them. */
export interface Flavour {
  /** Makes what the hooks need, once. */
  start(client: CustomerClient): {
    readonly Provider: (props: { children: ReactNode }) => ReactNode;
    /** All that is cached, as text. */
    cached(): string;
  };
  useCustomer(id: string | undefined): Shown<CustomerFieldsFragment | null>;
  useCustomers(ids: readonly string[]): Shown<readonly (CustomerFieldsFragment | null)[]>;
  useCreate(): (input: CreateCustomerInput) => Promise<Outcome<RootOf<CreateCustomerMutation>> | undefined>;
  useCreateWithToken(): (
    input: CreateCustomerInput,
  ) => Promise<Outcome<RootOf<CreateCustomerWithTokenMutation>> | undefined>;
  useUpdate(): (id: string, input: UpdateCustomerInput) => Promise<Outcome<RootOf<UpdateCustomerMutation>> | undefined>;
}
