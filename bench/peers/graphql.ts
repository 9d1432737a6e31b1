import DataLoader from 'dataloader';
import type { GraphQLResolveInfo, SelectionSetNode } from 'graphql';
import type { Customer, createJuspay } from './juspay.ts';

/** The part of schema/schema.graphql that the workloads use. */
export const typeDefs = /* GraphQL */ `
  scalar DateTime
  scalar _Any

  type ClientAuthToken {
    token: String!
    expiresAt: DateTime!
    expiresInSeconds: Int!
  }

  type Customer {
    id: ID!
    objectReferenceId: String
    firstName: String
    lastName: String
    emailAddress: String
    mobileNumber: String
    mobileCountryCode: String
    dateCreated: DateTime
    lastUpdated: DateTime
    clientAuthToken: ClientAuthToken
  }

  enum CreateCustomerOrigin {
    CREATED
    RECONCILED
  }

  type CreateCustomerSuccess {
    customer: Customer!
    origin: CreateCustomerOrigin!
  }

  union CreateCustomerResult = CreateCustomerSuccess

  input CreateCustomerInput {
    objectReferenceId: String!
    mobileNumber: String!
    emailAddress: String!
    firstName: String
    lastName: String
    mobileCountryCode: String
  }

  type Query {
    customer(id: ID!): Customer
    customers(ids: [ID!]!): [Customer]
    _entities(representations: [_Any!]!): [_Entity]!
  }

  union _Entity = Customer

  type Mutation {
    createCustomer(input: CreateCustomerInput!): CreateCustomerResult
  }
`;

/** An item of `representations`. */
export interface Representation {
  readonly id: string;
}

/** Whether the token is selected below the field. It is then requested with the same upstream call. */
export const wantsToken = (info: GraphQLResolveInfo): boolean => selectsField(info, 'clientAuthToken');

/** Whether a field of this name is selected at any depth below the field. */
export function selectsField({ fieldNodes, fragments }: GraphQLResolveInfo, name: string): boolean {
  const inSet = (set: SelectionSetNode | undefined): boolean =>
    set?.selections.some((node) => {
      if (node.kind === 'FragmentSpread') return inSet(fragments[node.name.value]?.selectionSet);
      if (node.kind === 'InlineFragment') return inSet(node.selectionSet);
      return node.name.value === name || inSet(node.selectionSet);
    }) ?? false;
  return fieldNodes.some((node) => inSet(node.selectionSet));
}

/** Creates the loaders of one operation. Repeated reads of a customer cost one upstream call. */
export function createLoaders(juspay: ReturnType<typeof createJuspay>) {
  const loader = (withToken: boolean) =>
    new DataLoader<string, Customer | null>((ids) => Promise.all(ids.map((id) => juspay.get(id, withToken))));
  return { plain: loader(false), withToken: loader(true) };
}

export type Loaders = ReturnType<typeof createLoaders>;
