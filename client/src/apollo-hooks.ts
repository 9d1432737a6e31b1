import { ApolloClient, ApolloLink, type DocumentNode, Observable, type OperationVariables } from '@apollo/client';
import { skipToken, useMutation, useQuery } from '@apollo/client/react';
import { print } from 'graphql';
import { useCallback } from 'react';
import { customerCache, forgetCustomer, rememberCustomer } from './apollo-cache.ts';
import type { TypedAst } from './ast.ts';
import type { TypedDocument } from './document.ts';
import { asGraphQLError } from './error.ts';
import type { CustomerClient } from './kit.ts';
import { customerIn, isComplete, leavesStaleData } from './naming.ts';
import { type Outcome, outcomeOf, type RootOf } from './outcome.ts';
import { withoutTokens } from './writes.ts';

/**
 * The terminating link of Apollo Client, instead of an `HttpLink`. Sends through the client of the kit, with its headers, ids and renewal of
 * the session. Moves the tokens of every result to `client.tokens`, so that no other link and no cache receives them.
 */
export function customerLink(client: CustomerClient): ApolloLink {
  return new ApolloLink(
    ({ query, operationName = '', operationType, variables }) =>
      new Observable((observer) => {
        const { documentId } = query as { documentId?: string };
        const document: TypedDocument<Record<string, unknown>, unknown> = {
          ...(documentId !== undefined && { id: documentId }),
          kind: operationType === 'mutation' ? 'mutation' : 'query',
          name: operationName,
          text: print(query),
        };
        const abort = new AbortController();
        client.request(document, variables, { signal: abort.signal }).then(
          ({ data: answered, errors }) => {
            const data = withoutTokens(answered, client.tokens);
            observer.next({ data, ...(errors.length > 0 && { errors: errors.map(asGraphQLError) }) });
            observer.complete();
          },
          (error) => observer.error(error),
        );
        return () => abort.abort();
      }),
  );
}

/** Creates an Apollo Client with the cache and the link of the kit. `options` take precedence. */
export function createApolloClient(client: CustomerClient, options: Partial<ApolloClient.Options> = {}): ApolloClient {
  return new ApolloClient({ cache: customerCache(), link: customerLink(client), ...options });
}

export type QueryHookOptions<Result, Variables extends OperationVariables> = Omit<
  useQuery.Base.Options<Result, Variables>,
  'returnPartialData'
>;

export type MutationHookOptions<Result, Variables extends OperationVariables> = Omit<
  useMutation.Options<Result, Variables>,
  'errorPolicy'
>;

/** Runs a query. Without variables it does not run. */
export function useQueryOf<Result, Variables extends OperationVariables>(
  ast: TypedAst<Result, Variables>,
  variables: Variables | undefined,
  options: QueryHookOptions<Result, Variables> = {},
): useQuery.Result<Result, Variables, 'empty' | 'complete' | 'streaming'> {
  return useQuery<Result, Variables>(
    ast as DocumentNode,
    variables === undefined ? skipToken : ({ ...options, variables } as unknown as useQuery.Options<Result, Variables>),
  ) as useQuery.Result<Result, Variables, 'empty' | 'complete' | 'streaming'>;
}

/** The outcome of a mutation. `undefined` before the response, and if the whole operation failed. */
export interface WithOutcome<Result> {
  readonly outcome: Outcome<RootOf<Result>> | undefined;
}

export type UseMutationOfResponse<Result, Variables extends OperationVariables> = readonly [
  (options: { variables: Variables }) => Promise<ApolloClient.MutateResult<Result> & WithOutcome<Result>>,
  useMutation.Result<Result> & WithOutcome<Result>,
];

/** Runs a mutation when its function is called. The cache is updated before the returned promise resolves. */
export function useMutationOf<Result, Variables extends OperationVariables>(
  ast: TypedAst<Result, Variables>,
  root: keyof Result & string,
  options: MutationHookOptions<Result, Variables> = {},
): UseMutationOfResponse<Result, Variables> {
  const [mutate, state] = useMutation<Result, Variables>(
    ast as DocumentNode,
    {
      ...options,
      // An error of the token field must not discard an acknowledged write.
      errorPolicy: 'all',
      update(cache, result, context) {
        const outcome = outcomeIn(result.data as Result | null | undefined, root);
        const customer = customerIn(outcome);
        if (customer !== undefined && isComplete(customer)) rememberCustomer(cache, customer);
        else if (outcome && (outcome.status === 'success' || leavesStaleData(outcome))) {
          forgetCustomer(cache, context.variables, customer);
        }
        options.update?.(cache, result, context);
      },
    } as useMutation.Options<Result, Variables>,
  );
  const { cache } = state.client;
  // A stable function, like Apollo's own, because effects can depend on it.
  const run = useCallback(
    async ({ variables }: { variables: Variables }) => {
      const result = await (
        mutate as (options: { variables: Variables }) => Promise<ApolloClient.MutateResult<Result>>
      )({
        variables,
      });
      const { data, error } = result as { data?: Result | null; error?: unknown };
      const outcome = outcomeIn(data, root);
      // The outcome is ambiguous, so cached data can be stale.
      if (outcome === undefined && error !== undefined) forgetCustomer(cache, variables);
      return { ...result, outcome } as ApolloClient.MutateResult<Result> & WithOutcome<Result>;
    },
    [mutate, cache, root],
  );
  return [
    run,
    { ...state, outcome: outcomeIn(state.data as Result | null | undefined, root) } as useMutation.Result<Result> &
      WithOutcome<Result>,
  ];
}

function outcomeIn<Result>(data: Result | null | undefined, root: keyof Result): Outcome<RootOf<Result>> | undefined {
  const result = data?.[root] as { readonly __typename: string } | null | undefined;
  return result ? (outcomeOf(result) as Outcome<RootOf<Result>>) : undefined;
}
