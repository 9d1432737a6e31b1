import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { openGateway } from '../../src/gateway.ts';
import type { FaultName } from '../../src/sandbox/faults.ts';
import { startSandbox } from '../../src/sandbox/server.ts';
import { createLog } from '../../src/telemetry/log.ts';
import {
  bearer,
  codesOf,
  createOperation,
  type Harness,
  jwtSettings,
  newCustomer,
  nowhere,
  resultOf,
  updateOperation,
  withHarness,
} from '../support.ts';

/** Outages and recovery of the provider. These tests wait the 5 s of an open breaker in real time, so they run in parallel. */
const tests = { concurrency: 8 };

const read = 'query ($id: ID!) { customer(id: $id) { objectReferenceId } }';
const isGet = (call: string) => call.startsWith('GET');
const isPost = (call: string) => call.startsWith('POST');
const changes = (harness: Harness) => harness.log.filter((line) => line.includes('circuit breaker'));

/** Reads different customers one after the other. Returns the error codes, or `ok`. */
async function readInTurn(harness: Harness, count: number, prefix = 'r'): Promise<unknown[]> {
  const codes: unknown[] = [];
  for (let n = 0; n < count; n += 1) {
    codes.push(codesOf(await harness.ask(read, { id: `${prefix}-${n}` }))['customer'] ?? 'ok');
  }
  return codes;
}

/** Opens the breaker of reads. A 501 is not repeated, so each read is one call. */
async function openReads(harness: Harness): Promise<void> {
  harness.sandbox.arm({ fault: '501', on: 'get', times: 999 });
  await readInTurn(harness, 20);
  assert.equal(changes(harness).length, 1);
  harness.sandbox.disarm();
  harness.sandbox.clearCalls();
}

/** Calls `ask` until the provider receives a call. Returns the elapsed ms. */
async function untilCalled(harness: Harness, ask: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  while (harness.sandbox.calls.length === 0) {
    await ask();
    await delay(20);
  }
  return performance.now() - startedAtMs;
}

