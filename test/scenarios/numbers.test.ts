import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatewayError } from '../../src/errors.ts';
import {
  codesOf,
  createOperation,
  type Harness,
  newCustomer,
  resultOf,
  updateOperation,
  withHarness,
  withScriptedProvider,
} from '../support.ts';

const post = (harness: Harness, body: string) =>
  harness.fetch({ method: 'POST', headers: { 'content-type': 'application/json' }, body });
/** Variables as JSON text, because `JSON.stringify` cannot write these numbers. */
const send = (harness: Harness, query: string, variables: string) =>
  post(harness, `{"query":${JSON.stringify(query)},"variables":${variables}}`);

const inexact = ['1234567890123456789', '9007199254740992', '-9007199254740993', '1.5', '0.1', '1e30', '1e400']
  // JSON.parse rounds this number to a safe integer.
  .concat('9007199254740991.4', '1.0000000000000000001', '1e-400', '-1e-400');
const notNumbers = ['true', '{}', '{"id":"u7"}', '[[1]]'];

test('a JSON number as id or reference of a read MUST be rejected without a call unless it is a safe integer', () =>
  withHarness(async (harness) => {
    const reads: [string, (value: string) => string][] = [
      ['query ($id: ID!) { customer(id: $id) { id } }', (value) => `{"id":${value}}`],
      ['query ($id: ID!) { customers(ids: ["u7", $id]) { id } }', (value) => `{"id":${value}}`],
      ['query ($ids: [ID!]!) { customers(ids: $ids) { id } }', (value) => `{"ids":["u7",${value}]}`],
      ['query ($ids: [ID!]!) { customers(ids: $ids) { id } }', (value) => `{"ids":${value}}`],
      ['query ($ref: String!) { customerByReference(objectReferenceId: $ref) { id } }', (value) => `{"ref":${value}}`],
    ];
    for (const [document, variables] of reads) {
      for (const value of [...inexact, ...notNumbers]) {
        const answer = await send(harness, document, variables(value));
        assert.deepEqual(codesOf(answer), { '': 'BAD_USER_INPUT' }, `${document} ${value}`);
        assert.equal(answer.data, undefined);
        assert.ok(!answer.text.includes(value.slice(0, 10)) || value.length < 6);
      }
    }
    assert.deepEqual(harness.upstream(), []);
    for (const [document, variables] of reads) {
      harness.sandbox.clearCalls();
      const answer = await send(harness, document, variables('9007199254740991'));
      assert.equal(answer.errors, undefined, answer.text);
      assert.ok(harness.upstream().includes('GET /customers/9007199254740991'), document);
    }
  }));

test('a JSON number with the exact value of an integer MUST be read as its digits in every notation', () =>
  withHarness(async (harness) => {
    for (const [value, digits] of [
      ['1.0', '1'],
      ['1e3', '1000'],
      ['-0', '0'],
      ['9007199254740991.0', '9007199254740991'],
    ] as const) {
      harness.sandbox.clearCalls();
      await send(harness, 'query ($id: ID!) { customer(id: $id) { id } }', `{"id":${value}}`);
      await send(
        harness,
        'mutation ($id: ID!) { updateCustomer(id: $id, input: { firstName: "A" }) { __typename } }',
        `{"id":${value}}`,
      );
      assert.deepEqual(harness.upstream(), [`GET /customers/${digits}`, `POST /customers/${digits}`]);
    }
  }));

test('an integer literal as id MUST be exact at any length', () =>
  withHarness(async (harness) => {
    const long = '123456789012345678901234567890';
    const entity = `{ __typename: "Customer", id: ${long} }`;
    for (const document of [
      `{ customer(id: ${long}) { id } }`,
      `{ customers(ids: [${long}]) { id } }`,
      `{ customers(ids: ${long}) { id } }`,
      `query ($id: ID! = ${long}) { customer(id: $id) { id } }`,
      `query ($ids: [ID!]! = [${long}]) { customers(ids: $ids) { id } }`,
      `{ _entities(representations: [${entity}]) { __typename } }`,
      `{ _entities(representations: [{ __typename: "Customer", objectReferenceId: ${long} }]) { __typename } }`,
      `query ($r: [_Any!]! = [${entity}]) { _entities(representations: $r) { __typename } }`,
      `mutation { updateCustomer(id: ${long}, input: { firstName: "A" }) { __typename } }`,
    ]) {
      harness.sandbox.clearCalls();
      const answer = await harness.ask(document);
      assert.equal(answer.errors, undefined, answer.text);
      assert.ok(
        harness.upstream().every((call) => call.endsWith(`/customers/${long}`)) && harness.upstream().length > 0,
        `${document}: ${harness.upstream().join()}`,
      );
    }
  }));

