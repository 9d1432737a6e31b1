import {
  mutationOptions,
  type Query,
  type QueryClient,
  queryOptions,
  type SkipToken,
  skipToken,
  type UseMutationOptions,
  type UseMutationResult,
  type UseQueryOptions,
  type UseQueryResult,
  useMutation,
  useQuery,
} from '@tanstack/react-query';
import type { CustomerFieldsFragment } from '../../schema/generated/operations.ts';
import type { TypedDocument } from './document.ts';
import type { CustomerClientError } from './error.ts';
import { customerErrorFrom } from './failure.ts';
import type { CustomerClient } from './kit.ts';
import {
  type CustomerIdentifiers,
  customerIn,
  fieldsOf,
  isComplete,
  isIdentifiedBy,
  leavesStaleData,
} from './naming.ts';
import type { Outcome, RootOf } from './outcome.ts';
import { useCustomerClient } from './react.ts';
import { mayBeDone, targetOf, withoutTokens } from './writes.ts';

/** First element of every key of the kit. */
const scope = 'juspay-customer';
const maxRetries = 2;

/** Data of a query hook: the value of the only root field. A list is not null, because a failure is thrown. */
export type QueryData<Result, Field> = Field extends keyof Result
  ? Extract<Result[Field], readonly unknown[]> extends never
    ? Result[Field]
    : Extract<Result[Field], readonly unknown[]>
  : Result;

type OwnQuery = 'queryKey' | 'queryFn';

/** React Query's options without those that the kit sets. */
export type QueryHookOptions<Data, Selected> = Omit<
  UseQueryOptions<Data, CustomerClientError, Selected, QueryKey>,
  OwnQuery
>;
/** React Query's options for the mutation of an option factory, without those that the kit sets. */
export type MutationHookOptions<Factory> = Factory extends (
  client: CustomerClient,
) => UseMutationOptions<infer Data, CustomerClientError, infer Variables>
  ? Omit<UseMutationOptions<Data, CustomerClientError, Variables>, 'mutationFn' | 'mutationKey'>
  : never;

export type QueryKey = readonly [typeof scope, string, unknown];

/**
 * Creates an option factory such as `customerOptions(client, variables)`, for `useQuery`, `useSuspenseQuery`, `prefetchQuery` and others.
 * A token in the result is moved to `client.tokens` and never cached.
 */
export function queryFactory<Result, Variables, const Field extends keyof Result | undefined>(
  document: TypedDocument<Result, Variables>,
  field: Field,
) {
  type Data = QueryData<Result, Field>;
  return (client: CustomerClient, variables: Variables) =>
    queryOptions<Data, CustomerClientError, Data, QueryKey>({
      queryKey: [scope, document.name, variables],
      queryFn: async ({ signal }) => {
        const answer = await client.execute(document, variables, { signal }).catch((error: unknown) => {
          throw signal.aborted ? error : customerErrorFrom(error);
        });
        const result = withoutTokens(answer, client.tokens);
        return (field === undefined ? result : result[field]) as Data;
      },
      retry: (count, error) => error.retryable && count < maxRetries,
      retryDelay: (count, error) => (error.retryAfterSeconds ?? Math.min(2 ** count, 30)) * 1000,
    });
}

/** Data of the query of an option factory. */
export type DataOf<Factory> = Factory extends (
  ...args: never[]
) => UseQueryOptions<infer Data, CustomerClientError, infer _Selected, QueryKey>
  ? Data
  : never;

/** Runs the query of an option factory with the client of the `CustomerProvider`. With `skipToken` it does not run. */
export function useQueryOf<Data, Variables, Selected>(
  options: (client: CustomerClient, variables: Variables) => UseQueryOptions<Data, CustomerClientError, Data, QueryKey>,
  variables: Variables | SkipToken,
  extra: QueryHookOptions<Data, Selected> | undefined,
): UseQueryResult<Selected, CustomerClientError> {
  const own = options(useCustomerClient(), variables as Variables);
  const skipped = variables === skipToken ? { queryFn: skipToken, queryKey: [scope, 'skipped', null] as const } : {};
  return useQuery({ ...own, ...extra, ...skipped } as UseQueryOptions<Data, CustomerClientError, Selected, QueryKey>);
}

/**
 * Creates an option factory such as `createCustomerOptions(client)`, for `useMutation`. Updates the cache before `onSuccess` is called. Does
 * not wait for queries that it refetches: the outcome is known, and a slow read must not hide it.
 */
