import { ApolloClient, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { RetryLink } from '@apollo/client/link/retry';
import {
  attempts,
  type Client,
  type ClientOptions,
  documents,
  headersOfKey,
  type Mutation,
  replyOf,
} from '../operations.ts';

const parsed = { create: gql(documents.create), update: gql(documents.update) };

/** Apollo Client 4 with `RetryLink`, which repeats each operation after a network error, mutations included. */
export function openApollo4({ url, headers }: ClientOptions): Client {
  const retry = new RetryLink({ delay: { initial: 1, max: 5 }, attempts: { max: attempts } });
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: retry.concat(new HttpLink({ uri: url, headers })),
  });
  return {
    async mutate({ kind, variables, key }: Mutation) {
      try {
        const { data } = await client.mutate({
          mutation: parsed[kind],
          variables,
          context: { headers: headersOfKey(key) },
          fetchPolicy: 'no-cache',
        });
        return replyOf({ data });
      } catch (error) {
        return CombinedGraphQLErrors.is(error) ? replyOf(error) : {};
      }
    },
    close: () => client.stop(),
  };
}
