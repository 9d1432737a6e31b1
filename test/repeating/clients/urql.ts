import { fetchExchange, Client as UrqlClient } from '@urql/core';
import { retryExchange } from '@urql/exchange-retry';
import {
  attempts,
  type Client,
  type ClientOptions,
  documents,
  headersOfKey,
  type Mutation,
  replyOf,
} from '../operations.ts';

/** urql with `retryExchange`, which repeats each operation after a network error, mutations included. */
export function openUrql({ url, headers }: ClientOptions): Client {
  const retry = retryExchange({ initialDelayMs: 1, maxDelayMs: 5, maxNumberAttempts: attempts });
  const client = new UrqlClient({ url, exchanges: [retry, fetchExchange], preferGetMethod: false });
  return {
    async mutate({ kind, variables, key }: Mutation) {
      const fetchOptions = { headers: { ...headers, ...headersOfKey(key) } };
      const { data, error } = await client.mutation(documents[kind], variables, { fetchOptions });
      return replyOf({ data, errors: error?.graphQLErrors });
    },
  };
}
