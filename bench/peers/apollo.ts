import { RESTDataSource } from '@apollo/datasource-rest';
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import type { GraphQLResolveInfo } from 'graphql';
import { type Representation, typeDefs, wantsToken } from './graphql.ts';
import {
  type Customer,
  environment,
  headersFor,
  type NewCustomer,
  toCustomer,
  toForm,
  tokenOption,
  type WireCustomer,
} from './juspay.ts';

const { port, upstream } = environment();

/** The data source as in Apollo's documentation. One instance for each operation; it deduplicates GET requests of the same URL. */
class Juspay extends RESTDataSource {
  override baseURL = `${upstream}/`;

  async read(id: string, withToken: boolean): Promise<Customer> {
    return toCustomer(
      await this.get<WireCustomer>(`customers/${encodeURIComponent(id)}`, {
        headers: headersFor(id),
        ...(withToken && { params: { [tokenOption]: 'true' } }),
      }),
    );
  }

  async create(input: NewCustomer, withToken: boolean): Promise<Customer> {
    return toCustomer(
      await this.post<WireCustomer>('customers', {
        headers: {
          ...headersFor(input.objectReferenceId),
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: toForm(input, withToken),
      }),
    );
  }
}

interface Context {
  readonly juspay: Juspay;
}

const server = new ApolloServer<Context>({
  typeDefs,
  resolvers: {
    Query: {
      customer: (_: unknown, { id }: { id: string }, { juspay }: Context, info: GraphQLResolveInfo) =>
        juspay.read(id, wantsToken(info)),
      customers: (_: unknown, { ids }: { ids: string[] }, { juspay }: Context, info: GraphQLResolveInfo) => {
        const withToken = wantsToken(info);
        return ids.map((id) => juspay.read(id, withToken));
      },
      _entities: (
        _: unknown,
        { representations }: { representations: Representation[] },
        { juspay }: Context,
        info: GraphQLResolveInfo,
      ) => {
        const withToken = wantsToken(info);
        return representations.map(({ id }) => juspay.read(id, withToken));
      },
    },
    _Entity: { __resolveType: () => 'Customer' },
    Mutation: {
      createCustomer: async (
        _: unknown,
        { input }: { input: NewCustomer },
        { juspay }: Context,
        info: GraphQLResolveInfo,
      ) => ({
        __typename: 'CreateCustomerSuccess',
        customer: await juspay.create(input, wantsToken(info)),
        origin: 'CREATED',
      }),
    },
  },
});

await startStandaloneServer(server, {
  listen: { port, host: '127.0.0.1' },
  context: async () => ({ juspay: new Juspay({ cache: server.cache }) }),
});
