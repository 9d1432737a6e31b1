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

for (const [name, fields] of Object.entries(policies)) {
  const withClient = async (run: (apollo: ApolloClient, gateway: TestGateway) => Promise<void>) => {
    const gateway = await startTestGateway();
    const apollo = createApolloClient(gateway.client, {
      cache: customerCache({ typePolicies: { Query: { fields } } }),
    });
    try {
      await run(apollo, gateway);
    } finally {
      apollo.stop();
      await gateway.close();
    }
  };
  const namesFor = async (apollo: ApolloClient, reference: string) => {
    const variables = { id: reference, reference, ids: ['u7', reference] };
    const { data } = await apollo.query<Data>({ query, variables });
    assert.ok(data);
    return [data.customer, data.customerByReference, ...data.customers].map((one) => one && (one.firstName ?? ''));
  };
  const mutate = (apollo: ApolloClient, input: object) =>
    apollo.mutate<{ createCustomer: { customer: never } }>({
      mutation: gql`mutation Make($input: CreateCustomerInput!) { createCustomer(input: $input) { ... on CreateCustomerSuccess {
        customer { id objectReferenceId firstName lastName emailAddress mobileNumber mobileCountryCode dateCreated lastUpdated }
      } } }`,
      variables: { input },
    });

  test(`${name}: after a create no cached field MUST omit the new customer`, () =>
    withClient(async (apollo) => {
      assert.deepEqual(await namesFor(apollo, 'cached-1'), [null, null, '', null]);
      const { data } = await mutate(apollo, newCustomer('cached-1', { firstName: 'Noor' }));
      assert.ok(data);
      rememberCustomer(apollo.cache, data.createCustomer.customer);
      assert.deepEqual(await namesFor(apollo, 'cached-1'), ['Noor', 'Noor', '', 'Noor']);
    }));

  test(`${name}: after an ambiguous write each field that contains the customer MUST be refetched`, () =>
    withClient(async (apollo, gateway) => {
      const reference = 'asha.rao@example.com';
      assert.deepEqual(await namesFor(apollo, reference), ['Asha', 'Asha', '', 'Asha']);
      // A change by another client, which this cache does not contain.
      const update = { id: reference, input: { firstName: 'Asha Devi' } };
      const text =
        'mutation Change($id: ID!, $input: UpdateCustomerInput!) { updateCustomer(id: $id, input: $input) { __typename } }';
      await gateway.client.request({ kind: 'mutation', name: 'Change', text }, update);
      forgetCustomer(apollo.cache, update);
      assert.deepEqual(await namesFor(apollo, reference), ['Asha Devi', 'Asha Devi', '', 'Asha Devi']);
    }));
}

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