test('an outage', tests, async (outage) => {
  await Promise.all([
    outage.test('after 20 failed calls, reads MUST fail at once without a call, and writes MUST go on', () =>
      withHarness(async (harness) => {
        harness.sandbox.arm({ fault: '503', on: 'get', times: 999 });
        const codes = await readInTurn(harness, 40);
        assert.deepEqual(new Set(codes), new Set(['UPSTREAM_UNAVAILABLE']));
        assert.equal(harness.sandbox.calls.length, 20);
        const startedAtMs = performance.now();
        const answer = await harness.ask(read, { id: 'u7' });
        assert.ok(performance.now() - startedAtMs < 100);
        const { requestId, ...extensions } = answer.errors?.[0]?.extensions ?? {};
        assert.deepEqual(extensions, { code: 'UPSTREAM_UNAVAILABLE', retryable: true });
        assert.equal(answer.status, 200);
        assert.ok(harness.log.some((line) => line.includes(String(requestId))));
        const created = await harness.ask(createOperation, { input: newCustomer('reference-1') });
        assert.equal(resultOf(created, 'createCustomer')['origin'], 'CREATED');
        const [opened, ...more] = changes(harness);
        assert.deepEqual(more, []);
        assert.match(opened ?? '', /"level":"warn".*"method":"GET".*"message":"circuit breaker opened"/);
      }),
    ),

    outage.test('the breaker MUST open when half of at least 20 calls failed, and not before', () =>
      withHarness(async (harness) => {
        await readInTurn(harness, 11, 'well');
        harness.sandbox.arm({ fault: '501', on: 'get', times: 999 });
        await readInTurn(harness, 40);
        assert.equal(harness.sandbox.calls.length, 22);
      }),
    ),

    ...(
      ['unauthorized', 'forbidden', 'wrong_route', 'rejected', '429', 'reset', 'truncated', 'html', 'redirect'] as const
    ).map((fault: FaultName) =>
      outage.test(`${fault} MUST NOT open the breaker, however often it occurs`, () =>
        withHarness(
          async (harness) => {
            harness.sandbox.arm({ fault, times: 999, retryAfter: '' });
            await readInTurn(harness, 25);
            for (let n = 0; n < 25; n += 1) {
              await harness.ask(updateOperation, { id: `u-${n}`, input: { firstName: 'A' } });
            }
            const calls = harness.upstream();
            assert.ok(calls.filter(isGet).length >= 25);
            assert.ok(calls.filter(isPost).length >= 25);
            assert.deepEqual(changes(harness), []);
          },
          { OPERATION_TIMEOUT_MS: '400' },
        ),
      ),
    ),

    outage.test('timeouts of an attempt or of a whole operation MUST open the breaker', async () => {
      const settings = [
        { JUSPAY_TIMEOUT_MS: '100' },
        // The operation's timeout also bounds each attempt.
        { OPERATION_TIMEOUT_MS: '100' },
      ];
      for (const environment of settings) {
        await withHarness(async (harness) => {
          harness.sandbox.arm({ fault: 'timeout', times: 999 });
          // Repeat until it opens: timeouts under event loop lag do not count.
          for (let n = 0; n < 60 && changes(harness).length === 0; n += 1) await readInTurn(harness, 1, `r${n}`);
          assert.equal(changes(harness).length, 1);
          harness.sandbox.clearCalls();
          assert.deepEqual(await readInTurn(harness, 3), Array(3).fill('UPSTREAM_UNAVAILABLE'));
          assert.deepEqual(harness.upstream(), []);
        }, environment);
      }
    }),

    outage.test('timeouts of callers with short deadlines MUST NOT open the breaker', () =>
      withHarness(async (harness) => {
        harness.sandbox.arm({ fault: 'timeout', times: 999 });
        // Repeat until there are enough calls: on a slow machine some operations time out before a call is sent.
        for (let n = 0; n < 60 && harness.sandbox.calls.length < 60; n += 1) {
          const ids = Array.from({ length: 15 }, (_, id) => `r-${n}-${id}`);
          const answer = await harness.fetch({
            method: 'POST',
            headers: { 'content-type': 'application/json', 'x-request-timeout-ms': '400' },
            body: JSON.stringify({
              query: `query ($ids: [ID!]!) { customers(ids: $ids) { id ${n % 2 ? 'clientAuthToken { token }' : ''} } }`,
              variables: { ids },
            }),
          });
          assert.deepEqual(new Set(Object.values(codesOf(answer))), new Set(['UPSTREAM_TIMEOUT']));
        }
        assert.ok(harness.sandbox.calls.length >= 60);
        assert.deepEqual(changes(harness), []);
      }),
    ),

    outage.test(
      'a shared read MUST time out at the deadline of its last reader, even if a reader with a later deadline has left',
      () =>
        withHarness(
          async (harness) => {
            harness.sandbox.arm({ fault: 'timeout', times: 999 });
            // Repeat until it opens: timeouts under event loop lag do not count.
            for (let n = 0; n < 60 && changes(harness).length === 0; n += 1) {
              const next = harness.sandbox.calls.length + 1;
              const called = harness.sandbox.whenCalled(({ number }) => number === next);
              const controller = new AbortController();
              const longRead = harness.ask(read, { id: `r-${n}` }, controller.signal).catch(() => undefined);
              const shortRead = harness.fetch({
                method: 'POST',
                headers: { 'content-type': 'application/json', 'x-request-timeout-ms': '150' },
                body: JSON.stringify({ query: read, variables: { id: `r-${n}` } }),
              });
              // Both have joined when the call is sent.
              await called;
              controller.abort();
              await longRead;
              assert.deepEqual(codesOf(await shortRead), { customer: 'UPSTREAM_TIMEOUT' });
            }
            assert.equal(changes(harness).length, 1);
          },
          { JUSPAY_TIMEOUT_MS: '500' },
        ),
    ),

    outage.test('connections that cannot be opened MUST open the breaker, separately for reads and writes', () =>
      withHarness(
        async (harness) => {
          const attempts = (call: string) =>
            harness.log.filter((line) => line.includes('upstream call failed') && line.includes(`"call":"${call}"`))
              .length;
          for (let n = 0; n < 10; n += 1) {
            const created = await harness.ask(createOperation, { input: newCustomer(`reference-${n}`) });
            const result = resultOf(created, 'createCustomer');
            assert.deepEqual([result['code'], result['retryable']], ['UPSTREAM_UNAVAILABLE', true]);
          }
          assert.equal(attempts('create'), 20);
          assert.match(changes(harness).join(), /^[^\n]*"method":"POST"[^\n]*\n?$/);
          await readInTurn(harness, 20);
          assert.equal(attempts('get'), 20);
          assert.equal(changes(harness).length, 2);
        },
        {},
        { provider: { baseUrl: nowhere } },
      ),
    ),

    outage.test('calls that wait for a connection MUST NOT be sent after the breaker opens', () =>
      withHarness(
        async (harness) => {
          harness.sandbox.arm({ fault: '501', times: 999 });
          const ids = Array.from({ length: 100 }, (_, n) => `r-${n}`);
          const answer = await harness.ask('query ($ids: [ID!]!) { customers(ids: $ids) { id } }', { ids });
          assert.deepEqual(answer.data, { customers: ids.map(() => null) });
          assert.equal(Object.keys(codesOf(answer)).length, 5);
          assert.equal(harness.sandbox.calls.length, 20);
        },
        { JUSPAY_CONNECTIONS: '1' },
      ),
    ),

    outage.test('one call MUST be sent after 5 s, and all calls after its response, also after a refusal', () =>
      withHarness(async (harness) => {
        await openReads(harness);
        harness.sandbox.arm({ fault: '501', on: 'get' });
        const crowd = () => Promise.all(Array.from({ length: 20 }, (_, n) => harness.ask(read, { id: `c-${n}` })));
        const firstMs = await untilCalled(harness, crowd);
        assert.ok(firstMs > 4_500 && firstMs < 6_000, `${firstMs}`);
        assert.equal(harness.sandbox.calls.length, 1);
        harness.sandbox.clearCalls();
        harness.sandbox.arm({ fault: 'slow', on: 'get', delayMs: 200 });
        const secondMs = await untilCalled(harness, crowd);
        assert.ok(secondMs > 4_500 && secondMs < 6_000, `${secondMs}`);
        assert.deepEqual(await readInTurn(harness, 5), Array(5).fill('ok'));
        assert.equal(harness.sandbox.calls.length, 6);
        assert.deepEqual(
          changes(harness).map((line) => /"message":"([^"]*)"/.exec(line)?.[1]),
          ['circuit breaker opened', 'circuit breaker closed'],
        );
      }),
    ),

    ...(['rejected', 'unauthorized', '429'] as const).map((fault: FaultName) =>
      outage.test(`a probe with the response ${fault} MUST close the breaker: the host works`, () =>
        withHarness(async (harness) => {
          await openReads(harness);
          harness.sandbox.arm({ fault, on: 'get', ...(fault === '429' && { retryAfter: '30' }) });
          await untilCalled(harness, () => harness.ask(read, { id: 'u7' }));
          assert.equal(changes(harness).length, 2);
          const held = fault === '429' ? 'RATE_LIMITED' : 'ok';
          assert.deepEqual(await readInTurn(harness, 2), [held, held]);
        }),
      ),
    ),

    outage.test(
      'an open breaker MUST NOT hide Retry-After of the provider from callers whose deadline ends before it',
      () =>
        withHarness(async (harness) => {
          harness.sandbox.arm({ fault: '503', on: 'get', times: 999, retryAfter: '40' });
          const ids = Array.from({ length: 30 }, (_, n) => `r-${n}`);
          await harness.ask('query ($ids: [ID!]!) { customers(ids: $ids) { id } }', { ids });
          assert.equal(changes(harness).length, 1);
          harness.sandbox.clearCalls();
          const answer = await harness.ask(read, { id: 'u7' });
          const { code, retryAfterSeconds } = answer.errors?.[0]?.extensions ?? {};
          assert.equal(code, 'RATE_LIMITED');
          assert.ok(Number(retryAfterSeconds) > 30 && Number(retryAfterSeconds) <= 40);
          assert.deepEqual(harness.upstream(), []);
        }),
    ),

    outage.test('a probe whose caller disconnects MUST be followed by the next probe', () =>
      withHarness(async (harness) => {
        await openReads(harness);
        harness.sandbox.arm({ fault: 'timeout', on: 'get' });
        const controller = new AbortController();
        const called = harness.sandbox.whenCalled(({ route }) => route === 'get').then(() => controller.abort());
        await untilCalled(harness, () => harness.ask(read, { id: 'u7' }, controller.signal).catch(() => undefined));
        await called;
        assert.deepEqual(await readInTurn(harness, 3), ['ok', 'ok', 'ok']);
        assert.equal(changes(harness).length, 2);
      }),
    ),

    outage.test('a write that the breaker refuses MUST be a definite failure that is retryable', () =>
      withHarness(async (harness) => {
        harness.sandbox.arm({ fault: '501', on: 'update', times: 999 });
        for (let n = 0; n < 10; n += 1) await harness.ask(updateOperation, { id: 'u7', input: { firstName: 'A' } });
        assert.equal(changes(harness).length, 1);
        harness.sandbox.disarm();
        harness.sandbox.clearCalls();
        const created = await harness.ask(createOperation, { input: newCustomer('reference-1') });
        const updated = await harness.ask(updateOperation, { id: 'u7', input: { firstName: 'A' } });
        for (const result of [resultOf(created, 'createCustomer'), resultOf(updated, 'updateCustomer')]) {
          assert.equal(result['__typename'], 'CustomerUpstreamError');
          assert.deepEqual(
            [result['code'], result['retryable'], result['retryAfterSeconds']],
            ['UPSTREAM_UNAVAILABLE', true, null],
          );
        }
        assert.deepEqual(harness.upstream(), []);
        assert.deepEqual(await readInTurn(harness, 1), ['ok']);
      }),
    ),

    outage.test('an ambiguous write MUST wait for the probe and be settled, if its deadline allows', () =>
      withHarness(async (harness) => {
        await openReads(harness);
        harness.sandbox.arm({ fault: '500', on: 'create', afterCommit: true, times: 5 });
        harness.sandbox.arm({ fault: '500', on: 'update', afterCommit: true });
        // All of them check at the same time: one becomes the probe, and the others follow it.
        const answers = await Promise.all([
          ...Array.from({ length: 5 }, (_, n) =>
            harness.ask(createOperation, { input: newCustomer(`reference-${n}`) }),
          ),
          harness.ask(updateOperation, { id: 'u7', input: { firstName: 'New' } }),
        ]);
        const results = answers.map(({ data }) => Object.values(data ?? {})[0] as Record<string, unknown>);
        assert.deepEqual(
          results.map((result) => result['origin'] ?? result['__typename']),
          [...Array(5).fill('RECONCILED'), 'UpdateCustomerSuccess'],
        );
        assert.equal(harness.upstream().filter(isPost).length, 6);
        assert.equal(harness.upstream().filter(isGet).length, 6);
      }),
    ),

    outage.test('an ambiguous write that cannot be settled before its deadline MUST be OUTCOME_UNKNOWN at once', () =>
      withHarness(
        async (harness) => {
          await openReads(harness);
          harness.sandbox.arm({ fault: '500', on: 'create', afterCommit: true });
          harness.sandbox.arm({ fault: '500', on: 'update' });
          const startedAtMs = performance.now();
          const created = await harness.ask(createOperation, { input: newCustomer('reference-1') });
          const updated = await harness.ask(updateOperation, { id: 'u7', input: { firstName: 'New' } });
          assert.ok(performance.now() - startedAtMs < 1_500);
          for (const result of [resultOf(created, 'createCustomer'), resultOf(updated, 'updateCustomer')]) {
            assert.deepEqual([result['code'], result['retryable']], ['OUTCOME_UNKNOWN', true]);
          }
          assert.deepEqual(harness.upstream(), ['POST /customers', 'POST /customers/u7']);
        },
        { OPERATION_TIMEOUT_MS: '3000' },
      ),
    ),

    outage.test('a token whose read is refused MUST fail alone, next to the updated customer', () =>
      withHarness(async (harness) => {
        await openReads(harness);
        const answer = await harness.ask(
          'mutation { updateCustomer(id: "u7", input: { firstName: "A" }) { ... on UpdateCustomerSuccess { customer { firstName clientAuthToken { token } } } } }',
        );
        assert.deepEqual(answer.data, { updateCustomer: { customer: { firstName: 'A', clientAuthToken: null } } });
        assert.deepEqual(codesOf(answer), { 'updateCustomer.customer.clientAuthToken': 'UPSTREAM_UNAVAILABLE' });
        assert.deepEqual(harness.upstream(), ['POST /customers/u7']);
      }),
    ),

    outage.test(
      'merchants MUST NOT share breakers, and a refused key during a rotation MUST NOT count as a failure',
      async () => {
        const sandbox = await startSandbox({});
        const access = (merchantId: string, olderApiKey?: Secret) => ({
          baseUrl: sandbox.url,
          merchantId,
          apiKey: new Secret(olderApiKey === undefined ? sandbox.apiKey : 'not yet known'),
          ...(olderApiKey && { olderApiKey }),
        });
        const lines: string[] = [];
        const gateway = openGateway(
          {
            ...loadConfig(jwtSettings),
            provider: undefined,
            merchants: [access(sandbox.merchantId, new Secret(sandbox.apiKey)), access('other')],
          },
          { log: createLog('debug', (line) => lines.push(line)) },
        );
        const ask = async (merchant: string, id: string) => {
          const token = bearer({ scope: 'customer:read customer:any', merchant_id: merchant });
          const response = await gateway.fetch(
            new Request('http://gateway.test/graphql', {
              method: 'POST',
              headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
              body: JSON.stringify({ query: read, variables: { id } }),
            }),
          );
          return ((await response.json()) as { errors?: { extensions: { code: string } }[] }).errors?.[0]?.extensions
            .code;
        };
        try {
          sandbox.arm({ fault: '501', times: 999 });
          for (let n = 0; n < 25; n += 1) await ask('other', `r-${n}`);
          assert.equal(sandbox.calls.length, 20);
          sandbox.disarm();
          sandbox.clearCalls();
          assert.equal(await ask('other', 'u7'), 'UPSTREAM_UNAVAILABLE');
          for (let n = 0; n < 30; n += 1) assert.equal(await ask(sandbox.merchantId, `r-${n}`), undefined);
          // The first read found the accepted key.
          assert.equal(sandbox.calls.length, 31);
          const opened = lines.filter((line) => line.includes('circuit breaker'));
          assert.equal(opened.length, 1);
          assert.match(opened[0] ?? '', /"merchant":"other"/);
        } finally {
          await gateway.dispose();
          await sandbox.close();
        }
      },
    ),

    outage.test('repeated reads MUST NOT exceed 20 % of the first attempts plus 10', () =>
      withHarness(async (harness) => {
        harness.sandbox.arm({ fault: 'reset', on: 'get', times: 9999 });
        const ids = Array.from({ length: 100 }, (_, n) => `r-${n}`);
        const answer = await harness.ask('query ($ids: [ID!]!) { customers(ids: $ids) { id } }', { ids });
        assert.deepEqual(new Set(Object.values(codesOf(answer))), new Set(['UPSTREAM_UNAVAILABLE']));
        assert.equal(harness.sandbox.calls.length, 130);
        // Each five first attempts allow one more repeat.
        await readInTurn(harness, 10, 's');
        assert.equal(harness.sandbox.calls.length, 142);
      }),
    ),

    outage.test('a read that the budget does not repeat MUST fail with the error of the provider', () =>
      withHarness(async (harness) => {
        harness.sandbox.arm({ fault: 'html', on: 'get', times: 9999 });
        const ids = Array.from({ length: 100 }, (_, n) => `r-${n}`);
        const answer = await harness.ask('query ($ids: [ID!]!) { customers(ids: $ids) { id } }', { ids });
        assert.deepEqual(new Set(Object.values(codesOf(answer))), new Set(['UPSTREAM_MALFORMED']));
        assert.equal(harness.sandbox.calls.length, 130);
      }),
    ),

    outage.test('aborted reads MUST NOT count as calls', () =>
      withHarness(async (harness) => {
        harness.sandbox.arm({ fault: 'timeout', on: 'get', times: 30 });
        for (let n = 0; n < 30; n += 1) {
          const controller = new AbortController();
          const answer = harness.ask(read, { id: `aborted-${n}` }, controller.signal).catch(() => undefined);
          await harness.sandbox.whenCalled(({ number }) => number === n + 1);
          controller.abort();
          await answer;
        }
        harness.sandbox.arm({ fault: '501', on: 'get', times: 999 });
        await readInTurn(harness, 40);
        assert.equal(harness.sandbox.calls.length, 50);
      }),
    ),

    outage.test('a call MUST have at most three attempts, and writes MUST NOT use the budget', () =>
      withHarness(async (harness) => {
        harness.sandbox.arm({ fault: 'reset', on: 'get', times: 9999 });
        for (let n = 1; n <= 4; n += 1) {
          await readInTurn(harness, 1, `r${n}`);
          assert.equal(harness.sandbox.calls.length, 3 * n);
        }
        await readInTurn(harness, 30, 's');
        harness.sandbox.clearCalls();
        harness.sandbox.arm({ fault: '429', on: 'update', times: 9999, retryAfter: '' });
        for (let n = 0; n < 20; n += 1) await harness.ask(updateOperation, { id: 'u7', input: { firstName: 'A' } });
        assert.equal(harness.sandbox.calls.length, 60);
        harness.sandbox.clearCalls();
        // They do not add to it either. Only reads do.
        await readInTurn(harness, 2, 't');
        assert.ok(harness.sandbox.calls.length <= 3);
      }),
    ),

    outage.test('reads that settle a write MUST use the budget too, and wait if it is exhausted', () =>
      withHarness(
        async (harness) => {
          harness.sandbox.arm({ fault: 'reset', times: 9999 });
          const results = await Promise.all(
            Array.from({ length: 20 }, async (_, n) =>
              resultOf(await harness.ask(createOperation, { input: newCustomer(`reference-${n}`) }), 'createCustomer'),
            ),
          );
          assert.deepEqual(new Set(results.map(({ code }) => code)), new Set(['OUTCOME_UNKNOWN']));
          const gets = harness.upstream().filter(isGet).length;
          assert.ok(gets <= 20 + 10 + 4, `${gets} reads`);
          assert.equal(harness.upstream().filter(isPost).length, 20);
        },
        { OPERATION_TIMEOUT_MS: '3000' },
      ),
    ),

    outage.test('a caller that disconnects during a hold-back MUST NOT block the event loop', () =>
      withHarness(async (harness) => {
        harness.sandbox.arm({ fault: '429', on: 'get', retryAfter: '15' });
        const controller = new AbortController();
        const token = '{ customer(id: "u7") { clientAuthToken { token } } }';
        const first = harness.ask(token, {}, controller.signal).catch(() => undefined);
        // Abort after the response: before it there is a call in flight to abort.
        while (!harness.log.some((line) => line.includes('upstream call failed'))) await delay(5);
        const startedAtMs = performance.now();
        controller.abort();
        await first;
        // A loop of microtasks would block timers and sockets.
        await delay(1);
        assert.ok(performance.now() - startedAtMs < 5_000);
        assert.equal(harness.sandbox.calls.length, 1);
      }),
    ),
  ]);
});
