import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as server from '../../src/customers/input.ts';
import { newCustomer, withHarness } from '../../test/support.ts';
import { CreateCustomerDocument, createCustomerClient } from '../src/client.ts';
import {
  applyIssues,
  CustomerChangesSchema,
  customerChangesResolver,
  fieldMessages,
  NewCustomerSchema,
  newCustomerResolver,
  validateCustomerChanges,
  validateNewCustomer,
} from '../src/validation.ts';

const invalid = { objectReferenceId: 'short', mobileNumber: '+91 9', emailAddress: '' };

test('the rules MUST be those of the server', () => {
  assert.equal(NewCustomerSchema, server.NewCustomerSchema);
  assert.equal(CustomerChangesSchema, server.CustomerChangesSchema);
});

test('the rules MUST find the same issues with the same messages as the gateway', () =>
  withHarness(async (harness) => {
    const fetch: typeof globalThis.fetch = (input, init) => harness.gateway.fetch(new Request(input, init));
    const client = createCustomerClient({ url: 'http://gateway.test/graphql', fetch });
    const outcome = await client.mutate(CreateCustomerDocument, { input: invalid });
    assert.ok(outcome.status === 'invalid');
    const own = validateNewCustomer(invalid);
    assert.deepEqual(
      own.map(({ path, code, message }) => ({ path, code, message })),
      outcome.issues.map(({ path, code, message }) => ({ path, code, message })),
    );
    assert.deepEqual(fieldMessages(own), fieldMessages(outcome.issues));
    assert.deepEqual(Object.keys(fieldMessages(own)), ['objectReferenceId', 'mobileNumber', 'emailAddress']);
  }));

test('an issue of the whole form MUST have the empty key', () => {
  assert.deepEqual(Object.keys(fieldMessages(validateCustomerChanges({}))), ['']);
  assert.deepEqual(
    fieldMessages(validateCustomerChanges({ firstName: null }), ({ code }) => code),
    {
      firstName: 'NOT_CLEARABLE',
    },
  );
  assert.deepEqual(validateCustomerChanges({ firstName: 'Noor' }), []);
});

test('the resolvers MUST return the format of react-hook-form, and remove empty fields', async () => {
  const form = { ...newCustomer('forms-reference'), firstName: '' };
  assert.deepEqual(newCustomerResolver()(form), { values: newCustomer('forms-reference'), errors: {} });
  const { errors } = newCustomerResolver({ text: ({ code }) => code.toLowerCase() })(invalid);
  assert.deepEqual(errors, {
    objectReferenceId: { type: 'TOO_SHORT', message: 'too_short' },
    mobileNumber: { type: 'INVALID_FORMAT', message: 'invalid_format' },
    emailAddress: { type: 'REQUIRED', message: 'required' },
  });
  assert.deepEqual(Object.keys(customerChangesResolver()({ firstName: '' }).errors), ['root']);
});

test('applyIssues MUST set the first issue of each field, and issues of the whole form at `root`', () => {
  const shown: unknown[] = [];
  const issues = [
    { path: ['input', 'mobileNumber'], code: 'REJECTED_BY_PROVIDER', message: 'm1' },
    { path: ['input', 'mobileNumber'], code: 'TOO_LONG', message: 'm2' },
    { path: ['input'], code: 'REQUIRED', message: 'm3' },
  ];
  applyIssues(issues, (name, error) => shown.push([name, error.type]));
  assert.deepEqual(shown, [
    ['mobileNumber', 'REJECTED_BY_PROVIDER'],
    ['root', 'REQUIRED'],
  ]);
});
