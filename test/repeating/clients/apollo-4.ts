import { ApolloClient, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { RetryLink } from '@apollo/client/link/retry';
import type { Client, ClientOptions } from '../operations.ts';
import { apolloClient, retries } from './apollo.ts';

/** Apollo Client 4 with `RetryLink`. */
export function openApollo4({ url, headers }: ClientOptions): Client {
  const link = new RetryLink(retries).concat(new HttpLink({ uri: url, headers }));
  return apolloClient(new ApolloClient({ cache: new InMemoryCache(), link }), gql, (failure) =>
    CombinedGraphQLErrors.is(failure) ? failure.errors : undefined,
  );
}
