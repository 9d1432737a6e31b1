import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { codesOf, inWorld } from '../support.ts';

const entities = `query ($representations: [_Any!]!, $token: Boolean! = false) {
  _entities(representations: $representations) { ... on Customer { id firstName clientAuthToken @include(if: $token) { __typename } } }
}`;
const byId = (id: string) => ({ __typename: 'Customer', id });
const byReference = (objectReferenceId: string) => ({ __typename: 'Customer', objectReferenceId });
const subgraph = readFileSync(new URL('../../schema/subgraph.graphql', import.meta.url), 'utf8');

test('entities MUST be found by either key, each null or failing on its own', () =>
  inWorld(async (world) => {
    const representations = [
      byId('cst_0123456789abcdef'),
      byReference('asha.rao@example.com'),
      byId('nobody'),
      // The other identifier matching means that there is none.
      byId('asha.rao@example.com'),
      byReference('fault_rejected'),
      byId('..'),
      { __typename: 'Customer' },
      { __typename: 'Order', id: '1' },
    ];
    const answer = await world.ask(entities, { representations });
    assert.deepEqual(answer.data, {
      _entities: [
        { id: 'cst_0123456789abcdef', firstName: null },
        { id: 'cth_A1b2C3d4E5f6G7h8', firstName: 'Asha' },
        null,
        null,
        null,
        null,
        null,
        null,
      ],
    });
    assert.deepEqual(codesOf(answer), {
      '_entities.4': 'UPSTREAM_REJECTED',
      '_entities.5': 'BAD_USER_INPUT',
      '_entities.6': 'BAD_USER_INPUT',
      '_entities.7': 'BAD_USER_INPUT',
    });
  }));

test('100 representations over 30 customers MUST be 30 reads, with the token where it is selected', () =>
  inWorld(async (world) => {
    const representations = Array.from({ length: 100 }, (_, n) =>
      n % 30 < 15 ? byId(`id-${n % 30}`) : byReference(`ref-${n % 30}`),
    );
    await world.ask(entities, { representations });
    assert.equal(new Set(world.upstream()).size, 30);
    assert.equal(world.upstream().length, 30);
    world.sandbox.clearCalls();
    await world.ask(entities, { representations: [byId('u7'), byId('cst_0123456789abcdef')], token: true });
    assert.ok(world.upstream().every((call) => call.endsWith('?options.get_client_auth_token=true')));
  }));

test('representations beyond LIMIT_UPSTREAM_READS MUST fail alone', () =>
  inWorld(
    async (world) => {
      const answer = await world.ask(entities, {
        representations: Array.from({ length: 500 }, (_, n) => byId(`id-${n}`)),
      });
      assert.equal(world.sandbox.calls.length, 10);
      assert.equal(answer.errors?.length, 490);
      assert.ok(answer.errors?.every(({ extensions }) => extensions['code'] === 'OPERATION_TOO_COMPLEX'));
    },
    { LIMIT_UPSTREAM_READS: '10' },
  ));

test('_service MUST tell the committed print, and only where introspection is on', async () => {
  await inWorld(async (world) => {
    assert.deepEqual((await world.ask('{ _service { sdl } }')).data, { _service: { sdl: subgraph } });
  });
  await inWorld(
    async (world) =>
      assert.deepEqual(codesOf(await world.ask('{ _service { sdl } }')), { '': 'GRAPHQL_VALIDATION_FAILED' }),
    { INTROSPECTION: 'off' },
  );
});

test('the print MUST compose with subgraphs that know one key each', () => {
  const stub = (key: string, type: string) => `
    extend schema @link(url: "https://specs.apollo.dev/federation/v2.6", import: ["@key"])
    type Query { ${type.toLowerCase()}(id: ID!): ${type} }
    type ${type} @key(fields: "id") { id: ID! customer: Customer }
    type Customer @key(fields: "${key}", resolvable: false) { ${key}: ${key === 'id' ? 'ID!' : 'String'} }`;
  const result = composeServices([
    { name: 'customers', typeDefs: parse(subgraph) },
    { name: 'orders', typeDefs: parse(stub('id', 'Order')) },
    { name: 'tickets', typeDefs: parse(stub('objectReferenceId', 'Ticket')) },
  ]);
  assert.deepEqual(result.errors ?? [], []);
  assert.match(result.supergraphSdl ?? '', /type Customer/);
});
