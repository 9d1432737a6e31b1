import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anonymous } from '../../src/auth/caller.ts';
import { batched } from '../../src/customers/batching.ts';
import { type CustomerApi, reading } from '../../src/customers/customer.ts';
import { owned } from '../../src/customers/ownership.ts';
import { OperationRecord } from '../../src/customers/record.ts';
import {
  type Answer,
  askAs,
  codesOf,
  type Harness,
  jwtSettings,
  storedCustomer as own,
  type ScriptedResponse,
  withHarness,
  withScriptedProvider,
} from '../support.ts';

const token = { token: 'tkn_1', expiresAt: new Date() };
const boundToU7 = { customer: 'u7', scope: 'customer:read customer:token' };

test('the owner MUST be checked in the read with the token as well as in the read before it', async () => {
  const reads: boolean[] = [];
  const api: CustomerApi = {
    async get(_key, { withClientAuthToken = false } = {}) {
      reads.push(withClientAuthToken);
      // The second read returns another customer.
      return withClientAuthToken ? { ...own, id: 'cth_2', clientAuthToken: token } : own;
    },
    create: () => assert.fail('no create'),
    update: () => assert.fail('no update'),
  };
  const bound = owned(batched(reading(api), { maxReads: 2, record: new OperationRecord() }), {
    ...anonymous,
    customers: ['cth_1'],
  });
  assert.equal(await bound.get({ any: 'reference-1' }, { withClientAuthToken: true }), null);
  assert.deepEqual(reads, [false, true]);
});

test('if the token cannot be read, only its field MUST fail and the customer MUST be returned', () =>
  withHarness(
    async (harness) => {
      const query = '{ customer(id: "cst_0123456789abcdef") { id clientAuthToken { token } } }';
      const answer = await askAs(harness, boundToU7, query);
      assert.deepEqual(answer.data, { customer: { id: 'cst_0123456789abcdef', clientAuthToken: null } });
      assert.deepEqual(codesOf(answer), { 'customer.clientAuthToken': 'OPERATION_TOO_COMPLEX' });
      assert.deepEqual(harness.upstream(), ['GET /customers/cst_0123456789abcdef']);
    },
    { ...jwtSettings, LIMIT_UPSTREAM_READS: '1' },
  ));

/** Sends a query as a caller that is bound to `u7`, with a limit of three reads. */
const askBound = (query: string, check: (answer: Answer, upstream: string[]) => void) =>
  withHarness(
    async (harness) => {
      const document = `{ ${query} } fragment token on Customer { clientAuthToken { __typename } }`;
      const answer = await askAs(harness, boundToU7, document);
      check(answer, harness.upstream());
    },
    { ...jwtSettings, LIMIT_UPSTREAM_READS: '3' },
  );

test('the read of a token MUST count at the place of the read before it in document order', () =>
  askBound(
    'own: customer(id: "cst_0123456789abcdef") { ...token } b: customer(id: "nobody-1") { id } c: customer(id: "nobody-2") { id }',
    (answer, upstream) => {
      assert.deepEqual(answer.data, {
        own: { clientAuthToken: { __typename: 'ClientAuthToken' } },
        b: null,
        c: null,
      });
      assert.deepEqual(codesOf(answer), { c: 'OPERATION_TOO_COMPLEX' });
      assert.deepEqual(upstream, [
        'GET /customers/cst_0123456789abcdef',
        'GET /customers/nobody-1',
        'GET /customers/cst_0123456789abcdef?options.get_client_auth_token=true',
      ]);
    },
  ));

test('a token that turns out not to be needed MUST NOT count as a read', () =>
  askBound(
    'customers(ids: ["asha.rao@example.com", "nobody-1", "nobody-2", "nobody-3"]) { id ...token }',
    (answer, upstream) => {
      assert.deepEqual(answer.data, { customers: [null, null, null, null] });
      assert.deepEqual(codesOf(answer), { 'customers.3': 'OPERATION_TOO_COMPLEX' });
      assert.deepEqual(upstream, [
        'GET /customers/asha.rao%40example.com',
        'GET /customers/nobody-1',
        'GET /customers/nobody-2',
      ]);
    },
  ));

/** Another owner's customer. A provider that ignores case returns it for the path `CUST-00001`. */
const otherCustomer = {
  id: 'cth_0123456789abcdef',
  object_reference_id: 'cust-00001',
  mobile_number: '9000000077',
  email_address: 'new@example.com',
  juspay: { client_auth_token: `tkn_${'0'.repeat(32)}`, client_auth_token_expiry: '2099-01-01T00:00:00Z' },
};
const found: ScriptedResponse = { status: 200, body: otherCustomer };
const taken: ScriptedResponse = { status: 400, body: { error_code: 'unique', error_info: { code: 'ALREADY_EXISTS' } } };

const ask = (harness: Harness, query: string) =>
  askAs(harness, { customer: 'CUST-00001', scope: 'customer:read customer:write customer:token' }, query);

