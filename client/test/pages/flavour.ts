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

/** The result of a read: the value, the code of an error, or neither while it is loading. */
export interface ReadResult<Value> {
  readonly value?: Value | undefined;
  readonly code?: string | undefined;
}

/** The hooks of one flavour, in one form, so that one page can test all flavours. */
export interface Flavour {
  /** Creates the client and the provider of the flavour. Called once. */
  start(client: CustomerClient): {
    readonly Provider: (props: { children: ReactNode }) => ReactNode;
    /** The cached data as JSON. */
    cached(): string;
  };
  useCustomer(id: string | undefined): ReadResult<CustomerFieldsFragment | null>;
  useCustomers(ids: readonly string[]): ReadResult<readonly (CustomerFieldsFragment | null)[]>;
  useCreate(): (input: CreateCustomerInput) => Promise<Outcome<RootOf<CreateCustomerMutation>> | undefined>;
  useCreateWithToken(): (
    input: CreateCustomerInput,
  ) => Promise<Outcome<RootOf<CreateCustomerWithTokenMutation>> | undefined>;
  useUpdate(): (id: string, input: UpdateCustomerInput) => Promise<Outcome<RootOf<UpdateCustomerMutation>> | undefined>;
}
