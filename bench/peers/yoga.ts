import { createServer } from 'node:http';
import SchemaBuilder from '@pothos/core';
import { createYoga } from 'graphql-yoga';
import { createLoaders, type Loaders, type Representation, wantsToken } from './graphql.ts';
import { type ClientAuthToken, type Customer, createJuspay, environment } from './juspay.ts';

const { port, ...provider } = environment();
const juspay = createJuspay(provider);

interface Created {
  readonly customer: Customer;
  readonly origin: 'CREATED' | 'RECONCILED';
}

const builder = new SchemaBuilder<{
  Context: { loaders: Loaders };
  Scalars: {
    DateTime: { Input: string; Output: string };
    _Any: { Input: unknown; Output: unknown };
    ID: { Input: string; Output: string };
  };
}>({});

builder.scalarType('DateTime', { serialize: (value) => value });
builder.scalarType('_Any', { serialize: (value) => value });

const TokenRef = builder.objectRef<ClientAuthToken>('ClientAuthToken').implement({
  fields: (t) => ({
    token: t.exposeString('token'),
    expiresAt: t.expose('expiresAt', { type: 'DateTime' }),
    expiresInSeconds: t.exposeInt('expiresInSeconds'),
  }),
});

const CustomerRef = builder.objectRef<Customer>('Customer').implement({
  fields: (t) => ({
    id: t.exposeID('id'),
    objectReferenceId: t.exposeString('objectReferenceId', { nullable: true }),
    firstName: t.exposeString('firstName', { nullable: true }),
    lastName: t.exposeString('lastName', { nullable: true }),
    emailAddress: t.exposeString('emailAddress', { nullable: true }),
    mobileNumber: t.exposeString('mobileNumber', { nullable: true }),
    mobileCountryCode: t.exposeString('mobileCountryCode', { nullable: true }),
    dateCreated: t.expose('dateCreated', { type: 'DateTime', nullable: true }),
    lastUpdated: t.expose('lastUpdated', { type: 'DateTime', nullable: true }),
    clientAuthToken: t.expose('clientAuthToken', { type: TokenRef, nullable: true }),
  }),
});

const Entity = builder.unionType('_Entity', { types: [CustomerRef], resolveType: () => CustomerRef });

const Origin = builder.enumType('CreateCustomerOrigin', { values: ['CREATED', 'RECONCILED'] as const });
const SuccessRef = builder.objectRef<Created>('CreateCustomerSuccess').implement({
  fields: (t) => ({
    customer: t.expose('customer', { type: CustomerRef }),
    origin: t.expose('origin', { type: Origin }),
  }),
});
const Result = builder.unionType('CreateCustomerResult', {
  types: [SuccessRef],
  resolveType: () => SuccessRef,
});
const Input = builder.inputType('CreateCustomerInput', {
  fields: (t) => ({
    objectReferenceId: t.string({ required: true }),
    mobileNumber: t.string({ required: true }),
    emailAddress: t.string({ required: true }),
    firstName: t.string(),
    lastName: t.string(),
    mobileCountryCode: t.string(),
  }),
});

builder.queryType({
  fields: (t) => ({
    customer: t.field({
      type: CustomerRef,
      nullable: true,
      args: { id: t.arg.id({ required: true }) },
      resolve: (_, { id }, { loaders }, info) => (wantsToken(info) ? loaders.withToken : loaders.plain).load(id),
    }),
    customers: t.field({
      type: [CustomerRef],
      nullable: { list: true, items: true },
      args: { ids: t.arg.idList({ required: true }) },
      resolve: (_, { ids }, { loaders }, info) =>
        ids.map((id) => (wantsToken(info) ? loaders.withToken : loaders.plain).load(id)),
    }),
    _entities: t.field({
      type: [Entity],
      nullable: { list: false, items: true },
      args: { representations: t.arg({ type: ['_Any'], required: true }) },
      resolve: (_, { representations }, { loaders }, info) => {
        const loader = wantsToken(info) ? loaders.withToken : loaders.plain;
        return representations.map((representation) => loader.load((representation as Representation).id));
      },
    }),
  }),
});
builder.mutationType({
  fields: (t) => ({
    createCustomer: t.field({
      type: Result,
      nullable: true,
      args: { input: t.arg({ type: Input, required: true }) },
      resolve: async (_, { input }, __, info) => {
        const customer = await juspay.create(input, wantsToken(info));
        return customer && { customer, origin: 'CREATED' as const };
      },
    }),
  }),
});

const yoga = createYoga({
  schema: builder.toSchema(),
  context: () => ({ loaders: createLoaders(juspay) }),
  graphiql: false,
  landingPage: false,
  logging: false,
});
createServer((request, response) => void yoga(request, response)).listen(port, '127.0.0.1');
