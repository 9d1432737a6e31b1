import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { startMetricsServer } from '../../src/http/server.ts';
import { bearer, codesOf, type Harness, jwtSettings, withHarness } from '../support.ts';

/** Unhandled rejections in this file. A single one ends the process of the gateway. */
const unhandled: unknown[] = [];
const note = (reason: unknown) => unhandled.push(reason);
process.on('unhandledRejection', note);
after(() => process.off('unhandledRejection', note));

/** Node reports unhandled rejections after the microtasks. */
async function assertHandled(): Promise<void> {
  for (let turns = 0; turns < 3; turns += 1) await turn();
  assert.deepEqual(unhandled.splice(0), []);
}

const twice =
  '{ a: customer(id: "asha.rao@example.com") { clientAuthToken { token } } b: customer(id: "asha.rao@example.com") { clientAuthToken { token } } }';

function askBound(
  harness: Harness,
  query: string,
  more: { headers?: Record<string, string>; signal?: AbortSignal } = {},
) {
  const token = bearer({ customer: 'u7', scope: 'customer:read customer:token' });
  return harness.fetch({
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...more.headers },
    body: JSON.stringify({ query }),
    ...(more.signal && { signal: more.signal }),
  });
}

test('a denied token that is selected twice MUST be the only failed field after the deadline', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: 'timeout', times: 20 });
    const answer = await askBound(harness, twice, { headers: { 'x-request-timeout-ms': '1' } });
    assert.deepEqual(codesOf(answer), { a: 'UPSTREAM_TIMEOUT', b: 'UPSTREAM_TIMEOUT' });
    await assertHandled();
  }, jwtSettings));

test('a denied token that is selected twice MUST be the only failed field in an outage', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: '501', times: 20 });
    const answer = await askBound(harness, twice);
    assert.deepEqual(codesOf(answer), { a: 'UPSTREAM_UNAVAILABLE', b: 'UPSTREAM_UNAVAILABLE' });
    assert.deepEqual(harness.upstream(), ['GET /customers/asha.rao%40example.com']);
    await assertHandled();
  }, jwtSettings));

test('a denied token that is selected twice MUST NOT cause an unhandled rejection when the client disconnects', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: 'timeout', times: 20 });
    const controller = new AbortController();
    const answer = askBound(harness, twice, { signal: controller.signal }).catch((error: unknown) => error);
    const call = await harness.sandbox.whenCalled(({ route }) => route === 'get');
    controller.abort();
    await answer;
    await call.closed;
    await assertHandled();
  }, jwtSettings));

test('metrics that cannot be collected MUST be a 500 without an unhandled rejection', async () => {
  const read = () => Promise.reject(new Error('a collector failed'));
  const server = await startMetricsServer({ contentType: 'text/plain', read }, { host: '127.0.0.1', port: 0 });
  try {
    assert.equal((await fetch(`${server.url}/metrics`)).status, 500);
    assert.equal((await fetch(`${server.url}/other`)).status, 404);
    await assertHandled();
  } finally {
    await server.close();
  }
});
