// Version 3 has no `exports`, so ES modules name its CommonJS files.
import apollo from 'apollo-client-3/core/core.cjs';
import retryLink from 'apollo-client-3/link/retry/retry.cjs';
import type { Client, ClientOptions } from '../operations.ts';
import { apolloClient, retries } from './apollo.ts';

const { ApolloClient, gql, HttpLink, InMemoryCache, isApolloError } = apollo;

/** Apollo Client 3 with its `RetryLink`. */
export function openApollo3({ url, headers }: ClientOptions): Client {
  const link = new retryLink.RetryLink(retries).concat(new HttpLink({ uri: url, headers }));
  return apolloClient(new ApolloClient({ cache: new InMemoryCache(), link }), gql, (failure) =>
    failure instanceof Error && isApolloError(failure) ? failure.graphQLErrors : undefined,
  );
}
