import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type DocumentNode, parse } from 'graphql';
import type { ReactNode } from 'react';
import { newCustomer } from '../../test/support.ts';
import type { TypedAst } from '../src/ast.ts';
import {
  CustomerWithTokenDocument,
  createCustomerClient,
  type TypedDocument,
  type UpdateCustomerMutationVariables,
} from '../src/client.ts';
import { startTestGateway, type TestGateway } from '../src/testing.ts';
import { openPage, type Rendered, renderHook } from './render.ts';

openPage();
const { createElement, useCallback } = await import('react');
const { MutationObserver, QueryClient, QueryClientProvider, QueryObserver } = await import('@tanstack/react-query');
const { Provider: UrqlProvider } = await import('urql');
const { ApolloProvider } = await import('@apollo/client/react');
const { CustomerProvider, useClientAuthToken } = await import('../src/react.ts');
const reactQuery = await import('../src/react-query.ts');
const urql = await import('../src/urql.ts');
const apollo = await import('../src/apollo.ts');

/** The state of a query hook, in one form for all flavours. */
interface Query {
  readonly isLoading: boolean;
  readonly names: readonly (string | null | undefined)[];
  readonly error: unknown;
  /** The whole data. */
  readonly all: unknown;
}

interface Outcome {
  readonly status: string;
  readonly customer?: { readonly id: string; readonly clientAuthToken?: unknown };
}

interface Flavour {
  readonly wrap: (children: ReactNode) => ReactNode;
  readonly useCustomer: (id: string | undefined) => Query;
  readonly useCustomers: (ids: string[]) => Query;
  readonly useCreate: () => readonly [
    Outcome | undefined,
    (variables: { input: ReturnType<typeof newCustomer> }) => Promise<Outcome | undefined>,
  ];
  readonly useUpdate: () => readonly [
    Outcome | undefined,
    (variables: { id: string; input: object }) => Promise<Outcome | undefined>,
  ];
  /** The unwrapped functions of the update hook and of the app's own mutation `Rename`, which selects a part of the customer. */
  readonly useFunctions: () => {
    readonly update: (variables: UpdateCustomerMutationVariables) => Promise<unknown>;
    readonly rename: (variables: UpdateCustomerMutationVariables) => Promise<unknown>;
  };
  /** Runs the query that selects a token without a hook, because the kit has no hook for it. */
  readonly readWithToken: (id: string) => Promise<unknown>;
  /** The cached data of the GraphQL client as JSON. */
  readonly cached: () => string;
  /** Stops its timers. */
  readonly close: () => void;
}

interface RenameMutation {
  readonly updateCustomer:
    | {
        readonly __typename: 'UpdateCustomerSuccess';
        readonly customer: { readonly __typename: 'Customer'; readonly id: string; readonly firstName: string | null };
      }
    | { readonly __typename: 'CustomerNotFoundError' }
    | null;
}

const rename: TypedDocument<RenameMutation, UpdateCustomerMutationVariables> = {
  kind: 'mutation',
  name: 'Rename',
  text: `mutation Rename($id: ID!, $input: UpdateCustomerInput!) {
    updateCustomer(id: $id, input: $input) { ... on UpdateCustomerSuccess { customer { id firstName __typename } } __typename }
  }`,
};
const renameAst = parse(rename.text) as TypedAst<RenameMutation, UpdateCustomerMutationVariables>;

const named = (customer: { firstName: string | null } | null | undefined) => customer && (customer.firstName ?? '');
const seen = (data: unknown, key: string) => (data as Record<string, unknown> | undefined)?.[key];

