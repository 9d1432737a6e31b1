import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  askAs,
  createOperation,
  type Harness,
  jwtSettings,
  newCustomer,
  resultOf,
  updateOperation,
  withHarness,
  withScriptedProvider,
} from '../support.ts';

const existing = 'asha.rao@example.com';
const routes = (harness: Harness) => harness.sandbox.calls.map(({ route }) => route);
const differing =
  'mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) { ... on CustomerAlreadyExistsError { code differingFields } } }';
const create = async (harness: Harness, input: object) =>
  resultOf(await harness.ask(createOperation, { input }), 'createCustomer');

test('ALREADY_EXISTS on the repeat of a create after a 429 MUST be settled by a read: the first attempt may have succeeded', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: '429', on: 'create', afterCommit: true, retryAfter: null });
    const result = await create(harness, newCustomer('reference-1'));
    assert.equal(result['__typename'], 'CreateCustomerSuccess');
    assert.equal(result['origin'], 'RECONCILED');
    assert.deepEqual(routes(harness), ['create', 'create', 'get']);
  }));

test('ALREADY_EXISTS on a repeat MUST stay ALREADY_EXISTS if the stored data differ', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: '429', on: 'create', retryAfter: null });
    assert.equal((await create(harness, newCustomer(existing)))['code'], 'ALREADY_EXISTS');
    assert.deepEqual(routes(harness), ['create', 'create', 'get']);
  }));

test('ALREADY_EXISTS on a repeat MUST be OUTCOME_UNKNOWN if the reads fail until the deadline', () =>
  withHarness(
    async (harness) => {
      harness.sandbox.arm({ fault: '429', on: 'create', afterCommit: true, retryAfter: null });
      harness.sandbox.arm({ fault: '503', on: 'get', times: 1000 });
      const result = await create(harness, newCustomer('reference-1'));
      assert.deepEqual([result['code'], result['retryable']], ['OUTCOME_UNKNOWN', true]);
      assert.equal(harness.sandbox.calls.filter(({ route }) => route === 'create').length, 2);
    },
    { OPERATION_TIMEOUT_MS: '1500' },
  ));

for (const fault of ['429', 'invalid', 'unauthorized', 'merchant', 'redirect', 'busy'] as const) {
  test(`${fault} on the second POST after a lost response MUST be OUTCOME_UNKNOWN`, () =>
    withHarness(
      async (harness) => {
        harness.sandbox.arm({ fault: 'reset', on: 'create' });
        harness.sandbox.arm({ fault, on: 'create', times: 1000, retryAfter: null });
        const result = await create(harness, newCustomer('reference-1'));
        assert.deepEqual([result['code'], result['retryable']], ['OUTCOME_UNKNOWN', true]);
      },
      { OPERATION_TIMEOUT_MS: '2000' },
    ));
}

for (const fault of ['reset', '503', 'html'] as const) {
  test(`a create after ${fault} MUST be RECONCILED even if the provider normalises the stored values`, () =>
    withHarness(
      async (harness) => {
        harness.sandbox.arm({ fault, on: 'create', afterCommit: true });
        const result = await create(
          harness,
          newCustomer('reference-1', {
            emailAddress: 'Asha.RAO@Example.com',
            firstName: ' Zoe\u0308 ',
            lastName: 'Rao  ',
            mobileCountryCode: '+0091',
          }),
        );
        assert.equal(result['origin'], 'RECONCILED');
        assert.deepEqual(result['customer'], {
          id: harness.sandbox.customers.at(-1)?.id,
          objectReferenceId: 'reference-1',
          mobileNumber: '9000000077',
          emailAddress: 'asha.rao@example.com',
          firstName: 'Zo\u00eb',
        });
        assert.deepEqual(routes(harness), ['create', 'get']);
      },
      {},
      { tidy: true },
    ));
}

for (const fault of ['reset', '503', 'html'] as const) {
  test(`a create after ${fault} MUST be RECONCILED if the provider stores the reference in lower case`, () =>
    withHarness(
      async (harness) => {
        harness.sandbox.arm({ fault, on: 'create', afterCommit: true });
        const result = await create(harness, newCustomer('Order-Desk-0042'));
        assert.equal(result['origin'], 'RECONCILED');
        const { objectReferenceId } = result['customer'] as { objectReferenceId: string };
        assert.equal(objectReferenceId, 'order-desk-0042');
        assert.deepEqual(harness.upstream(), ['POST /customers', 'GET /customers/Order-Desk-0042']);
        assert.equal(harness.sandbox.customers.filter(({ id }) => id.startsWith('cth_Sb')).length, 1);
      },
      {},
      { tidy: true },
    ));
}