test('a number as key of an entity MUST be accepted only if it is a safe integer; otherwise only that entity MUST fail', () =>
  withHarness(async (harness) => {
    const document = 'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Customer { id } } }';
    for (const key of ['id', 'objectReferenceId']) {
      for (const value of [...inexact, ...notNumbers, 'false', '["u7"]']) {
        const r = `[{"__typename":"Customer","${key}":${value}},{"__typename":"Customer","objectReferenceId":"u7"}]`;
        const answer = await send(harness, document, `{"r":${r}}`);
        assert.deepEqual(codesOf(answer), { '_entities.0': 'BAD_USER_INPUT' }, `${key} ${value}`);
        assert.deepEqual(answer.data, { _entities: [null, { id: 'cst_0123456789abcdef' }] });
      }
      assert.deepEqual(new Set(harness.upstream()), new Set(['GET /customers/u7']));
      harness.sandbox.clearCalls();
      const answer = await send(harness, document, `{"r":[{"__typename":"Customer","${key}":9007199254740991}]}`);
      assert.equal(answer.errors, undefined, answer.text);
      assert.deepEqual(harness.upstream(), ['GET /customers/9007199254740991']);
      harness.sandbox.clearCalls();
    }
    const literal = '{ _entities(representations: [{ __typename: "Customer", id: 1e3 }]) { __typename } }';
    assert.deepEqual(codesOf(await harness.ask(literal)), { '_entities.0': 'BAD_USER_INPUT' });
    const inner =
      'query ($id: ID!) { _entities(representations: [{ __typename: "Customer", objectReferenceId: $id }]) { __typename } }';
    assert.deepEqual((await harness.ask(inner, { id: 'u7' })).data, { _entities: [{ __typename: 'Customer' }] });
    assert.deepEqual(codesOf(await send(harness, inner, '{"id":1234567890123456789}')), { '': 'BAD_USER_INPUT' });
  }));

