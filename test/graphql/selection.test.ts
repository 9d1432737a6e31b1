import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { graphql } from 'graphql';
import { anonymous } from '../../src/auth/caller.ts';
import type { Customer, CustomerApi } from '../../src/customers/customer.ts';
import type { OperationContext } from '../../src/graphql/context.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import { storedCustomer as customer } from '../support.ts';

const schema = buildSchema();

/** Returns the `withClientAuthToken` of each call, and whether the executor ran the resolver of the token. */
async function run(source: string, variableValues: Record<string, unknown>) {
  const asked: boolean[] = [];
  let resolved = false;
  // The getter detects that the resolver ran.
  const withToken: Customer = {
    ...customer,
    get clientAuthToken() {
      resolved = true;
      return { token: 't', expiresAt: new Date() };
    },
  };
  const customers: CustomerApi = {
    async get(_key, { withClientAuthToken = false } = {}) {
      asked.push(withClientAuthToken);
      return withToken;
    },
    async create(_input, { withClientAuthToken = false } = {}) {
      asked.push(withClientAuthToken);
      return { customer: withToken, origin: 'CREATED' };
    },
    update: () => Promise.reject(new Error('not used')),
  };
  const contextValue: OperationContext = {
    requestId: 'r',
    caller: anonymous,
    audit: () => undefined,
    customers,
    write: { isSent: false, isReplayed: false },
    onUnexpected: (cause) => assert.fail(String(cause)),
  };
  const { errors } = await graphql({ schema, source, variableValues, contextValue });
  return { asked, resolved, errors };
}

const directive = fc.constantFrom(
  '',
  '',
  '',
  '@include(if: true)',
  '@include(if: false)',
  '@skip(if: true)',
  '@skip(if: false)',
  '@include(if: $yes)',
  '@skip(if: $no)',
  '@skip(if: $yes)',
  '@include(if: $unset)',
  '@skip(if: $no) @include(if: $yes)',
);

/** Selections on Customer: other fields, aliases with the name of the token, the token, nested fragments. */
const selections = fc.letrec<{ set: string; item: string }>((tie) => ({
  item: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('id', 'clientAuthToken: id', 'firstName', 'alias: objectReferenceId'),
    fc
      .tuple(fc.constantFrom('clientAuthToken', 'x: clientAuthToken', 'y: clientAuthToken'), directive)
      .map(([field, on]) => `${field} ${on} { __typename }`),
    fc
      .tuple(fc.constantFrom('...', '... on Customer'), directive, tie('set'))
      .map(([spread, on, set]) => `${spread} ${on} ${set}`),
    fc.tuple(fc.constantFrom('...A', '...B'), directive).map(([spread, on]) => `${spread} ${on}`),
  ),
  set: fc.array(tie('item'), { minLength: 1, maxLength: 4 }).map((items) => `{ __typename ${items.join(' ')} }`),
})).set;

const header = '($yes: Boolean! = true, $no: Boolean! = false, $unset: Boolean! = true)';
const isValid = (errors: readonly unknown[] | undefined) => errors === undefined;

test('a query MUST request the token if and only if the executor resolves it', () =>
  fc.assert(
    fc.asyncProperty(selections, selections, fc.boolean(), fc.boolean(), async (set, fragment, yes, no) => {
      const fragments = `fragment A on Customer ${fragment.replaceAll('...A', '...B').replaceAll('...B', '... on Customer { ...C }')} fragment B on Customer { ...C } fragment C on Customer { z: clientAuthToken @include(if: $no) { token } }`;
      const source = `query ${header} { customer(id: "reference-1") ${set} used: __typename @include(if: $unset) @skip(if: $yes) k: __typename @skip(if: $no) customerByReference(objectReferenceId: "n") @skip(if: true) { ...A ...B ...C } }${fragments}`;
      const { asked, resolved, errors } = await run(source, { yes, no });
      // Skip documents that are invalid because of conflicting aliases.
      fc.pre(isValid(errors));
      assert.deepEqual(asked, [resolved], source);
    }),
    { numRuns: 1000 },
  ));

test('a create MUST request the token if and only if the executor resolves it after a success', () =>
  fc.assert(
    fc.asyncProperty(
      selections,
      fc.constantFrom('CreateCustomerSuccess', 'CustomerError', 'CustomerAlreadyExistsError'),
      fc.boolean(),
      fc.boolean(),
      async (set, condition, yes, no) => {
        const inner =
          condition === 'CreateCustomerSuccess'
            ? `customer ${set}`
            : condition === 'CustomerError'
              ? 'code'
              : `existing ${set}`;
        const source = `mutation ${header} { createCustomer(input: { objectReferenceId: "reference-1", mobileNumber: "1", emailAddress: "a@b" }) { __typename ... on ${condition} { ${inner} } ... on CreateCustomerSuccess { customer { id ...A @include(if: $no) ...B @skip(if: $yes) } } u: __typename @include(if: $unset) } }
          fragment A on Customer { id } fragment B on Customer { lastName ... on Customer @include(if: $unset) { clientAuthToken { token } } }`;
        const { asked, resolved, errors } = await run(source, { yes, no });
        fc.pre(isValid(errors));
        assert.deepEqual(asked, [resolved], source);
      },
    ),
    { numRuns: 500 },
  ));

test('nested fragments that are spread twice MUST be searched in linear time', async () => {
  // The document has 2^60 paths to the token.
  const doubling = Array.from(
    { length: 60 },
    (_, n) => `fragment f${n} on Customer { ...f${n + 1} ...f${n + 1} }`,
  ).join(' ');
  const source = `{ customer(id: "reference-1") { ...f0 } } ${doubling} fragment f60 on Customer { clientAuthToken { __typename } }`;
  const { asked } = await run(source, {});
  assert.deepEqual(asked, [true]);
});
