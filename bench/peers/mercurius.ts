import fastify from 'fastify';
import type { GraphQLResolveInfo } from 'graphql';
import mercurius from 'mercurius';
import { typeDefs, wantsToken } from './graphql.ts';
import { createJuspay, environment, type NewCustomer } from './juspay.ts';

const { port, upstream } = environment();
const juspay = createJuspay(upstream);
const app = fastify();

interface Read {
  readonly params: { readonly id: string };
  readonly info: GraphQLResolveInfo;
}

const loaders = {
  Query: {
    customer: {
      // Called once for each tick of an operation, with reads of the same arguments already merged.
      loader: (reads: readonly Read[]) =>
        Promise.all(reads.map(({ params, info }) => juspay.get(params.id, wantsToken(info)))),
      // Only without its cache do loaders get `info`, and so know whether the token is selected.
      opts: { cache: false },
    },
  },
};

const resolvers = {
  Query: {
    // A loader merges reads of one field: the ids of a list are merged by hand.
    customers: async (_: unknown, { ids }: { ids: string[] }, __: unknown, info: GraphQLResolveInfo) => {
      const withToken = wantsToken(info);
      const reads = new Map([...new Set(ids)].map((id) => [id, juspay.get(id, withToken)]));
      return Promise.all(ids.map((id) => reads.get(id)));
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
  // Its types want each function's context to be the merged global one.
  resolvers: resolvers as never,
  loaders: loaders as never,
  jit: 1,
});
await app.listen({ port, host: '127.0.0.1' });
