import type { DocumentNode } from 'graphql';
import { attempts, type Client, documents, headersOfKey, replyOf } from '../operations.ts';

/** What versions 3 and 4 of Apollo Client have in common. */
interface ApolloClient {
  mutate(options: {
    mutation: DocumentNode;
    variables: object;
    context: object;
    fetchPolicy: 'no-cache';
  }): Promise<object>;
  stop(): void;
}

/** Options of `RetryLink`, which repeats each operation after a network error, mutations included. */
export const retries = { delay: { initial: 1, max: 5 }, attempts: { max: attempts } };

/** @param errorsOf the GraphQL errors of a failure; `undefined` for a failure without an answer. */
export function apolloClient(
  client: ApolloClient,
  gql: (text: string) => DocumentNode,
  errorsOf: (failure: unknown) => Parameters<typeof replyOf>[0]['errors'],
): Client {
  const parsed = { create: gql(documents.create), update: gql(documents.update) };
  return {
    async mutate({ kind, variables, key }) {
      const context = { headers: headersOfKey(key) };
      try {
        const options = { mutation: parsed[kind], variables, context, fetchPolicy: 'no-cache' } as const;
        return replyOf((await client.mutate(options)) as { data?: unknown });
      } catch (failure) {
        const errors = errorsOf(failure);
        return errors ? replyOf({ errors }) : {};
      }
    },
    close: () => client.stop(),
  };
}
