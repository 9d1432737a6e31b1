import fastify from 'fastify';
import type { GraphQLResolveInfo } from 'graphql';
import mercurius from 'mercurius';
import { createLoaders, type Loaders, typeDefs, wantsToken } from './graphql.ts';
import { createJuspay, environment, type NewCustomer } from './juspay.ts';

const { port, upstream } = environment();
const juspay = createJuspay(upstream);
const app = fastify();

const loaderFor = (loaders: Loaders, info: GraphQLResolveInfo) =>
  wantsToken(info) ? loaders.withToken : loaders.plain;

const resolvers = {
  Query: {
    customer: (_: unknown, { id }: { id: string }, { loaders }: { loaders: Loaders }, info: GraphQLResolveInfo) =>
      loaderFor(loaders, info).load(id),
    customers: (
      _: unknown,
      { ids }: { ids: string[] },
      { loaders }: { loaders: Loaders },
      info: GraphQLResolveInfo,
    ) => {
      const loader = loaderFor(loaders, info);
      return ids.map((id) => loader.load(id));
    },
  },
  Mutation: {
    createCustomer: async (_: unknown, { input }: { input: NewCustomer }, __: unknown, info: GraphQLResolveInfo) => ({
      __typename: 'CreateCustomerSuccess',
      customer: await juspay.create(input, wantsToken(info)),
      origin: 'CREATED',
    }),
  },
};

await app.register(mercurius, {
  schema: typeDefs,
  // Its types want each resolver's context to be the merged global one.
  resolvers: resolvers as never,
  jit: 1,
  context: () => ({ loaders: createLoaders(juspay) }),
});
await app.listen({ port, host: '127.0.0.1' });
