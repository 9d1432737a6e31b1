// Generated from the schema and the operations. Do not edit: change those, and generate again.
import { type HandlerOptions, mockOperation } from '../../client/src/msw-handlers.ts';
import {
  CreateCustomerDocument,
  CreateCustomerWithTokenDocument,
  CustomerDocument,
  CustomerWithTokenDocument,
  CustomersDocument,
  UpdateCustomerDocument,
} from './documents.ts';
import {
  createCustomerFixtures,
  createCustomerWithTokenFixtures,
  customerFixtures,
  customerWithTokenFixtures,
  customersFixtures,
  updateCustomerFixtures,
} from './fixtures.ts';

/** The mutation `CreateCustomer`. */
export const mockCreateCustomer = /* @__PURE__ */ mockOperation(CreateCustomerDocument);

/** The mutation `CreateCustomerWithToken`. */
export const mockCreateCustomerWithToken = /* @__PURE__ */ mockOperation(CreateCustomerWithTokenDocument);

/** The query `Customer`. */
export const mockCustomer = /* @__PURE__ */ mockOperation(CustomerDocument);

/** The query `CustomerWithToken`. */
export const mockCustomerWithToken = /* @__PURE__ */ mockOperation(CustomerWithTokenDocument);

/** The query `Customers`. */
export const mockCustomers = /* @__PURE__ */ mockOperation(CustomersDocument);

/** The mutation `UpdateCustomer`. */
export const mockUpdateCustomer = /* @__PURE__ */ mockOperation(UpdateCustomerDocument);

/** A handler for each operation. Put your own before them. */
export function customerHandlers(options?: HandlerOptions) {
  return [
    mockCreateCustomer(createCustomerFixtures.byDefault, options),
    mockCreateCustomerWithToken(createCustomerWithTokenFixtures.byDefault, options),
    mockCustomer(customerFixtures.byDefault, options),
    mockCustomerWithToken(customerWithTokenFixtures.byDefault, options),
    mockCustomers(customersFixtures.byDefault, options),
    mockUpdateCustomer(updateCustomerFixtures.byDefault, options),
  ];
}
