import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeToken } from '../../src/cli/tokens.ts';
import { type Harness, jwtSettings, newCustomer } from '../support.ts';
import { type GraphOptions, inGraph, type RoutedAnswer, routerNames, showPlan } from './graph.ts';

const asha = { id: 'cth_A1b2C3d4E5f6G7h8', objectReferenceId: 'asha.rao@example.com' };
const u7 = { id: 'cst_0123456789abcdef', objectReferenceId: 'u7' };
const orderOf = (id: string, order = '1') => ({ id: order, total: '10 INR', customer: { id } });
const ticketOf = (objectReferenceId: string, ticket = '1') => ({
  id: ticket,
  subject: 'Hello',
  customer: { objectReferenceId },
});
const codesOf = ({ errors = [] }: RoutedAnswer) => errors.map(({ extensions }) => extensions['code']);

interface Person {
  readonly id: string;
  readonly objectReferenceId: string;
  readonly firstName: string;
}

/** Creates thirty customers at the provider. */
async function createThirty(harness: Harness): Promise<Person[]> {
  const created: Person[] = [];
  for (let n = 0; n < 30; n += 1) {
    const answer = await harness.ask(
      `mutation ($input: CreateCustomerInput!) {
        createCustomer(input: $input) { ... on CreateCustomerSuccess { customer { id objectReferenceId firstName } } }
      }`,
      { input: newCustomer(`reference-${n}`, { firstName: `Person ${n}` }) },
    );
    const result = answer.data?.['createCustomer'] as { customer: Person } | undefined;
    created.push(result?.customer ?? assert.fail(answer.text));
  }
  harness.sandbox.clearCalls();
  return created;
}

