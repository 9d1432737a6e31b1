import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { codesOf, startRaw, withHarness } from '../support.ts';

const asha = 'cth_A1b2C3d4E5f6G7h8';
const ashaPath = '/customers/asha.rao%40example.com';
const option = '?options.get_client_auth_token=true';

interface Scenario {
  readonly name: string;
  readonly operation: string;
  readonly variables?: object;
  readonly upstream: readonly string[];
  readonly data: object;
  readonly codes?: object;
}

/** Operations with the expected upstream calls and the expected response. */
const scenarios: readonly Scenario[] = [
  {
    name: 'a customer MUST be read by its id with one call',
    operation: `{ customer(id: "${asha}") { id objectReferenceId firstName lastName emailAddress mobileNumber mobileCountryCode dateCreated lastUpdated } }`,
    upstream: [`GET /customers/${asha}`],
    data: {
      customer: {
        id: asha,
        objectReferenceId: 'asha.rao@example.com',
        firstName: 'Asha',
        lastName: 'Rao',
        emailAddress: 'asha.rao@example.com',
        mobileNumber: '9000000001',
        mobileCountryCode: '91',
        dateCreated: '2024-05-01T10:00:00Z',
        lastUpdated: '2024-05-01T10:00:00Z',
      },
    },
  },
  {
    name: 'a reference MUST be percent-encoded into one segment of the path',
    operation: '{ customer(id: "+919000000003") { firstName lastName } }',
    upstream: ['GET /customers/%2B919000000003'],
    data: { customer: { firstName: 'Mei Ling', lastName: null } },
  },
  {
    name: 'an unknown customer MUST be null, without an error',
    operation: '{ customer(id: "nobody") { id } }',
    upstream: ['GET /customers/nobody'],
    data: { customer: null },
  },
  {
    name: 'customerByReference MUST be null if only the id matches',
    operation: `{ customerByReference(objectReferenceId: "${asha}") { id } }`,
    upstream: [`GET /customers/${asha}`],
    data: { customerByReference: null },
  },
  {
    name: '50 aliases of one customer, half of them with the token, MUST cost one call',
    operation: `{ ${Array.from({ length: 50 }, (_, n) => `a${n}: customer(id: "u7") { id ${n % 2 ? 'clientAuthToken { __typename }' : ''} }`).join(' ')} }`,
    upstream: [`GET /customers/u7${option}`],
    data: Object.fromEntries(
      Array.from({ length: 50 }, (_, n) => [
        `a${n}`,
        { id: 'cst_0123456789abcdef', ...(n % 2 && { clientAuthToken: { __typename: 'ClientAuthToken' } }) },
      ]),
    ),
  },
  {
    name: 'a skipped token MUST NOT be requested',
    operation:
      'query ($no: Boolean! = false) { customer(id: "u7") { id clientAuthToken @include(if: $no) { token } ...f } } fragment f on Customer { x: clientAuthToken @skip(if: true) { token } }',
    upstream: ['GET /customers/u7'],
    data: { customer: { id: 'cst_0123456789abcdef' } },
  },
  {
    name: 'customers MUST return the order of the ids, null for an unknown one, and read each customer once',
    operation: '{ customers(ids: ["u7", "nobody", "u7", "customer-10002"]) { id } }',
    upstream: ['GET /customers/u7', 'GET /customers/nobody', 'GET /customers/customer-10002'],
    data: {
      customers: [{ id: 'cst_0123456789abcdef' }, null, { id: 'cst_0123456789abcdef' }, { id: 'cth_B2c3D4e5F6g7H8i9' }],
    },
  },
  {
    name: 'a failing customer MUST NOT fail the other customers',
    operation: '{ customers(ids: ["u7", "fault_rejected"]) { id } }',
    upstream: ['GET /customers/u7', 'GET /customers/fault_rejected'],
    data: { customers: [{ id: 'cst_0123456789abcdef' }, null] },
    codes: { 'customers.1': 'UPSTREAM_REJECTED' },
  },
  {
    name: 'an invalid id MUST be rejected without a call',
    operation:
      '{ a: customer(id: "..") { id } b: customer(id: " ") { id } c: customer(id: "a\\nb") { id } d: customer(id: "u7") { id } }',
    upstream: ['GET /customers/u7'],
    data: { a: null, b: null, c: null, d: { id: 'cst_0123456789abcdef' } },
    codes: { a: 'BAD_USER_INPUT', b: 'BAD_USER_INPUT', c: 'BAD_USER_INPUT' },
  },
  {
    name: 'more than 100 ids MUST be rejected without a call',
    operation: 'query ($ids: [ID!]!) { customers(ids: $ids) { id } }',
    variables: { ids: Array.from({ length: 101 }, (_, n) => `id-${n}`) },
    upstream: [],
    data: { customers: null },
    codes: { customers: 'BAD_USER_INPUT' },
  },
  {
    name: 'if the provider returns no token, the field MUST be null with a code and the customer MUST be returned',
    operation: '{ customer(id: "fault_no_token") { objectReferenceId clientAuthToken { token } } }',
    upstream: [`GET /customers/fault_no_token${option}`],
    data: { customer: { objectReferenceId: 'fault_no_token', clientAuthToken: null } },
    codes: { 'customer.clientAuthToken': 'CLIENT_AUTH_TOKEN_UNAVAILABLE' },
  },
  {
    name: 'an invalid optional value in an upstream response MUST become null, not an error',
    operation:
      '{ a: customer(id: "fault_bad_dates") { dateCreated lastUpdated } b: customer(id: "fault_wrong_types") { firstName lastName emailAddress mobileNumber } c: customer(id: "fault_extra_fields") { objectReferenceId } }',
    upstream: [
      'GET /customers/fault_bad_dates',
      'GET /customers/fault_wrong_types',
      'GET /customers/fault_extra_fields',
    ],
    data: {
      a: { dateCreated: null, lastUpdated: null },
      b: { firstName: null, lastName: '7', emailAddress: null, mobileNumber: '9000000001' },
      c: { objectReferenceId: 'fault_extra_fields' },
    },
  },
];

