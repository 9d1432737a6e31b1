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
import { answersTo, customerIn, fieldsOf, isWhole, leavesDoubt, type Named } from './naming.ts';
import type { Outcome, RootOf } from './outcome.ts';
import { useCustomerClient } from './react.ts';
import { mayBeDone, subjectOf, withoutTokens } from './writes.ts';

/** Every key of the kit begins with it. */
const scope = 'juspay-customer';
const maxRetries = 2;

/** What a query's hook gives: the value of its one root field; lists without the null of a failure, which is thrown. */
export type QueryData<Result, Field> = Field extends keyof Result
  ? Extract<Result[Field], readonly unknown[]> extends never
    ? Result[Field]
    : Extract<Result[Field], readonly unknown[]>
  : Result;

type OwnQuery = 'queryKey' | 'queryFn';

/** React Query's own options, but for what the kit says. */
export type QueryHookOptions<Data, Selected> = Omit<
  UseQueryOptions<Data, CustomerClientError, Selected, QueryKey>,
  OwnQuery
>;
/** Of the mutation of an option factory. */
export type MutationHookOptions<Factory> = Factory extends (
  client: CustomerClient,
) => UseMutationOptions<infer Data, CustomerClientError, infer Variables>
  ? Omit<UseMutationOptions<Data, CustomerClientError, Variables>, 'mutationFn' | 'mutationKey'>
  : never;

export type QueryKey = readonly [typeof scope, string, unknown];

/**
 * Makes `customerOptions(client, variables)`: for `useQuery`, `useSuspenseQuery`, `prefetchQuery`, … A token in the answer is moved to
 * `client.tokens`, and never cached.
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
      // Only what a repeat can help, and when it can.
      retry: (count, error) => error.retryable && count < maxRetries,
      retryDelay: (count, error) => (error.retryAfterSeconds ?? Math.min(2 ** count, 30)) * 1000,
    });
}

/** What an option factory's query gives. */
export type DataOf<Factory> = Factory extends (
  ...args: never[]
) => UseQueryOptions<infer Data, CustomerClientError, infer _Selected, QueryKey>
  ? Data
  : never;

/** Runs the query of an option factory with the client above. `skipToken` waits. */
export function useQueryOf<Data, Variables, Selected>(
  options: (client: CustomerClient, variables: Variables) => UseQueryOptions<Data, CustomerClientError, Data, QueryKey>,
  variables: Variables | SkipToken,
  extra: QueryHookOptions<Data, Selected> | undefined,
): UseQueryResult<Selected, CustomerClientError> {
  const own = options(useCustomerClient(), variables as Variables);
  const skipped = variables === skipToken ? { queryFn: skipToken, queryKey: [scope, 'skipped', null] as const } : {};
  return useQuery({ ...own, ...extra, ...skipped } as UseQueryOptions<Data, CustomerClientError, Selected, QueryKey>);
}

/** Makes `createCustomerOptions(client)`: for `useMutation`. What was written is in the cache before `onSuccess` is called. */
export function mutationFactory<Result, Variables>(document: TypedDocument<Result, Variables>) {
  return (client: CustomerClient) =>
    mutationOptions<Outcome<RootOf<Result>>, CustomerClientError, Variables>({
      mutationKey: [scope, document.name],
      // Sending a write again is for the person, or the app, to decide.
      retry: false,
      mutationFn: async (variables, { client: queryClient }) => {
        const outcome = await client.mutate(document, variables).catch(async (thrown: unknown) => {
          const error = customerErrorFrom(thrown);
          if (mayBeDone(error)) await doubt(queryClient, variables);
          throw error;
        });
        await show(queryClient, variables, outcome);
        return outcome;
      },
    });
}

/** Runs the mutation of an option factory with the client above: its `data` is the outcome. */
export function useMutationOf<Data, Variables>(
  options: (client: CustomerClient) => UseMutationOptions<Data, CustomerClientError, Variables>,
  extra: Omit<UseMutationOptions<Data, CustomerClientError, Variables>, 'mutationFn' | 'mutationKey'> | undefined,
): UseMutationResult<Data, CustomerClientError, Variables> {
  return useMutation({ ...options(useCustomerClient()), ...extra });
}

async function show(queryClient: QueryClient, variables: unknown, outcome: { readonly status: string }): Promise<void> {
  const customer = customerIn(outcome);
  if (customer !== undefined) await rememberCustomer(queryClient, customer);
  const isShown = customer !== undefined && isWhole(customer);
  if (leavesDoubt(outcome) || (outcome.status === 'success' && !isShown)) await doubt(queryClient, variables);
}

/**
 * Shows a customer, as it is now, wherever it was asked for by its id or its reference: also where the answer was that there is none. Queries of
 * operations of your own that may show it are asked again; and all of them where only some of the fields are known.
 */
export async function rememberCustomer(
  queryClient: QueryClient,
  customer: Partial<CustomerFieldsFragment> & Named,
): Promise<void> {
  const fields = fieldsOf(customer);
  type Shown = CustomerFieldsFragment | null;
  const isOne = (name: unknown, value?: Named | null) => answersTo(fields, name) || value?.id === fields.id;
  const now = (before: Shown | undefined) => (isWhole(fields) ? fields : before && { ...before, ...fields });
  const isAbout = ({ queryKey, state }: Query) =>
    names(queryKey, fields) ||
    [state.data].flat().some((value) => (value as Named | null | undefined)?.id === fields.id);
  // A read that is under way was asked before the write was answered.
  const lists = queryClient.getQueryCache().findAll({ queryKey: [scope, 'Customers'] });
  const interrupted = new Set(lists.filter(({ state }) => state.fetchStatus !== 'idle'));
  await queryClient.cancelQueries({ queryKey: [scope], predicate: isAbout });
  queryClient.setQueriesData<Shown>(
    {
      queryKey: [scope, 'Customer'],
      predicate: ({ queryKey, state }) => isOne(namesIn(queryKey)[0], state.data as Named),
    },
    now,
  );
  for (const { queryKey } of lists) {
    const asked = namesIn(queryKey);
    queryClient.setQueryData<readonly (Shown | undefined)[]>(queryKey, (list) =>
      list?.map((value, index) => (isOne(asked[index], value) ? now(value) : value)),
    );
  }
  for (const id of [fields.id, fields.objectReferenceId]) {
    if (id != null && isWhole(fields)) queryClient.setQueryData([scope, 'Customer', { id }], fields);
  }
  const isShown = (query: Query) => isWhole(fields) && isOwn(query.queryKey) && !interrupted.has(query);
  await queryClient.invalidateQueries({ queryKey: [scope], predicate: (query) => !isShown(query) && isAbout(query) });
}

/** Asks again for the customer that a write was about. */
async function doubt(queryClient: QueryClient, variables: unknown): Promise<void> {
  const id = subjectOf(variables);
  if (id === undefined) return;
  const customer = { id, objectReferenceId: id };
  await queryClient.invalidateQueries({ queryKey: [scope], predicate: ({ queryKey }) => names(queryKey, customer) });
}

const isOwn = ([, name]: readonly unknown[]) => name === 'Customer' || name === 'Customers';

/** Whether any of a query's variables names the customer. */
function names(key: readonly unknown[], customer: Named): boolean {
  return namesIn(key).some((name) => answersTo(customer, name));
}

function namesIn([, , variables]: readonly unknown[]): unknown[] {
  return Object.values((variables as Record<string, unknown> | null | undefined) ?? {}).flat();
}