for (const router of routerNames) {
  test(`${router}: the customer of an order, by id, and of a ticket, by reference, MUST cost one call each`, () =>
    inGraph({ orders: [orderOf(u7.id)], tickets: [ticketOf(asha.objectReferenceId)] }, async ({ harness, ask }) => {
      assert.deepEqual(await ask(router, '{ order(id: "1") { total customer { id objectReferenceId firstName } } }'), {
        data: { order: { total: '10 INR', customer: { ...u7, firstName: null } } },
      });
      assert.deepEqual(
        await ask(router, '{ ticket(id: "1") { subject customer { id objectReferenceId firstName } } }'),
        { data: { ticket: { subject: 'Hello', customer: { ...asha, firstName: 'Asha' } } } },
      );
      assert.deepEqual(harness.upstream(), [`GET /customers/${u7.id}`, 'GET /customers/asha.rao%40example.com']);
    }));

  test(`${router}: 100 orders of 30 customers MUST cost 30 reads, by id and by reference`, () => {
    // Filled below, after the customers are created.
    const orders: ReturnType<typeof orderOf>[] = [];
    const tickets: ReturnType<typeof ticketOf>[] = [];
    const asked: number[] = [];
    const onCustomersRequest: GraphOptions['onCustomersRequest'] = async (request, next) => {
      const { variables = {} } = (await request.clone().json()) as { variables?: object };
      asked.push(...Object.values(variables).map((list: unknown[]) => list.length));
      return next(request);
    };
    return inGraph({ orders, tickets, onCustomersRequest }, async ({ harness, ask }) => {
      const people = await createThirty(harness);
      const hundred = Array.from({ length: 100 }, (_, n) => people[n % 30] ?? assert.fail());
      for (const [n, { id, objectReferenceId }] of hundred.entries()) {
        orders.push(orderOf(id, `o${n}`));
        tickets.push(ticketOf(objectReferenceId, `t${n}`));
      }
      const customers = hundred.map(({ firstName }) => ({ customer: { firstName } }));
      assert.deepEqual(await ask(router, '{ orders { customer { firstName } } }'), { data: { orders: customers } });
      assert.deepEqual(harness.upstream().toSorted(), people.map(({ id }) => `GET /customers/${id}`).toSorted());
      harness.sandbox.clearCalls();
      assert.deepEqual(await ask(router, '{ tickets { customer { firstName } } }'), { data: { tickets: customers } });
      assert.deepEqual(
        harness.upstream().toSorted(),
        people.map(({ objectReferenceId }) => `GET /customers/${objectReferenceId}`).toSorted(),
      );
      // Other routers remove duplicates. With these two the customer gateway merges them.
      const perQuery = router === '@apollo/gateway' || router === 'Grafbase' ? 100 : 30;
      assert.deepEqual(asked, [perQuery, perQuery]);
    });
  });

  test(`${router}: a token in a federated query MUST be requested with the same read, and only if it is selected`, () =>
    inGraph({ orders: [orderOf(u7.id, '1'), orderOf(u7.id, '2')] }, async ({ harness, ask }) => {
      const answer = await ask(router, '{ order(id: "1") { total customer { firstName clientAuthToken { token } } } }');
      assert.equal(answer.errors, undefined);
      assert.match(JSON.stringify(answer.data), /"clientAuthToken":\{"token":"tkn_[0-9a-f]{32}"\}/);
      assert.deepEqual(harness.upstream(), [`GET /customers/${u7.id}?options.get_client_auth_token=true`]);
      harness.sandbox.clearCalls();
      await ask(router, '{ order(id: "1") { customer { firstName clientAuthToken @skip(if: true) { token } } } }');
      assert.deepEqual(harness.upstream(), [`GET /customers/${u7.id}`]);
    }));

  test(`${router}: the router MUST pass on the results of mutations unchanged`, () =>
    inGraph({}, async ({ harness, ask }) => {
      const create = `mutation {
        good: createCustomer(input: { objectReferenceId: "reference-77", mobileNumber: "9000000077", emailAddress: "new@example.com" }) {
          __typename ... on CreateCustomerSuccess { origin customer { objectReferenceId mobileCountryCode } }
        }
        taken: createCustomer(input: { objectReferenceId: "customer-10002", mobileNumber: "9000000077", emailAddress: "new@example.com" }) {
          __typename ... on CustomerError { code retryable } ... on CustomerAlreadyExistsError { differingFields existing { id } }
        }
        bad: createCustomer(input: { objectReferenceId: "short", mobileNumber: "+", emailAddress: "x" }) {
          __typename ... on CustomerValidationError { code issues { path code } }
        }
        gone: updateCustomer(id: "nobody-0001", input: { firstName: "Ravi" }) { __typename ... on CustomerError { code retryable } }
      }`;
      const answer = await ask(router, create);
      assert.deepEqual(answer, {
        data: {
          good: {
            __typename: 'CreateCustomerSuccess',
            origin: 'CREATED',
            customer: { objectReferenceId: 'reference-77', mobileCountryCode: '91' },
          },
          taken: {
            __typename: 'CustomerAlreadyExistsError',
            code: 'ALREADY_EXISTS',
            retryable: false,
            differingFields: ['mobileNumber', 'emailAddress'],
            existing: { id: 'cth_B2c3D4e5F6g7H8i9' },
          },
          bad: {
            __typename: 'CustomerValidationError',
            code: 'VALIDATION_FAILED',
            issues: [
              { path: ['input', 'objectReferenceId'], code: 'TOO_SHORT' },
              { path: ['input', 'mobileNumber'], code: 'INVALID_FORMAT' },
              { path: ['input', 'emailAddress'], code: 'INVALID_FORMAT' },
            ],
          },
          gone: { __typename: 'CustomerNotFoundError', code: 'NOT_FOUND', retryable: false },
        },
      });
      // Each write is sent once: routers must not retry writes.
      assert.deepEqual(harness.upstream(), [
        'POST /customers',
        'POST /customers',
        'GET /customers/customer-10002',
        'POST /customers/nobody-0001',
      ]);
    }));

  test(`${router}: the credentials of the caller MUST decide which customers are visible, and another owner's customer MUST look like a missing one`, () => {
    const orders = [orderOf(asha.id, '1'), orderOf(u7.id, '2'), orderOf('nobody-0001', '3')];
    return inGraph({ environment: jwtSettings, orders }, async ({ harness, ask }) => {
      const bearer = async (...argv: string[]) => ({ authorization: `Bearer ${await makeToken(argv, jwtSettings)}` });
      const query = '{ orders { customer { objectReferenceId clientAuthToken { __typename } } } }';
      const withToken = { clientAuthToken: { __typename: 'ClientAuthToken' } };
      // Grafbase omits a selected object of an entity that is null.
      const omitted = router === 'Grafbase' ? {} : { clientAuthToken: null };
      const missing = { customer: { objectReferenceId: null, ...omitted } };

      const bound = await ask(router, query, await bearer('--customer', asha.id));
      assert.deepEqual(bound, {
        data: { orders: [{ customer: { objectReferenceId: asha.objectReferenceId, ...withToken } }, missing, missing] },
      });
      assert.deepEqual(
        harness.upstream().filter((call) => call.includes('token')),
        [`GET /customers/${asha.id}?options.get_client_auth_token=true`],
      );

      const unbound = await ask(router, query, await bearer());
      assert.deepEqual(unbound, {
        data: {
          orders: [
            { customer: { objectReferenceId: asha.objectReferenceId, ...withToken } },
            { customer: { objectReferenceId: 'u7', ...withToken } },
            missing,
          ],
        },
      });

      harness.sandbox.clearCalls();
      const writer = await ask(
        router,
        '{ order(id: "2") { total customer { firstName } } }',
        await bearer('--scope', 'customer:write'),
      );
      assert.deepEqual(writer.data, { order: { total: '10 INR', customer: { firstName: null } } });
      assert.deepEqual(codesOf(writer), ['FORBIDDEN']);
      assert.deepEqual(harness.upstream(), []);
    });
  });

  test(`${router}: a failing customer MUST NOT affect its order or other customers`, () =>
    inGraph({ orders: [orderOf('fault_rejected', '1'), orderOf(asha.id, '2')] }, async ({ ask }) => {
      const answer = await ask(router, '{ orders { total customer { firstName } } }');
      assert.deepEqual(answer.data, {
        orders: [
          { total: '10 INR', customer: { firstName: null } },
          { total: '10 INR', customer: { firstName: 'Asha' } },
        ],
      });
      assert.deepEqual(codesOf(answer), ['UPSTREAM_REJECTED']);
    }));
}

test('Hive Gateway with router-runtime: a plan of the Rust planner MUST fetch the order, then the customer', () =>
  inGraph({ orders: [orderOf(asha.id)] }, async ({ ask }) => {
    const query = '{ order(id: "1") { customer { firstName } } }';
    const { data, extensions } = await ask('Hive Gateway with router-runtime', query, { [showPlan]: 'on' });
    assert.deepEqual(data, { order: { customer: { firstName: 'Asha' } } });
    assert.partialDeepStrictEqual(extensions, {
      queryPlan: {
        kind: 'QueryPlan',
        node: {
          kind: 'Sequence',
          nodes: [
            { kind: 'Fetch', serviceName: 'orders' },
            { kind: 'Flatten', node: { kind: 'Fetch', serviceName: 'customers' } },
          ],
        },
      },
    });
  }));