for (const { name, operation, variables, upstream, data, codes = {} } of scenarios) {
  test(name, () =>
    withHarness(async (harness) => {
      const answer = await harness.ask(operation, variables);
      assert.deepEqual(answer.data, data);
      assert.deepEqual(codesOf(answer), codes);
      assert.deepEqual(harness.upstream(), upstream);
      assert.equal(answer.status, 200);
    }),
  );
}

for (const dialect of ['real', 'seed', 'both'] as const) {
  for (const dates of ['utc', 'offset', 'micros'] as const) {
    test(`the ${dialect} dialect with ${dates} dates MUST be decoded to the same customer`, () =>
      withHarness(
        async (harness) => {
          const { data } = await harness.ask('{ customer(id: "u7") { id dateCreated lastUpdated } }');
          const at = dates === 'micros' ? '2024-05-01T10:00:00.123Z' : '2024-05-01T10:00:00Z';
          assert.deepEqual(data, { customer: { id: 'cst_0123456789abcdef', dateCreated: at, lastUpdated: at } });
        },
        {},
        { dialect, dates },
      ));
  }
}

test('upstream calls MUST have the key, the merchant and the routing id, and no headers of the caller', () =>
  withHarness(
    async (harness) => {
      await harness.fetch({
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          cookie: 'a=b',
          'x-merchantid': 'evil',
          authorization: 'Bearer x',
          traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        },
        body: JSON.stringify({ query: '{ customer(id: "asha.rao@example.com") { id } }' }),
      });
      const { headers, target } = harness.sandbox.calls[0] ?? assert.fail('no call');
      assert.equal(target, ashaPath);
      assert.deepEqual(
        { ...headers },
        {
          host: harness.sandbox.url.replace('http://', ''),
          connection: 'keep-alive',
          accept: 'application/json',
          authorization: `Basic ${Buffer.from(`${harness.sandbox.apiKey}:`).toString('base64')}`,
          version: '2023-06-30',
          'x-merchantid': harness.sandbox.merchantId,
          'x-routing-id': 'asha.rao%40example.com',
        },
      );
    },
    { JUSPAY_VERSION: '2023-06-30' },
  ));

