import { useCallback, useMemo } from 'react';
import type { AnyVariables } from 'urql';
import {
  Client,
  type ClientOptions,
  cacheExchange,
  composeExchanges,
  type DocumentInput,
  type Exchange,
  fetchExchange,
  getOperationName,
  makeOperation,
  mapExchange,
  type Operation,
  type OperationContext,
  type OperationResult,
  type RequestPolicy,
  stringifyDocument,
  type UseMutationState,
  type UseQueryResponse,
  useMutation,
  useQuery,
} from 'urql';
import type { TypedAst } from './ast.ts';
import type { TypedDocument } from './document.ts';
import { asGraphQLError } from './error.ts';
import type { CustomerClient } from './kit.ts';
import { leavesStaleData } from './naming.ts';
import { type Outcome, outcomeOf, type RootOf } from './outcome.ts';
import { withoutTokens } from './writes.ts';

/**
 * The terminating exchange of urql, instead of `fetchExchange`. Sends through the client of the kit, with its headers, ids and renewal of the
 * session. Moves the tokens of every result to `client.tokens`, so that no other exchange receives them.
 */
export function customerExchange(client: CustomerClient): Exchange {
  const onOperation = (operation: Operation) =>
    makeOperation(operation.kind, operation, {
      ...operation.context,
      preferGetMethod: false,
      fetch: async (_url, init) => {
        const signal = init?.signal ?? undefined;
        const { data: answered, errors } = await client.request(documentOf(operation), operation.variables, { signal });
        const data = withoutTokens(answered, client.tokens);
        const body = errors.length > 0 ? { data, errors: errors.map(asGraphQLError) } : { data };
        // React Native lacks `Response.json`.
        return new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } });
      },
    });
  // A result without a customer invalidates nothing in urql's cache. Add the type if the outcome can leave cached data stale.
  const onResult = (result: OperationResult) =>
    canLeaveStaleData(result)
      ? { ...result, operation: makeOperation('mutation', result.operation, withCustomers(result.operation.context)) }
      : result;
  return composeExchanges([mapExchange({ onOperation, onResult }), fetchExchange]);
}

function canLeaveStaleData({ operation, data }: OperationResult): boolean {
  if (operation.kind !== 'mutation') return false;
  const results = Object.values((data ?? { none: null }) as Record<string, { readonly __typename: string } | null>);
  return results.some((result) => result === null || leavesStaleData(outcomeOf(result)));
}

/** Declares that the result depends on customers, even if it contains none. */
function withCustomers<Context extends Partial<OperationContext>>(context: Context | undefined) {
  return { ...context, additionalTypenames: ['Customer', ...(context?.additionalTypenames ?? [])] } as Context;
}

function documentOf({ query, kind }: Operation): TypedDocument<unknown, unknown> {
  const { documentId } = query as { documentId?: string };
  return {
    ...(documentId !== undefined && { id: documentId }),
    kind: kind === 'mutation' ? 'mutation' : 'query',
    name: getOperationName(query) ?? '',
    text: stringifyDocument(query),
  };
}

export interface UrqlOptions {
  /** Exchanges between the cache and the terminating exchange. */
  readonly exchanges?: readonly Exchange[];
  /** Other options of urql, such as `suspense` and `requestPolicy`. */
  readonly client?: Partial<Omit<ClientOptions, 'url' | 'exchanges' | 'preferGetMethod'>>;
}

/** Creates a client of urql with its document cache. Sends queries by POST: the gateway requires a header for GET that urql does not send. */
export function createUrqlClient(client: CustomerClient, { exchanges = [], client: others }: UrqlOptions = {}): Client {
  return new Client({
    ...others,
    // Required by urql, but not used: the client of the kit has the address.
    url: '/graphql',
    preferGetMethod: false,
    exchanges: [cacheExchange, ...exchanges, customerExchange(client)],
  });
}

export interface QueryHookOptions<_Result = unknown, _Variables = unknown> {
  readonly requestPolicy?: RequestPolicy;
  readonly context?: Partial<OperationContext>;
  readonly pause?: boolean;
}

export interface MutationHookOptions<_Result = unknown, _Variables = unknown> {
  readonly context?: Partial<OperationContext>;
}

/**
 * Runs a query. Without variables it does not run. It is refetched after every mutation whose result contains a customer. This includes queries
 * that found no customer: urql by itself would not relate such a result to customers.
 */
export function useQueryOf<Result, Variables extends AnyVariables>(
  ast: TypedAst<Result, Variables>,
  variables: Variables | undefined,
  { pause = false, requestPolicy, context }: QueryHookOptions = {},
): UseQueryResponse<Result, Variables> {
  const withTypes = useMemo(() => ({ ...withCustomers(context), preferGetMethod: false as const }), [context]);
  return useQuery<Result, Variables>({
    query: ast as DocumentInput<Result, Variables>,
    variables: (variables ?? {}) as Variables,
    pause: pause || variables === undefined,
    context: withTypes,
    ...(requestPolicy && { requestPolicy }),
  } as Parameters<typeof useQuery<Result, Variables>>[0]);
}

/** The outcome of a mutation. `undefined` before the response, and if the whole operation failed. */
export interface WithOutcome<Result> {
  readonly outcome: Outcome<RootOf<Result>> | undefined;
}

export type UseMutationOfResponse<Result, Variables extends AnyVariables> = readonly [
  UseMutationState<Result, Variables> & WithOutcome<Result>,
  (
    variables: Variables,
    context?: Partial<OperationContext>,
  ) => Promise<OperationResult<Result, Variables> & WithOutcome<Result>>,
];

/** Runs a mutation when its function is called. */
export function useMutationOf<Result, Variables extends AnyVariables>(
  ast: TypedAst<Result, Variables>,
  root: keyof Result & string,
  { context }: MutationHookOptions = {},
): UseMutationOfResponse<Result, Variables> {
  const [state, execute] = useMutation<Result, Variables>(ast as DocumentInput<Result, Variables>);
  // A stable function, like urql's own, because effects can depend on it.
  const run = useCallback(
    (variables: Variables, more?: Partial<OperationContext>) =>
      execute(variables, { ...context, ...more }).then((result) => withOutcome(result, root)),
    [execute, context, root],
  );
  return [withOutcome(state, root), run];
}

function withOutcome<Result, State extends { data?: Result | undefined }>(
  state: State,
  root: keyof Result & string,
): State & WithOutcome<Result> {
  const result = state.data?.[root] as { readonly __typename: string } | null | undefined;
  return { ...state, outcome: result ? (outcomeOf(result) as Outcome<RootOf<Result>>) : undefined };
}
