import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Plan, Trace } from '../../src/explain/explanation.ts';
import {
  type Answer,
  askAs,
  bearer,
  codesOf,
  type Harness,
  jwtSettings,
  newCustomer,
  withHarness,
  withScriptedProvider,
} from '../support.ts';

const scope = 'customer:read customer:write customer:token gateway:explain customer:any';

function explain(
  harness: Harness,
  mode: string,
  query: string,
  variables: object = {},
  claims?: object,
): Promise<Answer> {
  return harness.fetch({
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-gateway-explain': mode,
      ...(claims && { authorization: `Bearer ${bearer(claims)}` }),
    },
    body: JSON.stringify({ query, variables }),
  });
}

function explanationOf<Kind extends Plan | Trace>({ text }: Answer): Kind {
  const { extensions } = JSON.parse(text) as { extensions: { explain: Kind } };
  return extensions.explain;
}

/** Calls in short: number, method, path, token, placeholder and reasons. */
function shortOf({ calls }: Plan | Trace): string[] {
  return calls.map(({ call, method, path, token, customer, reads, reasons }) => {
    const why = reasons.map(({ kind, fields }) => `${kind} ${fields.join()}`).join('; ');
    return `${call} ${method} ${path}${token ? ' token' : ''} ${customer} ${reads} ${why}`;
  });
}

const email = 'canary@example.com';
const mixed = `mutation ($input: CreateCustomerInput!, $id: ID!) {
  made: createCustomer(input: $input) {
    ... on CreateCustomerSuccess { customer { token: clientAuthToken { token } } }
    ... on CustomerAlreadyExistsError { differingFields existing { id } }
  }
  updateCustomer(id: $id, input: { firstName: "Canary" }) {
    ... on UpdateCustomerSuccess { customer { id clientAuthToken { token } } }
  }
  empty: updateCustomer(id: $id, input: {}) { __typename }
}`;
const mixedVariables = { input: newCustomer(email, { firstName: 'Canary' }), id: 'u7' };

test('a plan MUST name the calls of a query, merged, with the fields that cause them, and send nothing', () =>
  withHarness(async (harness) => {
    const query = `{
      a: customer(id: "u7") { t: clientAuthToken { token } no: clientAuthToken @skip(if: true) { token } }
      b: customers(ids: ["u7", "cst_0123456789abcdef", "u7"]) { id }
      c: customer(id: "..") { id }
    }`;
    const answer = await explain(harness, 'plan', query);
    assert.equal(answer.status, 200);
    assert.equal(answer.data, null);
    assert.equal(answer.errors, undefined);
    const plan = explanationOf<Plan>(answer);
    assert.deepEqual(shortOf(plan), [
      '1 GET /customers/{customer_id} token {customer 1} 3 READ a,b; TOKEN a.t',
      '2 GET /customers/{customer_id} {customer 2} 1 READ b',
    ]);
    assert.deepEqual(plan.refused, [{ field: 'c', code: 'BAD_USER_INPUT' }]);
    assert.equal(
      plan.calls[0]?.curl,
      `curl -X GET "$JUSPAY_BASE_URL/customers/{customer 1}?options.get_client_auth_token=true" -u "$JUSPAY_API_KEY:" -H "x-merchantid: $JUSPAY_MERCHANT_ID" -H 'x-routing-id: {customer 1}' -H 'Accept: application/json'`,
    );
    assert.deepEqual(harness.upstream(), []);
  }));

test('a plan MUST name the calls of writes and their conditional calls, without executing them', () =>
  withHarness(async (harness) => {
    const answer = await explain(harness, 'plan', mixed, mixedVariables);
    const plan = explanationOf<Plan>(answer);
    assert.deepEqual(shortOf(plan), [
      '1 POST /customers token {customer 1} 0 CREATE made; TOKEN made.customer.token',
      '2 POST /customers/{customer_id} {customer 2} 0 UPDATE updateCustomer',
      '3 GET /customers/{customer_id} token {id of customer 2} 1 TOKEN_AFTER_UPDATE updateCustomer.customer.clientAuthToken',
    ]);
    assert.deepEqual(
      plan.calls.map(({ after, conditional }) => [
        after,
        ...conditional.map(
          ({ condition, method, token, reasons }) =>
            `${condition} ${method} ${token} ${reasons.map(({ kind }) => kind)}`,
        ),
      ]),
      [
        [null, 'ALREADY_EXISTS GET false EXISTING', 'OUTCOME_UNKNOWN GET true LOOKUP', 'NOT_APPLIED POST true REPEAT'],
        [null, 'OUTCOME_UNKNOWN GET false LOOKUP', 'NOT_APPLIED POST false REPEAT'],
        [2],
      ],
    );
    assert.deepEqual(plan.refused, [{ field: 'empty', code: 'VALIDATION_FAILED' }]);
    assert.deepEqual(harness.upstream(), []);
    assert.equal(harness.log.filter((line) => line.includes('audit')).length, 0);
    assert.ok(!harness.sandbox.customers.some(({ objectReferenceId }) => objectReferenceId === email));
  }));