const flavours: Record<string, (gateway: TestGateway) => Flavour> = {
  'React Query': ({ client }) => {
    // The default timers keep the process alive for five minutes.
    const gcTime = Number.POSITIVE_INFINITY;
    const queryClient = new QueryClient({ defaultOptions: { queries: { gcTime }, mutations: { gcTime } } });
    const query = ({ isPending, data, error }: { isPending: boolean; data: unknown; error: unknown }): Query => ({
      isLoading: isPending,
      names: [data].flat().map((one) => named(one as { firstName: string })),
      all: data,
      error,
    });
    return {
      wrap: (children) =>
        createElement(
          CustomerProvider,
          { client },
          createElement(QueryClientProvider, { client: queryClient }, children),
        ),
      useCustomer: (id) => query(reactQuery.useCustomer(id === undefined ? reactQuery.skipToken : { id })),
      useCustomers: (ids) => query(reactQuery.useCustomers({ ids })),
      useCreate: () => {
        const { data, mutateAsync } = reactQuery.useCreateCustomerWithToken();
        return [data as Outcome, (variables) => mutateAsync(variables) as Promise<Outcome>];
      },
      useUpdate: () => {
        const { data, mutateAsync } = reactQuery.useUpdateCustomer();
        return [data as Outcome, (variables) => mutateAsync(variables) as Promise<Outcome>];
      },
      useFunctions: () => ({
        update: reactQuery.useUpdateCustomer().mutateAsync,
        rename: reactQuery.useMutationOf(reactQuery.mutationFactory(rename), undefined).mutateAsync,
      }),
      readWithToken: (id) =>
        queryClient.fetchQuery(reactQuery.queryFactory(CustomerWithTokenDocument, 'customer')(client, { id })),
      cached: () =>
        JSON.stringify([
          queryClient
            .getQueryCache()
            .getAll()
            .map(({ state }) => state),
          queryClient
            .getMutationCache()
            .getAll()
            .map(({ state }) => state),
        ]),
      close: () => queryClient.clear(),
    };
  },
  urql: ({ client }) => {
    const results: unknown[] = [];
    const urqlClient = urql.createUrqlClient(client, {
      exchanges: [
        ({ forward }) =>
          (operations) => {
            const answers = forward(operations);
            return (sink) =>
              answers((signal) => {
                if (typeof signal === 'object' && 'tag' in signal && signal.tag === 1) results.push(signal[0].data);
                sink(signal);
              });
          },
      ],
    });
    const query = (
      [{ fetching, stale, data, error }]: readonly [
        { fetching: boolean; stale: boolean; data?: unknown; error?: unknown },
        unknown,
      ],
      key: string,
    ): Query => ({
      isLoading: fetching || stale,
      names: [seen(data, key)].flat().map((one) => named(one as { firstName: string })),
      all: data,
      error,
    });
    return {
      wrap: (children) =>
        createElement(CustomerProvider, { client }, createElement(UrqlProvider, { value: urqlClient }, children)),
      useCustomer: (id) => query(urql.useCustomer(id === undefined ? undefined : { id }), 'customer'),
      useCustomers: (ids) => query(urql.useCustomers({ ids }), 'customers'),
      useCreate: () => {
        const [{ outcome }, execute] = urql.useCreateCustomerWithToken();
        return [outcome as Outcome, async (variables) => (await execute(variables)).outcome as Outcome];
      },
      useUpdate: () => {
        const [{ outcome }, execute] = urql.useUpdateCustomer();
        return [outcome as Outcome, async (variables) => (await execute(variables)).outcome as Outcome];
      },
      useFunctions: () => ({
        update: urql.useUpdateCustomer()[1],
        rename: urql.useMutationOf(renameAst, 'updateCustomer')[1],
      }),
      readWithToken: (id) => urqlClient.query(urql.CustomerWithTokenAst as DocumentNode, { id }).toPromise(),
      cached: () => JSON.stringify(results),
      close: () => undefined,
    };
  },
  'Apollo Client': ({ client }) => {
    const apolloClient = apollo.createApolloClient(client);
    const query = (
      { loading, data, error }: { loading: boolean; data?: unknown; error?: unknown },
      key: string,
    ): Query => ({
      isLoading: loading,
      names: [seen(data, key)].flat().map((one) => named(one as { firstName: string })),
      all: data,
      error,
    });
    return {
      wrap: (children) =>
        createElement(CustomerProvider, { client }, createElement(ApolloProvider, { client: apolloClient, children })),
      useCustomer: (id) => query(apollo.useCustomer(id === undefined ? undefined : { id }), 'customer'),
      useCustomers: (ids) => query(apollo.useCustomers({ ids }), 'customers'),
      useCreate: () => {
        const [create, { outcome }] = apollo.useCreateCustomerWithToken();
        return [outcome as Outcome, async (variables) => (await create({ variables })).outcome as Outcome];
      },
      useUpdate: () => {
        const [update, { outcome }] = apollo.useUpdateCustomer();
        return [outcome as Outcome, async (variables) => (await update({ variables })).outcome as Outcome];
      },
      useFunctions: () => {
        const [update] = apollo.useUpdateCustomer();
        const [renameOne] = apollo.useMutationOf(renameAst, 'updateCustomer');
        return {
          update: useCallback((variables) => update({ variables }), [update]),
          rename: useCallback((variables) => renameOne({ variables }), [renameOne]),
        };
      },
      // Without the cache the type policies do not apply, so the link must remove the token.
      readWithToken: (id) =>
        apolloClient
          .query({ query: apollo.CustomerWithTokenAst as DocumentNode, variables: { id }, fetchPolicy: 'no-cache' })
          .then(async (uncached) => [
            uncached,
            await apolloClient.query({ query: apollo.CustomerWithTokenAst as DocumentNode, variables: { id } }),
          ]),
      cached: () => JSON.stringify(apolloClient.cache.extract()),
      close: () => apolloClient.stop(),
    };
  },
};

