import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Metrics } from '../../src/telemetry/log.ts';
import { createOperation, type Harness, newCustomer, resultOf, updateOperation, withHarness } from '../support.ts';

const ignore = () => undefined;
/** Metrics with methods that throw: a fault of the gateway at a known place. */
const metricsWith = (faulty: Partial<Metrics>): Metrics => ({
  operation: ignore,
  inFlight: ignore,
  write: ignore,
  attempt: ignore,
  queued: ignore,
  merchantOpened: ignore,
  merchantRemoved: ignore,
  breaker: ignore,
  watchedFile: ignore,
  configChanged: ignore,
  auditFailed: ignore,
  idempotentReplay: ignore,
  logLinesDropped: ignore,
  credentialRefused: ignore,
  keySetFailing: ignore,
  rateLimitFallback: ignore,
  idempotencyFallback: ignore,
  ...faulty,
});
const fail = () => {
  throw new TypeError('a fault of the gateway');
};
const routes = (harness: Harness) => harness.sandbox.calls.map(({ route }) => route);

const writes = {
  createCustomer: (harness: Harness) => harness.ask(createOperation, { input: newCustomer('reference-1') }),
  updateCustomer: (harness: Harness) => harness.ask(updateOperation, { id: 'u7', input: { firstName: 'A' } }),
};

function unexpectedLines(harness: Harness) {
  const lines = harness.log.map((line) => JSON.parse(line) as Record<string, unknown>);
  return lines
    .filter(({ message }) => message === 'unexpected error')
    .map(({ level, requestId, cause }) => [level, requestId, (cause as { name: string }).name]);
}

for (const [field, write] of Object.entries(writes) as [keyof typeof writes, (typeof writes)['createCustomer']][]) {
  const route = field === 'createCustomer' ? 'create' : 'update';

  test(`an unexpected error after the response to a write MUST be settled by a read, and MUST be logged once: ${field}`, () =>
    withHarness(
      async (harness) => {
        const answer = await write(harness);
        const success = field === 'createCustomer' ? 'CreateCustomerSuccess' : 'UpdateCustomerSuccess';
        assert.deepEqual([resultOf(answer, field)['__typename'], answer.errors], [success, undefined]);
        assert.deepEqual(routes(harness), [route, 'get']);
        assert.deepEqual(unexpectedLines(harness), [['error', answer.headers.get('x-request-id'), 'TypeError']]);
      },
      {},
      { metrics: metricsWith({ attempt: ({ call }) => (call === 'get' ? undefined : fail()) }) },
    ));

  test(`unexpected errors after a write and in the read after it MUST be the unknown outcome: ${field}`, () =>
    withHarness(
      async (harness) => {
        const answer = await write(harness);
        const { code, requestId } = resultOf(answer, field);
        assert.deepEqual([code, answer.errors], ['OUTCOME_UNKNOWN', undefined]);
        assert.deepEqual(routes(harness), [route, 'get']);
        const line = ['error', requestId, 'TypeError'];
        assert.deepEqual(unexpectedLines(harness), [line, line]);
      },
      {},
      { metrics: metricsWith({ attempt: fail }) },
    ));

  test(`an unexpected error before a write is sent MUST be INTERNAL_SERVER_ERROR, and MUST be logged once: ${field}`, () =>
    withHarness(
      async (harness) => {
        const answer = await write(harness);
        assert.deepEqual(answer.data, { [field]: null });
        const extensions = answer.errors?.[0]?.extensions;
        assert.deepEqual([answer.errors?.length, extensions?.['code']], [1, 'INTERNAL_SERVER_ERROR']);
        assert.deepEqual(routes(harness), []);
        assert.deepEqual(unexpectedLines(harness), [['error', extensions?.['requestId'], 'TypeError']]);
      },
      {},
      { provider: { baseUrl: () => Promise.reject(new TypeError('no address')) } },
    ));

  test(`a fault in the audit of a write MUST be logged, and MUST NOT change its result: ${field}`, () =>
    withHarness(
      async (harness) => {
        const answer = await write(harness);
        const success = field === 'createCustomer' ? 'CreateCustomerSuccess' : 'UpdateCustomerSuccess';
        assert.deepEqual([resultOf(answer, field)['__typename'], answer.errors], [success, undefined]);
        assert.deepEqual(routes(harness), [route]);
        assert.equal(harness.log.filter((line) => line.includes('"message":"audit"')).length, 1);
        assert.deepEqual(unexpectedLines(harness), [['error', answer.headers.get('x-request-id'), 'TypeError']]);
      },
      {},
      { metrics: metricsWith({ write: fail }) },
    ));

  test(`a fault in the report of an operation MUST be logged, and MUST NOT change the result of its write: ${field}`, () =>
    withHarness(
      async (harness) => {
        const answer = await write(harness);
        const success = field === 'createCustomer' ? 'CreateCustomerSuccess' : 'UpdateCustomerSuccess';
        assert.deepEqual([resultOf(answer, field)['__typename'], answer.errors], [success, undefined]);
        assert.deepEqual(unexpectedLines(harness), [['error', answer.headers.get('x-request-id'), 'TypeError']]);
      },
      {},
      { metrics: metricsWith({ operation: fail }) },
    ));
}

test('a create behind one with an unexpected error after its POST MUST read before it sends a POST', () => {
  // Two for the POST and two for the read: the response is counted, then the error.
  let faults = 4;
  return withHarness(
    async (harness) => {
      const [first, second] = await Promise.all([writes.createCustomer(harness), writes.createCustomer(harness)]);
      assert.equal(resultOf(first, 'createCustomer')['code'], 'OUTCOME_UNKNOWN');
      assert.equal(resultOf(second, 'createCustomer')['code'], 'ALREADY_EXISTS');
      assert.deepEqual(routes(harness), ['create', 'get', 'get']);
    },
    {},
    { metrics: metricsWith({ attempt: () => (faults-- > 0 ? fail() : undefined) }) },
  );
});