test('an explanation MUST hold no id, no value of a field and no secret', () =>
  withHarness(async (harness) => {
    for (const mode of ['plan', 'trace']) {
      const { text } = await explain(harness, mode, mixed, mixedVariables);
      const { extensions } = JSON.parse(text) as { extensions: unknown };
      const explanation = JSON.stringify(extensions);
      for (const secret of [
        email,
        'Canary',
        'u7',
        '9000000077',
        'cst_',
        'cth_',
        'tkn_',
        harness.sandbox.apiKey,
        harness.sandbox.merchantId,
        harness.sandbox.url,
      ])
        assert.ok(!explanation.includes(secret), `${mode}: ${secret}`);
      assert.equal(harness.upstream().length > 0, mode === 'trace');
    }
  }));

test('a plan for a caller that is bound to a customer MUST have the reads that establish the owner', () =>
  withHarness(async (harness) => {
    const claims = { scope: scope.replace(' customer:any', ''), customer: 'u7' };
    const query = `mutation { updateCustomer(id: "cst_0123456789abcdef", input: { firstName: "A" }) {
      ... on UpdateCustomerSuccess { customer { clientAuthToken { token } } }
    } }`;
    const expected = [
      '1 GET /customers/{customer_id} {customer 1} 0 OWNERSHIP updateCustomer',
      '2 POST /customers/{customer_id} {customer 1} 0 UPDATE updateCustomer',
      '3 GET /customers/{customer_id} {customer 1} 0 OWNERSHIP updateCustomer.customer.clientAuthToken',
      '4 GET /customers/{customer_id} token {customer 1} 1 TOKEN_AFTER_UPDATE updateCustomer.customer.clientAuthToken',
    ];
    const plan = explanationOf<Plan>(await explain(harness, 'plan', query, {}, claims));
    assert.deepEqual(shortOf(plan), expected);
    assert.deepEqual(
      plan.calls.map(({ after }) => after),
      [null, 1, 2, 3],
    );
    assert.deepEqual(shortOf(explanationOf<Trace>(await explain(harness, 'trace', query, {}, claims))), expected);
  }, jwtSettings));

test('a trace MUST execute the operation and add what was sent', () =>
  withHarness(async (harness) => {
    const query =
      '{ a: customer(id: "u7") { id } b: customer(id: "u7") { firstName } c: customer(id: "fault_503") { id } d: customer(id: "nobody") { id } }';
    const answer = await explain(harness, 'trace', query);
    assert.deepEqual(answer.data, { a: { id: 'cst_0123456789abcdef' }, b: { firstName: null }, c: null, d: null });
    assert.deepEqual(codesOf(answer), { c: 'UPSTREAM_UNAVAILABLE' });
    const { calls } = explanationOf<Trace>(answer);
    assert.deepEqual(
      calls.map(({ customer, reads, shared, attempts }) => [
        customer,
        reads,
        shared,
        ...attempts.map(
          ({ method, path, attempt, status, outcome }) => `${method} ${path} ${attempt} ${status} ${outcome}`,
        ),
      ]),
      [
        ['{customer 1}', 2, false, 'GET /customers/{customer_id} 1 200 OK'],
        [
          '{customer 2}',
          1,
          false,
          ...[1, 2, 3].map((n) => `GET /customers/{customer_id} ${n} 503 UPSTREAM_UNAVAILABLE`),
        ],
        ['{customer 3}', 1, false, 'GET /customers/{customer_id} 1 404 NOT_FOUND'],
      ],
    );
    for (const { durationMs, queuedMs } of calls.flatMap(({ attempts }) => attempts))
      assert.ok((durationMs ?? -1) >= 0 && queuedMs >= 0);
    assert.equal(harness.upstream().length, 5);
  }));

test('a trace MUST show the calls that settle a write', () =>
  withHarness(async (harness) => {
    const query =
      'mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) { ... on CreateCustomerSuccess { origin } } }';
    const answer = await explain(harness, 'trace', query, { input: newCustomer('fault_500_after_commit_x7') });
    assert.deepEqual(answer.data, { createCustomer: { origin: 'RECONCILED' } });
    const [call] = explanationOf<Trace>(answer).calls;
    assert.deepEqual(
      call?.attempts.map(({ method, path, status }) => `${method} ${path} ${status}`),
      ['POST /customers 500', 'GET /customers/{customer_id} 200'],
    );
  }));

