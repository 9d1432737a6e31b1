import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createOverload } from '../../src/http/overload.ts';
import { start } from '../program.ts';
import { createOperation, newCustomer } from '../support.ts';

/** Runs the program with a provider whose responses the test releases. */
async function startProgram() {
  const waiting: (() => void)[] = [];
  const calls: string[] = [];
  let isHolding = true;
  const provider = createServer((request, response) => {
    calls.push(`${request.method} ${request.url}`);
    response.setHeader('content-type', 'application/json');
    const reference = request.url?.split('/').at(-1);
    const answer = () => response.end(JSON.stringify({ id: 'cth_1', object_reference_id: reference }));
    if (isHolding) waiting.push(answer);
    else answer();
  }).listen(0, '127.0.0.1');
  await once(provider, 'listening');
  const run = start([], {
    PORT: '0',
    AUTH_MODE: 'none',
    JUSPAY_API_KEY: 'key',
    JUSPAY_MERCHANT_ID: 'merchant',
    JUSPAY_BASE_URL: `http://127.0.0.1:${(provider.address() as AddressInfo).port}`,
    JUSPAY_CONNECTIONS: '4',
    // Long enough for a slow machine to send all requests.
    JUSPAY_TIMEOUT_MS: '300000',
    OPERATION_TIMEOUT_MS: '300000',
    METRICS_PORT: '0',
  });
  const [line] = await run.waitFor(/^.*"metricsUrl".*\n/m);
  const { url, metricsUrl } = JSON.parse(line) as { url: string; metricsUrl: string };
  return {
    url,
    calls,
    /** Number of requests without a response. */
    async inFlight(): Promise<number> {
      const text = await (await fetch(metricsUrl)).text();
      return Number(/^customer_gateway_in_flight (\d+)$/m.exec(text)?.[1]);
    },
    release() {
      isHolding = false;
      for (const answer of waiting) answer();
    },
    async stop(): Promise<unknown> {
      run.child.kill('SIGTERM');
      const code = await run.exit;
      provider.closeAllConnections();
      provider.close();
      return code;
    },
  };
}

async function sendUntilTaken(send: () => Promise<Response>): Promise<number> {
  let { status } = await send();
  while (status === 503) ({ status } = await send());
  return status;
}

test('operations beyond the concurrency limit MUST be shed before execution, and in-flight ones MUST get a response', async () => {
  const program = await startProgram();
  try {
    const send = (body: object, signal?: AbortSignal) =>
      fetch(`${program.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        ...(signal && { signal }),
      });
    const readOf = (id: string) => ({ query: `{ customer(id: "${id}") { objectReferenceId } }` });
    const read = readOf('u7');
    const statuses: number[] = [];
    const client = new AbortController();
    const ask = async (signal?: AbortSignal) => {
      const response = await send(read, signal);
      statuses.push(response.status);
      return { status: response.status, text: await response.text() };
    };
    const answers: Promise<{ status: number; text: string } | undefined>[] = [];
    // Event loop lag lowers the limit for a while. Send until the full limit is reached and 100 more are refused.
    let inFlight = 0;
    while (inFlight < 1_000 || statuses.length < 100) {
      for (let n = 0; n < 50; n += 1) {
        answers.push(ask(answers.length < 50 ? client.signal : undefined).catch(() => undefined));
      }
      // Slow senders are disconnected, so do not send faster than the gateway accepts. Requests above the limit are in flight until they
      // are refused.
      do inFlight = await program.inFlight();
      while (inFlight > 1_000 || inFlight !== answers.length - statuses.length);
    }
    assert.equal(inFlight, 1_000);
    // All responses so far are refusals. The other operations wait for the provider.
    assert.deepEqual(new Set(statuses), new Set([503]));
    assert.equal(program.calls.length, 1);

    const refused = await send({ query: createOperation, variables: { input: newCustomer('reference-1') } });
    assert.equal(refused.status, 503);
    assert.equal(refused.headers.get('retry-after'), '1');
    const { errors } = (await refused.json()) as { errors: { extensions: object }[] };
    const { requestId, ...extensions } = { requestId: undefined, ...errors[0]?.extensions };
    assert.deepEqual(extensions, { code: 'OVERLOADED', retryable: true, retryAfterSeconds: 1 });
    assert.equal(requestId, refused.headers.get('x-request-id'));
    for (const path of ['/health', '/ready']) assert.equal((await fetch(`${program.url}${path}`)).status, 200);
    assert.equal(program.calls.length, 1);

    // A disconnected client frees its slot.
    client.abort();
    const late = sendUntilTaken(() => send(readOf('u8')));
    while (program.calls.length === 1) await delay(10);
    program.release();
    const bodies = new Map<string, number>();
    for (const result of await Promise.all(answers)) {
      if (result === undefined) continue;
      const key = result.status === 200 ? result.text : String(result.status);
      bodies.set(key, (bodies.get(key) ?? 0) + 1);
    }
    const answered = bodies.get('{"data":{"customer":{"objectReferenceId":"u7"}}}') ?? 0;
    const refusals = bodies.get('503') ?? 0;
    assert.equal(bodies.size, 2);
    assert.equal(answered, 950);
    assert.equal(refusals, answers.length - 1_000);
    assert.equal(await late, 200);
    assert.equal((await send(read)).status, 200);
    assert.ok(program.calls.every((call) => call.startsWith('GET')));
  } finally {
    assert.equal(await program.stop(), 0);
  }
});

test('each merchant MUST have its own limit of 32 operations for each connection, at least 1,000', async (context) => {
  for (const [connections, most] of [
    [1, 1_000],
    [64, 2_048],
  ] as const) {
    const overload = createOverload({ connections });
    context.after(overload.dispose);
    const slots = overload.slotsOf('a');
    for (let n = 0; n < most; n += 1) slots.acquire();
    assert.throws(() => slots.acquire(), { code: 'OVERLOADED', status: 503 });
    overload.slotsOf('b').acquire();
    // A refused operation has no slot.
    for (let n = 0; n < most; n += 1) slots.release();
    for (let n = 0; n < most; n += 1) slots.acquire();
    assert.throws(() => overload.slotsOf('a').acquire(), { code: 'OVERLOADED' });
  }
});

test('event loop lag MUST lower the limit until it ends', async (context) => {
  const overload = createOverload({ connections: 4 });
  context.after(overload.dispose);
  const taken = () => {
    const slots = overload.slotsOf('a');
    let count = 0;
    try {
      for (; count < 2_000; count += 1) slots.acquire();
    } catch {
      for (let n = 0; n < count; n += 1) slots.release();
    }
    return count;
  };
  assert.equal(taken(), 1_000);
  const untilMs = performance.now() + 800;
  while (performance.now() < untilMs);
  // The next check measures the lag.
  await delay(20);
  assert.equal(taken(), 500);
  await delay(20);
  // Retry, because a slow machine can have real lag.
  while (taken() < 1_000) await delay(50);
});