for (const [name, open] of Object.entries(flavours)) {
  test(`${name}: the app’s own operation that selects a part of a customer MUST keep the other cached fields`, async () => {
    const gateway = await startTestGateway();
    const flavour = open(gateway);
    const consoleErrors: unknown[] = [];
    const { error } = console;
    console.error = (...words) => void consoleErrors.push(words);
    const hooks = await renderHook(
      () => ({ functions: flavour.useFunctions(), customer: flavour.useCustomer('cth_A1b2C3d4E5f6G7h8') }),
      flavour.wrap,
    );
    try {
      await hooks.until(({ customer }) => customer.names[0] === 'Asha');
      await hooks.current().functions.rename({
        id: 'cth_A1b2C3d4E5f6G7h8',
        input: { firstName: 'Asha Devi', lastName: 'Iyer' },
      });
      const { customer } = await hooks.until((now) => now.customer.names[0] === 'Asha Devi' && !now.customer.isLoading);
      assert.match(JSON.stringify(customer.all), /"emailAddress":"asha.rao@example.com"/);
      // The mutation changed `lastName` without selecting it, so the query is refetched.
      await hooks.until((now) => JSON.stringify(now.customer.all).includes('"lastName":"Iyer"'));
      assert.deepEqual(consoleErrors, []);
    } finally {
      console.error = error;
      hooks.unmount();
      flavour.close();
      await gateway.close();
    }
  });

  for (const persisted of [false, true]) {
    describe(`${name}${persisted ? ', ids only' : ''}`, () => {
      let gateway: TestGateway;
      let flavour: Flavour;
      let rendered: Rendered<unknown>[];

      const render = async <Value>(hook: () => Value): Promise<Rendered<Value>> => {
        const one = await renderHook(hook, flavour.wrap);
        rendered.push(one as Rendered<unknown>);
        return one;
      };
      const hooksOf = (id: string, ids: string[]) => () => ({
        customer: flavour.useCustomer(id),
        customers: flavour.useCustomers(ids),
        create: flavour.useCreate(),
        update: flavour.useUpdate(),
      });

      beforeEach(async () => {
        gateway = await startTestGateway({
          settings: persisted ? { PERSISTED_ONLY: 'on' } : {},
          client: { persisted },
        });
        flavour = open(gateway);
        rendered = [];
      });
      afterEach(async () => {
        for (const one of rendered) one.unmount();
        flavour.close();
        await gateway.close();
      });

      test(`after a create the queries by reference and by id MUST return the customer`, async () => {
        const hooks = await render(hooksOf('hooks-reference-1', ['u7', 'hooks-reference-1']));
        const before = await hooks.until(({ customer, customers }) => !customer.isLoading && !customers.isLoading);
        assert.deepEqual(before.customer.names, [null]);
        assert.deepEqual(before.customers.names, ['', null]);

        const outcome = await before.create[1]({ input: newCustomer('hooks-reference-1', { firstName: 'Noor' }) });
        assert.equal(outcome?.status, 'success');
        await hooks.until(
          ({ customer, customers, create }) =>
            customer.names[0] === 'Noor' && customers.names[1] === 'Noor' && create[0]?.status === 'success',
        );
        const byId = await render(() => flavour.useCustomer(outcome.customer?.id));
        await byId.until(({ names }) => names[0] === 'Noor');
      });

      test(`after an update all queries of the customer MUST return the new values`, async () => {
        const hooks = await render(hooksOf('asha.rao@example.com', ['cth_A1b2C3d4E5f6G7h8']));
        const before = await hooks.until(({ customer, customers }) => !customer.isLoading && !customers.isLoading);
        assert.deepEqual([before.customer.names, before.customers.names], [['Asha'], ['Asha']]);
        const outcome = await before.update[1]({ id: 'cth_A1b2C3d4E5f6G7h8', input: { firstName: 'Asha Devi' } });
        assert.equal(outcome?.status, 'success');
        await hooks.until(
          ({ customer, customers }) => customer.names[0] === 'Asha Devi' && customers.names[0] === 'Asha Devi',
        );
      });

      test(`the function of a mutation hook MUST be stable across renders`, async () => {
        const hooks = await render(() => ({ functions: flavour.useFunctions(), customer: flavour.useCustomer('u7') }));
        const before = hooks.current();
        await before.functions.update({ id: 'u7', input: { firstName: 'Ravi' } });
        const after = await hooks.until(({ customer }) => customer.names[0] === 'Ravi');
        assert.notEqual(after, before);
        assert.equal(after.functions.update, before.functions.update);
      });

      test(`after a write that can leave stale data the customer MUST be refetched`, async () => {
        const hooks = await render(hooksOf('asha.rao@example.com', ['u7']));
        await hooks.until(({ customer, customers }) => !customer.isLoading && !customers.isLoading);
        gateway.sandbox.clearCalls();
        gateway.sandbox.arm({ fault: 'not_found', on: 'update', times: 1 });
        const outcome = await hooks.current().update[1]({ id: 'asha.rao@example.com', input: { firstName: 'A' } });
        assert.equal(outcome?.status, 'notFound');
        await gateway.sandbox.whenCalled(({ route }) => route === 'get');
        await hooks.until(({ customer }) => !customer.isLoading && customer.names[0] === 'Asha');
      });

      test(`a result of a later version MUST be \`other\`, and the customer MUST be refetched`, async () => {
        const later = { code: 'FROZEN', message: 'm', retryable: false, requestId: 'r' };
        const client = createCustomerClient({
          url: gateway.url,
          persisted,
          fetch(input, init) {
            const { variables } = JSON.parse(String(init?.body)) as { variables: { input?: object } };
            if (variables.input === undefined) return gateway.fetch(input, init);
            const updateCustomer = { __typename: 'CustomerFrozenError', ...later };
            return Promise.resolve(Response.json({ data: { updateCustomer } }));
          },
        });
        const newer = open({ ...gateway, client });
        const hooks = await renderHook(
          () => ({ customer: newer.useCustomer('u7'), update: newer.useUpdate() }),
          newer.wrap,
        );
        rendered.push(hooks as Rendered<unknown>);
        await hooks.until(({ customer }) => !customer.isLoading);
        gateway.sandbox.clearCalls();
        const outcome = await hooks.current().update[1]({ id: 'u7', input: { firstName: 'A' } });
        assert.partialDeepStrictEqual(outcome, { status: 'other', __typename: 'CustomerFrozenError', ...later });
        await gateway.sandbox.whenCalled(({ route }) => route === 'get');
        await hooks.until(({ customer }) => !customer.isLoading);
        newer.close();
      });

      test(`the token of a create MUST NOT reach the cache, and MUST be ready without another call`, async () => {
        const hooks = await render(() => flavour.useCreate());
        const outcome = await hooks.current()[1]({ input: newCustomer('hooks-token-1') });
        assert.equal(outcome?.status, 'success');
        const token = await render(() => useClientAuthToken(outcome.customer?.id));
        const state = await token.until(({ status }) => status === 'ready');
        assert.ok(state.status === 'ready' && /^tkn_[0-9a-f]{32}$/.test(state.token));
        assert.match(flavour.cached(), /hooks-token-1/);
        assert.doesNotMatch(flavour.cached(), /tkn_/);
        assert.equal(gateway.sandbox.calls.filter(({ route }) => route !== 'get').length, 1);
        assert.equal(
          gateway.sandbox.calls.some(({ target }) => target.includes('get_client_auth_token')),
          false,
        );
      });

      test(`the token of a query MUST be moved to the tokens, out of the cache and the result`, async () => {
        const result = JSON.stringify(await flavour.readWithToken('u7'));
        assert.match(result, /cst_0123456789abcdef/);
        assert.match(result, /"clientAuthToken":null/);
        assert.match(flavour.cached(), /cst_0123456789abcdef/);
        for (const text of [result, flavour.cached()]) assert.doesNotMatch(text, /tkn_/);
        for (const name of ['u7', 'cst_0123456789abcdef']) {
          assert.match(gateway.client.tokens.held(name)?.token ?? '', /^tkn_/, name);
        }
      });

      test(`an error of the token MUST NOT discard the outcome`, async () => {
        gateway.sandbox.arm({ fault: 'no_token', on: 'create' });
        const hooks = await render(() => flavour.useCreate());
        const outcome = await hooks.current()[1]({ input: newCustomer('hooks-token-2') });
        assert.equal(outcome?.status, 'success');
      });

      test(`unmounting the only component of a query MUST cancel its request`, async () => {
        const signal = Promise.withResolvers<AbortSignal>();
        const client = createCustomerClient({
          url: gateway.url,
          persisted,
          fetch(input, init) {
            if (init?.signal) signal.resolve(init.signal);
            return gateway.fetch(input, init);
          },
        });
        const unmounting = open({ ...gateway, client });
        gateway.sandbox.arm({ fault: 'timeout', on: 'get', times: 1 });
        const hook = await renderHook(() => unmounting.useCustomer('u7'), unmounting.wrap);
        await gateway.sandbox.whenCalled(({ pathId }) => pathId === 'u7');
        const sent = await signal.promise;
        assert.equal(sent.aborted, false);
        const aborted = new Promise((resolve) => sent.addEventListener('abort', resolve));
        hook.unmount();
        await aborted;
        // The reason is not the time limit of the client.
        assert.equal(sent.reason.name, 'AbortError');
        unmounting.close();
      });

      test(`a hook without variables MUST NOT send a request, and a failure MUST have its code`, async () => {
        const waiting = await render(() => flavour.useCustomer(undefined));
        assert.deepEqual(waiting.current().names, [undefined]);
        assert.equal(gateway.sandbox.calls.length, 0);
        const failing = await render(() => flavour.useCustomer('fault_rejected'));
        const { error } = await failing.until((query) => !query.isLoading && query.error != null);
        assert.equal(urql.customerErrorOf(error)?.code, 'UPSTREAM_REJECTED');
      });
    });
  }
}

test('a mutation of React Query MUST NOT wait for the queries that it refetches', async () => {
  let reads = 0;
  const client = createCustomerClient({
    url: 'http://gateway.test/graphql',
    async fetch(_input, init) {
      if (String(init?.body).includes('mutation')) throw new TypeError('Failed to fetch');
      reads += 1;
      return reads === 1 ? Response.json({ data: { customer: null } }) : new Promise<Response>(() => undefined);
    },
  });
  const queryClient = new QueryClient();
  const query = new QueryObserver(queryClient, reactQuery.customerOptions(client, { id: 'u7' }));
  const stop = query.subscribe(() => undefined);
  try {
    await queryClient.ensureQueryData(reactQuery.customerOptions(client, { id: 'u7' }));
    const mutation = new MutationObserver(queryClient, reactQuery.updateCustomerOptions(client));
    await assert.rejects(mutation.mutate({ id: 'u7', input: { firstName: 'Asha' } }), { code: 'NETWORK_ERROR' });
    assert.deepEqual([reads, query.getCurrentResult().fetchStatus], [2, 'fetching']);
  } finally {
    stop();
    queryClient.clear();
  }
});
