// Generated from the schema and the operations. Do not edit: change those, and generate again.
import type { TypedDocument } from '../../client/src/document.ts';
import type {
  CreateCustomerMutation,
  CreateCustomerMutationVariables,
  CreateCustomerWithTokenMutation,
  CreateCustomerWithTokenMutationVariables,
  CustomerQuery,
  CustomerQueryVariables,
  CustomerWithTokenQuery,
  CustomerWithTokenQueryVariables,
  CustomersQuery,
  CustomersQueryVariables,
  UpdateCustomerMutation,
  UpdateCustomerMutationVariables,
} from './operations.ts';

/** The mutation `CreateCustomer`. */
export const CreateCustomerDocument: TypedDocument<CreateCustomerMutation, CreateCustomerMutationVariables> = {
  id: 'sha256:91354e129333317c3b75c26e30e32efda44f258b28a05d9b9620117eb33573a8',
  kind: 'mutation',
  name: 'CreateCustomer',
  text: `mutation CreateCustomer($input: CreateCustomerInput!) {
  createCustomer(input: $input) {
    ... on CreateCustomerSuccess {
      origin
      customer {
        ...CustomerFields
        __typename
      }
      __typename
    }
    ... on CustomerError {
      ...ErrorFields
      __typename
    }
    ... on CustomerValidationError {
      issues {
        path
        code
        message
        __typename
      }
      __typename
    }
    ... on CustomerAlreadyExistsError {
      existing {
        ...CustomerFields
        __typename
      }
      differingFields
      __typename
    }
    ... on CustomerUpstreamError {
      retryAfterSeconds
      __typename
    }
    __typename
  }
}

fragment CustomerFields on Customer {
  id
  objectReferenceId
  firstName
  lastName
  emailAddress
  mobileNumber
  mobileCountryCode
  dateCreated
  lastUpdated
  __typename
}

fragment ErrorFields on CustomerError {
  code
  message
  retryable
  requestId
  __typename
}`,
};

/** The mutation `CreateCustomerWithToken`. */
export const CreateCustomerWithTokenDocument: TypedDocument<CreateCustomerWithTokenMutation, CreateCustomerWithTokenMutationVariables> = {
  id: 'sha256:5235093a450e0cdcdf10e18e923eb69bb47f7783c82c626480ef599033847f76',
  kind: 'mutation',
  name: 'CreateCustomerWithToken',
  text: `mutation CreateCustomerWithToken($input: CreateCustomerInput!) {
  createCustomer(input: $input) {
    ... on CreateCustomerSuccess {
      origin
      customer {
        ...CustomerFields
        clientAuthToken {
          token
          expiresAt
          expiresInSeconds
          __typename
        }
        __typename
      }
      __typename
    }
    ... on CustomerError {
      ...ErrorFields
      __typename
    }
    ... on CustomerValidationError {
      issues {
        path
        code
        message
        __typename
      }
      __typename
    }
    ... on CustomerAlreadyExistsError {
      existing {
        ...CustomerFields
        __typename
      }
      differingFields
      __typename
    }
    ... on CustomerUpstreamError {
      retryAfterSeconds
      __typename
    }
    __typename
  }
}

fragment CustomerFields on Customer {
  id
  objectReferenceId
  firstName
  lastName
  emailAddress
  mobileNumber
  mobileCountryCode
  dateCreated
  lastUpdated
  __typename
}

fragment ErrorFields on CustomerError {
  code
  message
  retryable
  requestId
  __typename
}`,
};

/** The query `Customer`. */
export const CustomerDocument: TypedDocument<CustomerQuery, CustomerQueryVariables> = {
  id: 'sha256:95715da654fa7d27a81f1d0b9c1e70f33614ac7d33f80f27a5397c62290a3690',
  kind: 'query',
  name: 'Customer',
  text: `query Customer($id: ID!) {
  customer(id: $id) {
    ...CustomerFields
    __typename
  }
}

fragment CustomerFields on Customer {
  id
  objectReferenceId
  firstName
  lastName
  emailAddress
  mobileNumber
  mobileCountryCode
  dateCreated
  lastUpdated
  __typename
}`,
};

/** The query `CustomerWithToken`. */
export const CustomerWithTokenDocument: TypedDocument<CustomerWithTokenQuery, CustomerWithTokenQueryVariables> = {
  id: 'sha256:2ee78a7dd427d95b2e208799f328e8e41b7a8ac952257e4822d64a64e3fb0184',
  kind: 'query',
  name: 'CustomerWithToken',
  text: `query CustomerWithToken($id: ID!) {
  customer(id: $id) {
    id
    objectReferenceId
    clientAuthToken {
      token
      expiresAt
      expiresInSeconds
      __typename
    }
    __typename
  }
}`,
};

/** The query `Customers`. */
export const CustomersDocument: TypedDocument<CustomersQuery, CustomersQueryVariables> = {
  id: 'sha256:d653b2d8bcd38de4c836ea1a04bd943e97577670611f5b2a1a82fe90261d85e8',
  kind: 'query',
  name: 'Customers',
  text: `query Customers($ids: [ID!]!) {
  customers(ids: $ids) {
    ...CustomerFields
    __typename
  }
}

fragment CustomerFields on Customer {
  id
  objectReferenceId
  firstName
  lastName
  emailAddress
  mobileNumber
  mobileCountryCode
  dateCreated
  lastUpdated
  __typename
}`,
};

/** The mutation `UpdateCustomer`. */
export const UpdateCustomerDocument: TypedDocument<UpdateCustomerMutation, UpdateCustomerMutationVariables> = {
  id: 'sha256:79e6b7d1208c8f13084bf3d7e2987d37e99926b4a653b04b27273c99721a728c',
  kind: 'mutation',
  name: 'UpdateCustomer',
  text: `mutation UpdateCustomer($id: ID!, $input: UpdateCustomerInput!) {
  updateCustomer(id: $id, input: $input) {
    ... on UpdateCustomerSuccess {
      customer {
        ...CustomerFields
        __typename
      }
      __typename
    }
    ... on CustomerError {
      ...ErrorFields
      __typename
    }
    ... on CustomerValidationError {
      issues {
        path
        code
        message
        __typename
      }
      __typename
    }
    ... on CustomerUpstreamError {
      retryAfterSeconds
      __typename
    }
    __typename
  }
}

fragment CustomerFields on Customer {
  id
  objectReferenceId
  firstName
  lastName
  emailAddress
  mobileNumber
  mobileCountryCode
  dateCreated
  lastUpdated
  __typename
}

fragment ErrorFields on CustomerError {
  code
  message
  retryable
  requestId
  __typename
}`,
};
