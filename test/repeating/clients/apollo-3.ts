// Version 3 has no `exports`, so ES modules name its CommonJS files.
import apollo from 'apollo-client-3/core/core.cjs';
import retryLink from 'apollo-client-3/link/retry/retry.cjs';
import {
  attempts,
  type Client,
  type ClientOptions,
  documents,
  headersOfKey,
  type Mutation,
  replyOf,
} from '../operations.ts';

const { ApolloClient, gql, HttpLink, InMemoryCache, isApolloError } = apollo;

const parsed = { create: gql(documents.create), update: gql(documents.update) };

/** Apollo Client 3 with its `RetryLink`. */
export function openApollo3({ url, headers }: ClientOptions): Client {
  const retry = new retryLink.RetryLink({ delay: { initial: 1, max: 5 }, attempts: { max: attempts } });
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
        const errors = error instanceof Error && isApolloError(error) ? error.graphQLErrors : [];
        return replyOf({ errors });
      }
    },
    close: () => client.stop(),
  };
}