test('an inexact number MUST be reported by a mutation together with all other issues, without a call', () =>
  withHarness(async (harness) => {
    const issue = (...path: string[]) => ({ path, code: 'INVALID_FORMAT' });
    const bare = updateOperation
      .replace('$input: UpdateCustomerInput!', '$name: String')
      .replace('input: $input', 'input: { firstName: $name }');
    const parts = createOperation
      .replace('$input: CreateCustomerInput!', '$ref: String!')
      .replace('$input', '{ objectReferenceId: $ref, mobileNumber: "9000000077", emailAddress: "new@example.com" }');
    for (const value of inexact) {
      const create = await send(
        harness,
        createOperation,
        `{"input":{"objectReferenceId":${value},"mobileNumber":"x","emailAddress":"new@example.com"}}`,
      );
      assert.deepEqual(resultOf(create, 'createCustomer')['issues'], [
        issue('input', 'objectReferenceId'),
        issue('input', 'mobileNumber'),
      ]);
      assert.equal(resultOf(create, 'createCustomer')['__typename'], 'CustomerValidationError');
      const created = await send(harness, parts, `{"ref":${value}}`);
      assert.deepEqual(resultOf(created, 'createCustomer')['issues'], [issue('input', 'objectReferenceId')]);
      const update = await send(harness, updateOperation, `{"id":${value},"input":{"firstName":" "}}`);
      assert.deepEqual(resultOf(update, 'updateCustomer')['issues'], [issue('id'), issue('input', 'firstName')]);
      const updated = await send(harness, bare, `{"id":${value},"name":"A"}`);
      assert.deepEqual(resultOf(updated, 'updateCustomer')['issues'], [issue('id')]);
    }
    // All other type errors are errors of the request.
    for (const [document, variables] of [
      ...notNumbers.map((value) => [updateOperation, `{"id":${value},"input":{"firstName":"A"}}`] as const),
      [updateOperation, '{"id":"u7","input":{"firstName":7}}'],
      [updateOperation, '{"id":"u7","input":{"firstName":1234567890123456789}}'],
      [createOperation, '{"input":{"objectReferenceId":true,"mobileNumber":"1","emailAddress":"a@example.com"}}'],
      [
        createOperation,
        '{"input":{"objectReferenceId":"number-0001","mobileNumber":9000000077,"emailAddress":"a@example.com"}}',
      ],
    ] as const) {
      assert.deepEqual(codesOf(await send(harness, document, variables)), { '': 'BAD_USER_INPUT' }, variables);
    }
    assert.deepEqual(harness.upstream(), []);

    const exact = await harness.ask(createOperation, {
      input: { ...newCustomer('x'), objectReferenceId: 9007199254740991 },
    });
    assert.equal(resultOf(exact, 'createCustomer')['__typename'], 'CreateCustomerSuccess', exact.text);
    assert.match(JSON.stringify(exact.data), /"objectReferenceId":"9007199254740991"/);
    harness.sandbox.clearCalls();
    await harness.ask(updateOperation, { id: 9007199254740991, input: { firstName: 'A' } });
    assert.deepEqual(harness.upstream(), ['POST /customers/9007199254740991']);
  }));

test('expiresInSeconds of a token that expires in the year 9999 MUST be the maximum of Int', () =>
  withScriptedProvider(
    () => ({
      status: 200,
      body: {
        id: 'cth_0000000000000001',
        object_reference_id: 'far-0001',
        juspay: { client_auth_token: 'tkn_far', client_auth_token_expiry: '9999-12-31T23:59:59Z' },
      },
    }),
    async (harness) => {
      const answer = await harness.ask(
        '{ customer(id: "far-0001") { clientAuthToken { token expiresAt expiresInSeconds } } }',
      );
      assert.deepEqual(answer.errors, undefined, answer.text);
      assert.deepEqual(answer.data, {
        customer: {
          clientAuthToken: { token: 'tkn_far', expiresAt: '9999-12-31T23:59:59Z', expiresInSeconds: 2147483647 },
        },
      });
    },
  ));

test('thousands of invalid items in variables MUST give 5 errors and cost no more than 5 items', (context) =>
  withHarness(
    async (harness) => {
      const document = 'query ($ids: [ID!]!) { customers(ids: $ids) { id } }';
      const body = `{"query":${JSON.stringify(document)},"variables":{"ids":[${Array(20_000).fill('{}').join(',')}]}}`;
      const cost = async () => {
        const before = process.cpuUsage();
        const answer = await post(harness, body);
        const { user, system } = process.cpuUsage(before);
        assert.equal(answer.errors?.length, 5);
        assert.match(answer.errors?.[4]?.message ?? '', /\$ids is invalid at 4\.$/);
        return (user + system) / 1000;
      };
      const costs = [await cost(), await cost(), await cost()];
      context.diagnostic(`${costs.map((ms) => Math.round(ms)).join(', ')} ms`);
      assert.ok(Math.min(...costs) < 100);
      assert.deepEqual(harness.upstream(), []);
    },
    { LIMIT_ITEMS: '100000' },
  ));

test('retryAfterSeconds MUST be at most one day', () => {
  for (const seconds of [86_401, 2 ** 31, 9_999_999_999, Number.POSITIVE_INFINITY]) {
    assert.equal(new GatewayError('RATE_LIMITED', { retryAfterSeconds: seconds }).extensions.retryAfterSeconds, 86_400);
  }
  assert.equal(new GatewayError('RATE_LIMITED', { retryAfterSeconds: 3 }).extensions.retryAfterSeconds, 3);
  assert.equal('retryAfterSeconds' in new GatewayError('RATE_LIMITED').extensions, false);
});
