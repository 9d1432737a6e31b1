import fastify from 'fastify';
import type { GraphQLResolveInfo } from 'graphql';
import mercurius from 'mercurius';
import { type Representation, typeDefs, wantsToken } from './graphql.ts';
import { createJuspay, environment, type NewCustomer } from './juspay.ts';

const { port, ...provider } = environment();
const juspay = createJuspay(provider);
const app = fastify();

interface Read {
  readonly params: { readonly id: string };
  readonly info: GraphQLResolveInfo;
}

const loaders = {
  Query: {
    customer: {
      // Called once for each tick of an operation. Reads with the same arguments are already merged.
      loader: (reads: readonly Read[]) =>
        Promise.all(reads.map(({ params, info }) => juspay.get(params.id, wantsToken(info)))),
      // With the cache, loaders do not receive `info` and cannot know whether the token is selected.
      opts: { cache: false },
    },
  },
};

/** A loader merges reads of one field only, so the ids of a list are deduplicated here. */
function readAll(ids: readonly string[], info: GraphQLResolveInfo): Promise<unknown[]> {
  const withToken = wantsToken(info);
  const reads = new Map([...new Set(ids)].map((id) => [id, juspay.get(id, withToken)]));
  return Promise.all(ids.map((id) => reads.get(id)));
}

const resolvers = {
  _Entity: { resolveType: () => 'Customer' },
  Query: {
    customers: (_: unknown, { ids }: { ids: string[] }, __: unknown, info: GraphQLResolveInfo) => readAll(ids, info),
    _entities: (
      _: unknown,
      { representations }: { representations: Representation[] },
      __: unknown,
      info: GraphQLResolveInfo,
    ) =>
      readAll(
        representations.map(({ id }) => id),
        info,
      ),
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
  // The types of mercurius require the global context type for each function.
  resolvers: resolvers as never,
  loaders: loaders as never,
  jit: 1,
});
await app.listen({ port, host: '127.0.0.1' });
