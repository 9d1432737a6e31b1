import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { codesOf, withHarness } from '../support.ts';

const entities = `query ($representations: [_Any!]!, $token: Boolean! = false) {
  _entities(representations: $representations) { ... on Customer { id firstName clientAuthToken @include(if: $token) { __typename } } }
}`;
const byId = (id: string) => ({ __typename: 'Customer', id });
const byReference = (objectReferenceId: string) => ({ __typename: 'Customer', objectReferenceId });
const subgraph = readFileSync(new URL('../../schema/subgraph.graphql', import.meta.url), 'utf8');

test('entities MUST be found by either key, and each MUST be null or fail alone', () =>
  withHarness(async (harness) => {
    const representations = [
      byId('cst_0123456789abcdef'),
      byReference('asha.rao@example.com'),
      byId('nobody'),
      // A match by the other identifier gives null.
      byId('asha.rao@example.com'),
      byReference('fault_rejected'),
      byId('..'),
      { __typename: 'Customer' },
      { __typename: 'Order', id: '1' },
    ];
    const answer = await harness.ask(entities, { representations });
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

test('100 representations of 30 customers MUST cost 30 reads, with the token if it is selected', () =>
  withHarness(async (harness) => {
    const representations = Array.from({ length: 100 }, (_, n) =>
      n % 30 < 15 ? byId(`id-${n % 30}`) : byReference(`ref-${n % 30}`),
    );
    await harness.ask(entities, { representations });
    assert.equal(new Set(harness.upstream()).size, 30);
    assert.equal(harness.upstream().length, 30);
    harness.sandbox.clearCalls();
    await harness.ask(entities, { representations: [byId('u7'), byId('cst_0123456789abcdef')], token: true });
    assert.deepEqual(harness.upstream(), [
      'GET /customers/u7?options.get_client_auth_token=true',
      'GET /customers/cst_0123456789abcdef?options.get_client_auth_token=true',
    ]);
  }));

test('only the representations above LIMIT_UPSTREAM_READS MUST fail', () =>
  withHarness(
    async (harness) => {
      const answer = await harness.ask(entities, {
        representations: Array.from({ length: 500 }, (_, n) => byId(`id-${n}`)),
      });
      assert.equal(harness.sandbox.calls.length, 10);
      const first = Array.from({ length: 5 }, (_, n) => [`_entities.${n + 10}`, 'OPERATION_TOO_COMPLEX']);
      assert.deepEqual(codesOf(answer), Object.fromEntries(first));
    },
    { LIMIT_UPSTREAM_READS: '10' },
  ));

test('_service MUST return the committed print, and MUST exist only if introspection is on', async () => {
  await withHarness(async (harness) => {
    assert.deepEqual((await harness.ask('{ _service { sdl } }')).data, { _service: { sdl: subgraph } });
  });
  await withHarness(
    async (harness) =>
      assert.deepEqual(codesOf(await harness.ask('{ _service { sdl } }')), { '': 'GRAPHQL_VALIDATION_FAILED' }),
    { INTROSPECTION: 'off' },
  );
});

test('a representation with both keys MUST match both and cost one read', () =>
  withHarness(async (harness) => {
    const both = (id: string, objectReferenceId: string | null) => ({ ...byId(id), objectReferenceId });
    const answer = await harness.ask(entities, {
      representations: [
        both('cth_A1b2C3d4E5f6G7h8', 'asha.rao@example.com'),
        both('cth_A1b2C3d4E5f6G7h8', 'customer-10002'),
        // A router sends null for a key that it does not have.
        both('cst_0123456789abcdef', null),
        { ...byReference('u7'), id: null },
      ],
    });
    assert.deepEqual(answer.errors, undefined);
    const nameless = { id: 'cst_0123456789abcdef', firstName: null };
    assert.deepEqual(answer.data, {
      _entities: [{ id: 'cth_A1b2C3d4E5f6G7h8', firstName: 'Asha' }, null, nameless, nameless],
    });
    assert.deepEqual(harness.upstream().toSorted(), [
      'GET /customers/cst_0123456789abcdef',
      'GET /customers/cth_A1b2C3d4E5f6G7h8',
      'GET /customers/u7',
    ]);
  }));

test('an invalid representation MUST fail alone, without a read', () =>
  withHarness(async (harness) => {
    const hostile = [
      {},
      [],
      'Customer',
      7,
      false,
      { id: 'u7' },
      { __typename: 'customer', id: 'u7' },
      { __typename: ['Customer'], id: 'u7' },
      { __typename: 'Customer', id: 7.5 },
      { __typename: 'Customer', id: ['u7'] },
      { __typename: 'Customer', id: { toString: 'u7' } },
      { __typename: 'Customer', id: true, objectReferenceId: 'u7' },
      { __typename: 'Customer', id: null, objectReferenceId: null },
      { __typename: 'Customer', objectReferenceId: 2 ** 53 },
      { __typename: 'Customer', objectReferenceID: 'u7' },
      { __typename: 'Customer', id: '' },
      { __typename: 'Customer', id: 'x'.repeat(129) },
      JSON.parse('{ "__typename": "Customer", "__proto__": { "id": "u7" } }'),
    ];
    for (const representation of hostile) {
      const answer = await harness.ask(entities, {
        representations: [representation, byReference('asha.rao@example.com')],
      });
      assert.deepEqual(answer.data?.['_entities'], [null, { id: 'cth_A1b2C3d4E5f6G7h8', firstName: 'Asha' }]);
      assert.deepEqual(codesOf(answer), { '_entities.0': 'BAD_USER_INPUT' });
    }
    assert.deepEqual(new Set(harness.upstream()), new Set(['GET /customers/asha.rao%40example.com']));
  }));

test('representations that contain null or are not a list MUST be rejected before any read', () =>
  withHarness(async (harness) => {
    for (const representations of [null, [null], [byReference('u7'), null]]) {
      const answer = await harness.ask(entities, { representations });
      assert.deepEqual(codesOf(answer), { '': 'BAD_USER_INPUT' });
    }
    assert.deepEqual(harness.upstream(), []);
  }));

test('a full body of representations MUST NOT cost more reads than the limit', () =>
  withHarness(async (harness) => {
    const variables = { representations: Array.from({ length: 1500 }, (_, n) => byId(`i${n}`)) };
    const answer = await harness.ask(
      'query ($representations: [_Any!]!) { _entities(representations: $representations) { __typename } }',
      variables,
    );
    assert.equal(harness.sandbox.calls.length, 100);
    assert.equal((answer.data?.['_entities'] as unknown[] | undefined)?.length, 1500);
    const variablesTooLong = { representations: Array.from({ length: 5000 }, (_, n) => byId(`i${n}`)) };
    assert.equal((await harness.ask(entities, variablesTooLong)).status, 413);
  }));

test('a token MUST be requested for entities only if it is selected', () =>
  withHarness(async (harness) => {
    const u7 = '_entities(representations: [{ __typename: "Customer", id: "cst_0123456789abcdef" }])';
    for (const [document, isMinted] of [
      [`{ ${u7} { ... on Customer { clientAuthToken { token } } } }`, true],
      [
        `{ ${u7} { ... { ... on _Entity { ...Deep } } } }
         fragment Deep on Customer { ...Deeper }
         fragment Deeper on Customer { t: clientAuthToken { __typename } }`,
        true,
      ],
      [
        `query ($on: Boolean = false) { ${u7} { ... on Customer { id clientAuthToken @include(if: $on) { token } } } }`,
        false,
      ],
      [`{ ${u7} { ... on Customer { clientAuthToken: id ... @skip(if: true) { clientAuthToken: id } } } }`, false],
    ] as const) {
      harness.sandbox.clearCalls();
      const answer = await harness.ask(document);
      assert.equal(answer.errors, undefined, answer.text);
      const option = isMinted ? '?options.get_client_auth_token=true' : '';
      assert.deepEqual(harness.upstream(), [`GET /customers/cst_0123456789abcdef${option}`], document);
    }
  }));