test('a create after a lost response MUST be ALREADY_EXISTS if a reference in another case has other data', () =>
  withHarness(
    async (harness) => {
      await create(harness, newCustomer('order-desk-0042', { firstName: 'Noor' }));
      harness.sandbox.clearCalls();
      harness.sandbox.arm({ fault: 'reset', on: 'create' });
      const answer = await harness.ask(differing, { input: newCustomer('Order-Desk-0042', { firstName: 'Asha' }) });
      assert.deepEqual(resultOf(answer, 'createCustomer'), { code: 'ALREADY_EXISTS', differingFields: ['firstName'] });
      assert.deepEqual(routes(harness), ['create', 'get', 'get']);
    },
    {},
    { tidy: true },
  ));

test('a create after a lost response MUST be CREATED if the provider keeps references in another case apart', () =>
  withHarness(async (harness) => {
    await create(harness, newCustomer('order-desk-0042'));
    harness.sandbox.clearCalls();
    harness.sandbox.arm({ fault: 'reset', on: 'create' });
    const result = await create(harness, newCustomer('Order-Desk-0042'));
    assert.equal(result['origin'], 'CREATED');
    assert.deepEqual(routes(harness), ['create', 'get', 'create']);
    assert.equal(harness.sandbox.customers.at(-1)?.objectReferenceId, 'Order-Desk-0042');
  }));

test('a create of a bound caller MUST NOT be RECONCILED with a reference in another case: ownership is compared exactly', () =>
  withHarness(
    async (harness) => {
      harness.sandbox.arm({ fault: 'reset', on: 'create', afterCommit: true });
      const claims = { customer: 'Order-Desk-0042', scope: 'customer:read customer:write' };
      const answer = await askAs(harness, claims, differing, { input: newCustomer('Order-Desk-0042') });
      assert.deepEqual(resultOf(answer, 'createCustomer'), { code: 'ALREADY_EXISTS', differingFields: null });
    },
    jwtSettings,
    { tidy: true },
  ));

test('an update whose response was lost MUST succeed even if the provider normalises the stored values', () =>
  withHarness(
    async (harness) => {
      harness.sandbox.arm({ fault: 'reset', on: 'update', afterCommit: true });
      const input = { emailAddress: 'NEW@Example.com', firstName: ' Zoe\u0308', mobileCountryCode: '065' };
      const result = resultOf(await harness.ask(updateOperation, { id: 'u7', input }), 'updateCustomer');
      assert.equal(result['__typename'], 'UpdateCustomerSuccess');
      assert.deepEqual(routes(harness), ['update', 'get']);
    },
    {},
    { tidy: true },
  ));

test('differingFields MUST use the comparison of a reconciled create', () =>
  withHarness(async (harness) => {
    const answer = await harness.ask(
      'mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) { ... on CustomerAlreadyExistsError { differingFields } } }',
      {
        input: {
          objectReferenceId: existing,
          mobileNumber: '9000000001',
          emailAddress: 'ASHA.rao@example.COM',
          firstName: ' asha',
          lastName: 'Rao ',
          mobileCountryCode: '091',
        },
      },
    );
    assert.deepEqual(resultOf(answer, 'createCustomer'), { differingFields: ['firstName'] });
  }));

test('a 408 MUST be repeated on a read, and be an ambiguous outcome on a write', () => {
  const customer = {
    id: 'cth_1',
    object_reference_id: 'reference-1',
    mobile_number: '1',
    email_address: 'new@example.com',
  };
  const seen = new Map<string, number>();
  return withScriptedProvider(
    ({ method, target }) => {
      const key = `${method} ${target}`;
      const number = (seen.get(key) ?? 0) + 1;
      seen.set(key, number);
      return number === 1 ? { status: 408, body: { error_code: 'invalid' } } : { status: 200, body: customer };
    },
    async (harness, calls) => {
      const read = await harness.ask('{ customer(id: "reference-1") { id } }');
      assert.deepEqual(read.data, { customer: { id: 'cth_1' } });
      assert.deepEqual(calls, ['GET /customers/reference-1', 'GET /customers/reference-1']);
      const input = { mobileNumber: '1' };
      const updated = resultOf(await harness.ask(updateOperation, { id: 'reference-1', input }), 'updateCustomer');
      assert.equal(updated['__typename'], 'UpdateCustomerSuccess');
      assert.deepEqual(calls.slice(2), ['POST /customers/reference-1', 'GET /customers/reference-1']);
      const created = await create(harness, newCustomer('reference-1', { mobileNumber: '1' }));
      assert.equal(created['origin'], 'RECONCILED');
      assert.deepEqual(calls.slice(4), ['POST /customers', 'GET /customers/reference-1']);
    },
  );
});