test('concurrent operations MUST share a read without the token, and MUST NOT share a read with the token', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: 'slow', delayMs: 300 });
    await Promise.all(Array.from({ length: 20 }, () => harness.ask('{ customer(id: "u7") { id } }')));
    assert.deepEqual(harness.upstream(), ['GET /customers/u7']);
    harness.sandbox.clearCalls();
    await Promise.all(
      Array.from({ length: 3 }, () => harness.ask('{ customer(id: "u7") { clientAuthToken { token } } }')),
    );
    assert.equal(harness.upstream().length, 3);
  }));

test('a shared read MUST continue until the latest deadline of its waiters', async () => {
  const called = Promise.withResolvers<Socket>();
  let calls = 0;
  const provider = await startRaw((socket) => {
    calls += 1;
    called.resolve(socket);
  });
  const scenario = withHarness(
    async (harness) => {
      const shortRead = harness.fetch({
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-request-timeout-ms': '1000' },
        body: JSON.stringify({ query: '{ customer(id: "u7") { id } }' }),
      });
      const socket = await called.promise;
      const longRead = harness.ask('{ customer(id: "u7") { id } }');
      assert.deepEqual(codesOf(await shortRead), { customer: 'UPSTREAM_TIMEOUT' });
      const body = '{"id":"cst_1","object_reference_id":"u7"}';
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      assert.deepEqual((await longRead).data, { customer: { id: 'cst_1' } });
      assert.equal(calls, 1);
    },
    {},
    { provider: { baseUrl: provider.url } },
  );
  await scenario.finally(provider.close);
});

test('a shared read MUST wait for a connection until its latest deadline, and a read that was not sent MUST NOT count as an attempt', () =>
  withHarness(
    async (harness) => {
      const within = async (ms: number, ids: string[]) => {
        const answer = await harness.fetch({
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-request-timeout-ms': String(ms) },
          body: JSON.stringify({ query: `{ customers(ids: ${JSON.stringify(ids)}) { id } }` }),
        });
        return new Set(Object.values(codesOf(answer)));
      };
      harness.sandbox.arm({ fault: 'timeout', on: 'get' });
      // `busy` gets the only connection, so `u7` waits for it.
      const shortRead = within(400, ['busy', 'u7']);
      await harness.sandbox.whenCalled(({ route }) => route === 'get');
      const disconnected = new AbortController();
      const busy = harness.ask('{ customer(id: "busy") { id } }', {}, disconnected.signal).catch(() => undefined);
      const longRead = harness.ask('{ customer(id: "u7") { objectReferenceId } }');
      const later = within(700, ['u7']);
      for (const codes of [await shortRead, await later]) assert.deepEqual(codes, new Set(['UPSTREAM_TIMEOUT']));
      disconnected.abort();
      await busy;
      assert.deepEqual((await longRead).data, { customer: { objectReferenceId: 'u7' } });
      assert.deepEqual(harness.upstream(), ['GET /customers/busy', 'GET /customers/u7']);
      const attempts = harness.log.filter((line) => line.includes('"message":"upstream call'));
      assert.deepEqual(
        attempts.map((line) => /"attempt":\d+/.exec(line)?.[0]),
        ['"attempt":1', '"attempt":1'],
      );
    },
    { JUSPAY_CONNECTIONS: '1' },
  ));

