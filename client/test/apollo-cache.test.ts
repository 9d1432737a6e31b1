import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ApolloClient, type FieldPolicy, gql } from '@apollo/client';
import { newCustomer } from '../../test/support.ts';
import { createApolloClient, customerCache, forgetCustomer, possibleTypes, rememberCustomer } from '../src/apollo.ts';
import { startTestGateway, type TestGateway } from '../src/testing.ts';

const query = gql`
  query Shown($id: ID!, $reference: String!, $ids: [ID!]!) {
    customer(id: $id) { ...Fields }
    customerByReference(objectReferenceId: $reference) { ...Fields }
    customers(ids: $ids) { ...Fields }
  }
  fragment Fields on Customer { id objectReferenceId firstName emailAddress }
`;

interface Shown {
  readonly firstName: string | null;
}

interface Data {
  readonly customer: Shown | null;
  readonly customerByReference: Shown | null;
  readonly customers: readonly (Shown | null)[];
}

/** Field policies that an app can have for the fields that return customers. */
const policies: Readonly<
  Record<string, Readonly<Record<'customer' | 'customerByReference' | 'customers', FieldPolicy>>>
> = {
  'no policy': { customer: {}, customerByReference: {}, customers: {} },
  'key arguments by name': {
    customer: { keyArgs: ['id'] },
    customerByReference: { keyArgs: ['objectReferenceId'] },
    customers: { keyArgs: ['ids'] },
  },
  'keys of the app’s own': {
    customer: { keyArgs: (args) => `one/${args?.['id']})` },
    customerByReference: { keyArgs: (args) => `({"${args?.['objectReferenceId']}` },
    customers: { keyArgs: (args) => `many-${String(args?.['ids'])}` },
  },
  'no key arguments, and a merge of the app’s own': {
    customer: { keyArgs: ['id'] },
    customerByReference: { keyArgs: (_args, { variables }) => `by-${variables?.['reference']}` },
    customers: {
      keyArgs: false,
      merge: (_existing, incoming: unknown) => ({ items: incoming }),
      read: (existing?: { items: unknown }) => existing?.items,
    },
  },
};

/** Runs `test` with these field policies, or else with those of the kit. */
async function withClient(
  fields: Record<string, FieldPolicy> | undefined,
  run: (apollo: ApolloClient, gateway: TestGateway) => Promise<void>,
): Promise<void> {
  const gateway = await startTestGateway();
  const apollo = createApolloClient(gateway.client, {
    cache: customerCache(fields && { typePolicies: { Query: { fields } } }),
  });
  try {
    await run(apollo, gateway);
  } finally {
    apollo.stop();
    await gateway.close();
  }
}

async function namesFor(apollo: ApolloClient, reference: string) {
  const variables = { id: reference, reference, ids: ['u7', reference] };
  const { data } = await apollo.query<Data>({ query, variables });
  assert.ok(data);
  return [data.customer, data.customerByReference, ...data.customers].map((one) => one && (one.firstName ?? ''));
}

function mutate(apollo: ApolloClient, input: object) {
  return apollo.mutate<{ createCustomer: { customer: never } }>({
    mutation: gql`mutation Make($input: CreateCustomerInput!) { createCustomer(input: $input) { ... on CreateCustomerSuccess {
      customer { id objectReferenceId firstName lastName emailAddress mobileNumber mobileCountryCode dateCreated lastUpdated }
    } } }`,
    variables: { input },
  });
}

/** A write by another client, which this cache does not contain. */
async function writeElsewhere({ client }: TestGateway, field: 'createCustomer' | 'updateCustomer', variables: object) {
  const text =
    field === 'createCustomer'
      ? 'mutation Make($input: CreateCustomerInput!) { createCustomer(input: $input) { __typename } }'
      : 'mutation Change($id: ID!, $input: UpdateCustomerInput!) { updateCustomer(id: $id, input: $input) { __typename } }';
  await client.request({ kind: 'mutation', name: field, text }, variables);
}

for (const [name, fields] of Object.entries(policies)) {
  test(`${name}: after a create no cached field MUST omit the new customer`, () =>
    withClient(fields, async (apollo) => {
      assert.deepEqual(await namesFor(apollo, 'cached-1'), [null, null, '', null]);
      const { data } = await mutate(apollo, newCustomer('cached-1', { firstName: 'Noor' }));
      assert.ok(data);
      rememberCustomer(apollo.cache, data.createCustomer.customer);
      assert.deepEqual(await namesFor(apollo, 'cached-1'), ['Noor', 'Noor', '', 'Noor']);
    }));

  test(`${name}: after an ambiguous write each field that contains the customer MUST be refetched`, () =>
    withClient(fields, async (apollo, gateway) => {
      const reference = 'asha.rao@example.com';
      assert.deepEqual(await namesFor(apollo, reference), ['Asha', 'Asha', '', 'Asha']);
      const update = { id: reference, input: { firstName: 'Asha Devi' } };
      await writeElsewhere(gateway, 'updateCustomer', update);
      forgetCustomer(apollo.cache, update);
      assert.deepEqual(await namesFor(apollo, reference), ['Asha Devi', 'Asha Devi', '', 'Asha Devi']);
    }));

  test(`${name}: after an ambiguous create each field that omits the customer MUST be refetched`, () =>
    withClient(fields, async (apollo, gateway) => {
      assert.deepEqual(await namesFor(apollo, 'cached-1'), [null, null, '', null]);
      const create = { input: newCustomer('cached-1', { firstName: 'Noor' }) };
      await writeElsewhere(gateway, 'createCustomer', create);
      forgetCustomer(apollo.cache, create);
      assert.deepEqual(await namesFor(apollo, 'cached-1'), ['Noor', 'Noor', '', 'Noor']);
    }));
}

test('with the policies of the kit, a create MUST put the customer into each cached field without a read', () =>
  withClient(undefined, async (apollo, gateway) => {
    assert.deepEqual(await namesFor(apollo, 'cached-1'), [null, null, '', null]);
    const { data } = await mutate(apollo, newCustomer('cached-1', { firstName: 'Noor' }));
    assert.ok(data);
    gateway.sandbox.clearCalls();
    rememberCustomer(apollo.cache, data.createCustomer.customer);
    assert.deepEqual(await namesFor(apollo, 'cached-1'), ['Noor', 'Noor', '', 'Noor']);
    assert.equal(gateway.sandbox.calls.length, 0);
  }));

test('a customer in a type of another subgraph MUST be refetched too, and stay in its list', () => {
  const cache = customerCache({ possibleTypes });
  const orders = gql`query Orders { orders { id payers { id firstName } } }`;
  const asha = { __typename: 'Customer', id: 'cth_1', objectReferenceId: 'asha', firstName: 'Asha' };
  cache.writeQuery({
    query: gql`query Q { customer(id: "asha") { id objectReferenceId firstName } orders { id payers { id firstName } } }`,
    data: { customer: asha, orders: [{ __typename: 'Order', id: '1', payers: [asha] }] },
  });
  assert.ok(cache.readQuery({ query: orders }));
  forgetCustomer(cache, { id: 'asha', input: {} });
  assert.equal(cache.readQuery({ query: orders }), null);
  const ids = gql`query Ids { orders { payers { id } } }`;
  assert.deepEqual(cache.readQuery<{ orders: { payers: unknown[] }[] }>({ query: ids })?.orders[0]?.payers.length, 1);
});