export function mutationFactory<Result, Variables>(document: TypedDocument<Result, Variables>) {
  return (client: CustomerClient) =>
    mutationOptions<Outcome<RootOf<Result>>, CustomerClientError, Variables>({
      mutationKey: [scope, document.name],
      // The user or the app decides whether to send a write again.
      retry: false,
      mutationFn: async (variables, { client: queryClient }) => {
        const outcome = await client.mutate(document, variables).catch((thrown: unknown) => {
          const error = customerErrorFrom(thrown);
          if (mayBeDone(error)) invalidateCustomer(queryClient, variables);
          throw error;
        });
        await updateCache(queryClient, variables, outcome);
        return outcome;
      },
    });
}

/** Runs the mutation of an option factory with the client of the `CustomerProvider`. Its `data` is the outcome. */
export function useMutationOf<Data, Variables>(
  options: (client: CustomerClient) => UseMutationOptions<Data, CustomerClientError, Variables>,
  extra: Omit<UseMutationOptions<Data, CustomerClientError, Variables>, 'mutationFn' | 'mutationKey'> | undefined,
): UseMutationResult<Data, CustomerClientError, Variables> {
  return useMutation({ ...options(useCustomerClient()), ...extra });
}

async function updateCache(
  queryClient: QueryClient,
  variables: unknown,
  outcome: { readonly status: string },
): Promise<void> {
  const customer = customerIn(outcome);
  if (customer !== undefined) await rememberCustomer(queryClient, customer);
  const isCached = customer !== undefined && isComplete(customer);
  if (leavesStaleData(outcome) || (outcome.status === 'success' && !isCached))
    invalidateCustomer(queryClient, variables);
}

/**
 * Writes a customer into the cached result of every query for its id or its reference, including results without a customer. Invalidates
 * queries of your own operations that can contain the customer. If some fields are missing, invalidates all queries for it. Does not wait
 * until they are refetched.
 */
export async function rememberCustomer(
  queryClient: QueryClient,
  customer: Partial<CustomerFieldsFragment> & CustomerIdentifiers,
): Promise<void> {
  const fields = fieldsOf(customer);
  type Cached = CustomerFieldsFragment | null;
  const isOne = (identifier: unknown, value?: CustomerIdentifiers | null) =>
    isIdentifiedBy(fields, identifier) || value?.id === fields.id;
  const merged = (before: Cached | undefined) => (isComplete(fields) ? fields : before && { ...before, ...fields });
  const isAbout = ({ queryKey, state }: Query) =>
    isFor(queryKey, fields) ||
    [state.data].flat().some((value) => (value as CustomerIdentifiers | null | undefined)?.id === fields.id);
  // An in-flight read was sent before the write was acknowledged, so its result can be stale.
  const lists = queryClient.getQueryCache().findAll({ queryKey: [scope, 'Customers'] });
  const interrupted = new Set(lists.filter(({ state }) => state.fetchStatus !== 'idle'));
  await queryClient.cancelQueries({ queryKey: [scope], predicate: isAbout });
  queryClient.setQueriesData<Cached>(
    {
      queryKey: [scope, 'Customer'],
      predicate: ({ queryKey, state }) => isOne(identifiersIn(queryKey)[0], state.data as CustomerIdentifiers),
    },
    merged,
  );
  for (const { queryKey } of lists) {
    const requested = identifiersIn(queryKey);
    queryClient.setQueryData<readonly (Cached | undefined)[]>(queryKey, (list) =>
      list?.map((value, index) => (isOne(requested[index], value) ? merged(value) : value)),
    );
  }
  for (const id of [fields.id, fields.objectReferenceId]) {
    if (id != null && isComplete(fields)) queryClient.setQueryData([scope, 'Customer', { id }], fields);
  }
  const isUpdated = (query: Query) => isComplete(fields) && isOwn(query.queryKey) && !interrupted.has(query);
  invalidate(queryClient, (query) => !isUpdated(query) && isAbout(query));
}

/** Invalidates the queries for the customer of a write. */
function invalidateCustomer(queryClient: QueryClient, variables: unknown): void {
  const id = targetOf(variables);
  if (id === undefined) return;
  const customer = { id, objectReferenceId: id };
  invalidate(queryClient, ({ queryKey }) => isFor(queryKey, customer));
}

/** Marks queries as stale and refetches the active ones. Their hooks report failures. */
function invalidate(queryClient: QueryClient, predicate: (query: Query) => boolean): void {
  queryClient.invalidateQueries({ queryKey: [scope], predicate }).catch(() => undefined);
}

const isOwn = ([, name]: readonly unknown[]) => name === 'Customer' || name === 'Customers';

/** Whether any variable of a query is an identifier of the customer. */
function isFor(key: readonly unknown[], customer: CustomerIdentifiers): boolean {
  return identifiersIn(key).some((identifier) => isIdentifiedBy(customer, identifier));
}

function identifiersIn([, , variables]: readonly unknown[]): unknown[] {
  return Object.values((variables as Record<string, unknown> | null | undefined) ?? {}).flat();
}