const queries = {
  customer: '{ customer(id: "CUST-00001") { id clientAuthToken { token } } }',
  customerByReference: '{ customerByReference(objectReferenceId: "CUST-00001") { id clientAuthToken { token } } }',
  customers: '{ customers(ids: ["CUST-00001"]) { id } }',
  _entities:
    '{ _entities(representations: [{ __typename: "Customer", objectReferenceId: "CUST-00001" }]) { ... on Customer { id } } }',
};

for (const [field, query] of Object.entries(queries)) {
  test(`a read at the caller's own path MUST NOT return another owner's customer if the provider ignores case: ${field}`, () =>
    withScriptedProvider(
      () => found,
      async (harness) => {
        const { data, errors } = await ask(harness, query);
        const isList = field === 'customers' || field === '_entities';
        assert.deepEqual([data, errors], [{ [field]: isList ? [null] : null }, undefined]);
      },
      jwtSettings,
    ));
}

test("an update of a bound caller MUST NOT change another owner's customer if the provider ignores case", () =>
  withScriptedProvider(
    () => found,
    async (harness, calls) => {
      let seen = 0;
      for (const id of ['CUST-00001', 'cust-00001', 'cth_0123456789abcdef']) {
        const { data } = await ask(
          harness,
          `mutation { updateCustomer(id: "${id}", input: { firstName: "X" }) { __typename } }`,
        );
        assert.deepEqual(data, { updateCustomer: { __typename: 'CustomerNotFoundError' } });
        assert.deepEqual(calls.slice(seen), [`GET /customers/${id}`]);
        seen = calls.length;
      }
    },
    jwtSettings,
  ));

test("an update of a bound caller whose response is another owner's customer MUST be the unknown outcome: the POST was sent", () =>
  withScriptedProvider(
    ({ method }) =>
      method === 'GET' ? { status: 200, body: { ...otherCustomer, object_reference_id: 'CUST-00001' } } : found,
    async (harness, calls) => {
      const { data, errors } = await ask(
        harness,
        'mutation { updateCustomer(id: "CUST-00001", input: { firstName: "X" }) { ... on CustomerError { __typename code retryable } } }',
      );
      assert.deepEqual(data, {
        updateCustomer: { __typename: 'CustomerOutcomeUnknownError', code: 'OUTCOME_UNKNOWN', retryable: true },
      });
      assert.equal(errors, undefined);
      assert.deepEqual(calls, ['GET /customers/CUST-00001', 'POST /customers/CUST-00001']);
      assert.ok(harness.log.some((line) => line.includes('"message":"audit"') && line.includes('"OUTCOME_UNKNOWN"')));
    },
    jwtSettings,
  ));

test('each update of a bound caller MUST be preceded by a read that checks the owner, at its own path too', () =>
  withScriptedProvider(
    () => ({ status: 200, body: { ...otherCustomer, object_reference_id: 'CUST-00001' } }),
    async (harness, calls) => {
      const update = 'updateCustomer(id: "CUST-00001", input: { firstName: "X" }) { __typename }';
      const { data } = await ask(harness, `mutation { a: ${update} b: ${update} }`);
      const success = { __typename: 'UpdateCustomerSuccess' };
      assert.deepEqual(data, { a: success, b: success });
      const pair = ['GET /customers/CUST-00001', 'POST /customers/CUST-00001'];
      assert.deepEqual(calls, [...pair, ...pair]);
    },
    { ...jwtSettings, LIMIT_UPSTREAM_READS: '1' },
  ));

test('the read that checks the owner MUST count against LIMIT_UPSTREAM_READS', () =>
  withScriptedProvider(
    () => ({ status: 200, body: { ...otherCustomer, object_reference_id: 'CUST-00001' } }),
    async (harness, calls) => {
      const update = (id: string) => `updateCustomer(id: "${id}", input: { firstName: "X" }) { __typename }`;
      const answer = await ask(harness, `mutation { a: ${update('CUST-00001')} b: ${update(otherCustomer.id)} }`);
      assert.deepEqual(codesOf(answer), { b: 'OPERATION_TOO_COMPLEX' });
      assert.deepEqual(calls, ['GET /customers/CUST-00001', 'POST /customers/CUST-00001']);
    },
    { ...jwtSettings, LIMIT_UPSTREAM_READS: '1' },
  ));

const create = `mutation { createCustomer(input: {
  objectReferenceId: "CUST-00001", mobileNumber: "9000000077", emailAddress: "new@example.com"
}) {
  __typename
  ... on CreateCustomerSuccess { customer { id clientAuthToken { token } } }
  ... on CustomerAlreadyExistsError { existing { id } differingFields }
} }`;
const hidden = { __typename: 'CustomerAlreadyExistsError', existing: null, differingFields: null };

for (const [what, first, result] of [
  ['rejected', taken, hidden],
  ['with an unknown outcome', { status: 503, body: '' }, hidden],
  ['successful', found, { __typename: 'CustomerOutcomeUnknownError' }],
] as const) {
  test(`a create of a bound caller that is ${what} MUST NOT return another owner's customer if the provider ignores case`, () =>
    withScriptedProvider(
      ({ method }) => (method === 'POST' ? first : found),
      async (harness) => {
        assert.deepEqual((await ask(harness, create)).data, { createCustomer: result });
      },
      jwtSettings,
    ));
}