test('a shared read in backoff MUST fail at once with RATE_LIMITED for each waiter with an earlier deadline', () =>
  withHarness(async (harness) => {
    const within = (ms: number) =>
      harness.fetch({
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-request-timeout-ms': String(ms) },
        body: JSON.stringify({ query: '{ customer(id: "u7") { id } }' }),
      });
    harness.sandbox.arm({ fault: '429', on: 'get', retryAfter: '2' });
    const [early, longRead] = [within(1_900), harness.ask('{ customer(id: "u7") { id } }')];
    const startedAtMs = performance.now();
    const { code, retryAfterSeconds } = (await early).errors?.[0]?.extensions ?? {};
    assert.deepEqual([code, retryAfterSeconds], ['RATE_LIMITED', 2]);
    // This read joins during the backoff.
    assert.deepEqual(codesOf(await within(500)), { customer: 'RATE_LIMITED' });
    assert.ok(performance.now() - startedAtMs < 1_000);
    assert.deepEqual((await longRead).data, { customer: { id: 'cst_0123456789abcdef' } });
    assert.deepEqual(harness.upstream(), ['GET /customers/u7', 'GET /customers/u7']);
  }));

test('a read that starts after the response of a write MUST NOT get an earlier response', () =>
  withHarness(async (harness) => {
    // The read uses the other identifier than the write, and is in flight when the write ends.
    harness.sandbox.arm({ fault: 'slow', on: 'get', delayMs: 400 });
    const early = harness.ask('{ customer(id: "cst_0123456789abcdef") { firstName } }');
    await harness.sandbox.whenCalled(({ route }) => route === 'get');
    await harness.ask('mutation { updateCustomer(id: "u7", input: { firstName: "New" }) { __typename } }');
    const late = await harness.ask('{ customer(id: "cst_0123456789abcdef") { firstName } }');
    assert.deepEqual(late.data, { customer: { firstName: 'New' } });
    await early;
    assert.equal(harness.upstream().filter((call) => call.startsWith('GET')).length, 2);
  }));

test('the upstream call MUST be aborted when its last waiter disconnects, and not earlier', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: 'timeout', on: 'get' });
    const [first, second] = [new AbortController(), new AbortController()];
    const answers = [first, second].map(({ signal }) =>
      harness.ask('{ customer(id: "u7") { id } }', {}, signal).catch(() => undefined),
    );
    const call = await harness.sandbox.whenCalled(({ route }) => route === 'get');
    first.abort();
    await answers[0];
    assert.equal(call.abandoned, false);
    second.abort();
    await answers[1];
    await call.closed;
    assert.equal(call.abandoned, true);
    assert.deepEqual(harness.upstream(), ['GET /customers/u7']);
  }));

test('only the reads above LIMIT_UPSTREAM_READS MUST fail, in document order', () =>
  withHarness(
    async (harness) => {
      const answer = await harness.ask(
        '{ a: customer(id: "u7") { id } b: customer(id: "x-1") { id } c: customer(id: "x-2") { id } d: customer(id: "u7") { id } }',
      );
      assert.deepEqual(codesOf(answer), { c: 'OPERATION_TOO_COMPLEX' });
      assert.deepEqual(harness.upstream(), ['GET /customers/u7', 'GET /customers/x-1']);
    },
    { LIMIT_UPSTREAM_READS: '2' },
  ));

test('an invalid id MUST NOT count against LIMIT_UPSTREAM_READS', () =>
  withHarness(
    async (harness) => {
      const answer = await harness.ask('{ a: customer(id: "..") { id } b: customer(id: "u7") { id } }');
      assert.deepEqual(codesOf(answer), { a: 'BAD_USER_INPUT' });
      assert.deepEqual(harness.upstream(), ['GET /customers/u7']);
    },
    { LIMIT_UPSTREAM_READS: '1' },
  ));

test('JUSPAY_CONNECTIONS MUST limit the number of concurrent calls', () =>
  withHarness(
    async (harness) => {
      harness.sandbox.arm({ fault: 'slow', times: 4, delayMs: 50 });
      const answer = harness.ask('{ customers(ids: ["a-1", "a-2", "a-3", "a-4"]) { id } }');
      await harness.sandbox.whenCalled(({ number }) => number === 3);
      // The third call starts only after one of the first two has its response.
      assert.ok(harness.sandbox.calls.slice(0, 2).some(({ status }) => status !== 0));
      const { data } = await answer;
      assert.deepEqual(data, { customers: [null, null, null, null] });
    },
    { JUSPAY_CONNECTIONS: '2' },
  ));
