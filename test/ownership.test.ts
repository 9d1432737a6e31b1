import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batched } from '../src/batching.ts';
import { anonymous } from '../src/caller.ts';
import type { Customer, CustomerApi } from '../src/customer.ts';
import { owned } from '../src/ownership.ts';
import { type Answer, bearer, codesOf, inWorld, jwtSettings } from './support.ts';

const own: Customer = {
  id: 'cth_1',
  objectReferenceId: 'reference-1',
  firstName: null,
  lastName: null,
  emailAddress: null,
  mobileNumber: null,
  mobileCountryCode: null,
  dateCreated: null,
  lastUpdated: null,
};
const token = { token: 'tkn_1', expiresAt: new Date() };

test('a read with the token MUST be held against the owner as well as the plain read before it', async () => {
  const reads: boolean[] = [];
  const api: CustomerApi = {
    async get(_key, { withClientAuthToken = false } = {}) {
      reads.push(withClientAuthToken);
      // The path is somebody else's by the time of the second read.
      return withClientAuthToken ? { ...own, id: 'cth_2', clientAuthToken: token } : own;
    },
    create: () => assert.fail('no create'),
    update: () => assert.fail('no update'),
  };
  const bound = owned(batched(api, { maxReads: 2 }), { ...anonymous, customers: ['cth_1'] });
  assert.equal(await bound.get({ any: 'reference-1' }, { withClientAuthToken: true }), null);
  assert.deepEqual(reads, [false, true]);
});

test('a token that cannot be read MUST fail alone: the owner sees the customer', () =>
  inWorld(
    async (world) => {
      const token = bearer({ customer: 'u7', scope: 'customer:read customer:token' });
      const answer = await world.fetch({
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({ query: '{ customer(id: "cst_0123456789abcdef") { id clientAuthToken { token } } }' }),
      });
      assert.deepEqual(answer.data, { customer: { id: 'cst_0123456789abcdef', clientAuthToken: null } });
      assert.deepEqual(codesOf(answer), { 'customer.clientAuthToken': 'OPERATION_TOO_COMPLEX' });
      assert.deepEqual(world.upstream(), ['GET /customers/cst_0123456789abcdef']);
    },
    { ...jwtSettings, LIMIT_UPSTREAM_READS: '1' },
  ));

/** A caller bound to the customer `u7`, where an operation may cost three reads. */
const askBound = (query: string, check: (answer: Answer, upstream: string[]) => void) =>
  inWorld(
    async (world) => {
      const token = bearer({ customer: 'u7', scope: 'customer:read customer:token' });
      const answer = await world.fetch({
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({ query: `{ ${query} } fragment token on Customer { clientAuthToken { __typename } }` }),
      });
      check(answer, world.upstream());
    },
    { ...jwtSettings, LIMIT_UPSTREAM_READS: '3' },
  );

test('the read of a token MUST be counted where the plain read before it is, so that document order decides', () =>
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

test('a token that is not read after all MUST NOT cost those behind it a read', () =>
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