test('a trace MUST mark a read that an in-flight call of another operation answered', () =>
  withHarness(async (harness) => {
    const query = '{ customer(id: "fault_slow") { id } }';
    const other = harness.ask(query);
    await harness.sandbox.whenCalled(({ pathId }) => pathId === 'fault_slow');
    const [call] = explanationOf<Trace>(await explain(harness, 'trace', query)).calls;
    assert.deepEqual([call?.shared, call?.attempts], [true, []]);
    assert.equal((await other).status, 200);
    assert.equal(harness.upstream().length, 1);
  }));

test('a trace of a bound caller MUST NOT show whether the customer of another owner exists', () =>
  withHarness(async (harness) => {
    const claims = { scope: scope.replace(' customer:any', ''), customer: 'u7' };
    const seen = [];
    for (const id of ['customer-10002', 'nobody']) {
      const query = 'query ($id: ID!) { customer(id: $id) { id clientAuthToken { token } } }';
      const answer = await explain(harness, 'trace', query, { id }, claims);
      seen.push(answer.text.replace(/"(durationMs|queuedMs)":[\d.]+/g, ''));
    }
    assert.equal(seen[0], seen[1]);
    assert.equal(harness.upstream().length, 2);
  }, jwtSettings));

for (const mode of ['plan', 'trace']) {
  test(`without the scope gateway:explain, ${mode} MUST be FORBIDDEN, and nothing executed`, async () => {
    const query = '{ customer(id: "u7") { id } }';
    await withHarness(async (harness) => {
      const answer = await explain(harness, mode, query, {}, { scope: 'customer:read customer:any' });
      assert.equal(answer.status, 403);
      assert.deepEqual(codesOf(answer), { '': 'FORBIDDEN' });
      assert.deepEqual(harness.upstream(), []);
    }, jwtSettings);
    // The anonymous caller of a real provider does not have it.
    await withScriptedProvider(
      () => ({ status: 500, body: '' }),
      async (harness, calls) => {
        const answer = await explain(harness, mode, query);
        assert.deepEqual([answer.status, codesOf(answer), calls], [403, { '': 'FORBIDDEN' }, []]);
      },
      { AUTH_MODE: 'none', JUSPAY_API_KEY: 'k', JUSPAY_MERCHANT_ID: 'm' },
    );
  });
}

test('an unknown mode MUST be BAD_USER_INPUT, and nothing executed', () =>
  withHarness(async (harness) => {
    for (const mode of ['', 'plans', 'plan, trace']) {
      const answer = await explain(harness, mode, '{ customer(id: "u7") { id } }');
      assert.deepEqual([answer.status, codesOf(answer)], [400, { '': 'BAD_USER_INPUT' }]);
    }
    assert.deepEqual(harness.upstream(), []);
  }));

test('documents MUST be refused as without the header, and count against the rate limit', () =>
  withHarness(
    async (harness) => {
      const { fetch } = harness;
      const query = '{ nothing }';
      const texts = [];
      for (const mode of ['plan', 'trace']) texts.push((await explain(harness, mode, query)).text);
      texts.push((await harness.ask(query)).text);
      assert.equal(new Set(texts.map((text) => text.replace(/"requestId":"[^"]*"/g, ''))).size, 1);
      const headers = { 'x-gateway-explain': 'plan', 'content-type': 'application/json' };
      const mutation = await fetch({ path: `/graphql?query=${encodeURIComponent(mixed)}`, headers });
      assert.equal(mutation.status, 405);
      const url = `/graphql?query=${encodeURIComponent('{ customer(id: "u7") { id clientAuthToken { token } } }')}`;
      const plan = explanationOf<Plan>(await fetch({ path: url, headers }));
      // A GET never creates a token.
      assert.deepEqual(shortOf(plan), ['1 GET /customers/{customer_id} {customer 1} 1 READ customer']);
      assert.deepEqual(plan.refused, [{ field: 'customer.clientAuthToken', code: 'FORBIDDEN' }]);
      assert.equal((await explain(harness, 'plan', '{ __typename }')).status, 429);
    },
    { RATE_LIMIT_PER_MINUTE: '5' },
  ));

test('an answer without the header MUST NOT change because others ask for explanations', () =>
  withHarness(async (harness) => {
    const query = '{ customer(id: "u7") { id objectReferenceId } }';
    const { text } = await harness.ask(query);
    await explain(harness, 'trace', query);
    await explain(harness, 'plan', query);
    assert.equal((await harness.ask(query)).text, text);
    assert.equal(text, '{"data":{"customer":{"id":"cst_0123456789abcdef","objectReferenceId":"u7"}}}');
  }));

test('a token of the gateway without the scope MUST still read', () =>
  withHarness(async (harness) => {
    const answer = await askAs(harness, { scope: 'customer:read customer:any' }, '{ customer(id: "u7") { id } }');
    assert.deepEqual(answer.data, { customer: { id: 'cst_0123456789abcdef' } });
  }, jwtSettings));
