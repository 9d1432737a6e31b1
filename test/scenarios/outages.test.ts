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
  inWorld,
  jwtSettings,
  newCustomer,
  resultOf,
  startRaw,
  updateOperation,
  type World,
} from '../support.ts';

/** A provider that is down or in trouble, and comes back. What the breaker waits for is waited for here: 5 s. */
const tests = { concurrency: 8 };

const read = 'query ($id: ID!) { customer(id: $id) { objectReferenceId } }';
const isGet = (call: string) => call.startsWith('GET');
const isPost = (call: string) => call.startsWith('POST');
const changes = (world: World) => world.log.filter((line) => line.includes('circuit breaker'));

/** One read after the other, each of another customer; their codes, `ok` for an answer without one. */
async function readInTurn(world: World, count: number, prefix = 'r'): Promise<unknown[]> {
  const codes: unknown[] = [];
  for (let n = 0; n < count; n += 1) {
    codes.push(codesOf(await world.ask(read, { id: `${prefix}-${n}` }))['customer'] ?? 'ok');
  }
  return codes;
}

/** 501 is one call, since it is not repeated. */
async function openReads(world: World): Promise<void> {
  world.sandbox.arm({ fault: '501', on: 'get', times: 999 });
  await readInTurn(world, 20);
  assert.equal(changes(world).length, 1);
  world.sandbox.disarm();
  world.sandbox.clearCalls();
}

/** Asks until the provider is called again, and tells how long that took. */
async function untilCalled(world: World, ask: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  while (world.sandbox.calls.length === 0) {
    await ask();
    await delay(20);
  }
  return performance.now() - startedAtMs;
}

test('an outage', tests, async (outage) => {
  await Promise.all([
    outage.test('reads MUST stop after 20 failed calls, be answered at once, and not stop writes', () =>
      inWorld(async (world) => {
        world.sandbox.arm({ fault: '503', on: 'get', times: 999 });
        const codes = await readInTurn(world, 40);
        assert.deepEqual(new Set(codes), new Set(['UPSTREAM_UNAVAILABLE']));
        assert.equal(world.sandbox.calls.length, 20);
        const startedAtMs = performance.now();
        const answer = await world.ask(read, { id: 'u7' });
        assert.ok(performance.now() - startedAtMs < 100);
        const { requestId, ...extensions } = answer.errors?.[0]?.extensions ?? {};
        assert.deepEqual(extensions, { code: 'UPSTREAM_UNAVAILABLE', retryable: true });
        assert.equal(answer.status, 200);
        assert.ok(world.log.some((line) => line.includes(String(requestId))));
        const created = await world.ask(createOperation, { input: newCustomer('reference-1') });
        assert.equal(resultOf(created, 'createCustomer')['origin'], 'CREATED');
        const [opened, ...more] = changes(world);
        assert.deepEqual(more, []);
        assert.match(opened ?? '', /"level":"warn".*"method":"GET".*"message":"circuit breaker opened"/);
      }),
    ),

    outage.test('the breaker MUST open when half of at least 20 calls failed, and not before', () =>
      inWorld(async (world) => {
        await readInTurn(world, 11, 'well');
        world.sandbox.arm({ fault: '501', on: 'get', times: 999 });
        await readInTurn(world, 40);
        assert.equal(world.sandbox.calls.length, 22);
      }),
    ),

    ...(
      ['unauthorized', 'forbidden', 'wrong_route', 'rejected', '429', 'reset', 'truncated', 'html', 'redirect'] as const
    ).map((fault: FaultName) =>
      outage.test(`${fault} MUST NOT open the breaker, however often it comes`, () =>
        inWorld(
          async (world) => {
            world.sandbox.arm({ fault, times: 999, retryAfter: '' });
            await readInTurn(world, 25);
            for (let n = 0; n < 25; n += 1) {
              await world.ask(updateOperation, { id: `u-${n}`, input: { firstName: 'A' } });
            }
            const calls = world.upstream();
            assert.ok(calls.filter(isGet).length >= 25);
            assert.ok(calls.filter(isPost).length >= 25);
            assert.deepEqual(changes(world), []);
          },
          { OPERATION_TIMEOUT_MS: '400' },
        ),
      ),
    ),

    outage.test('timeouts MUST open it, be they of one attempt or of the whole operation', async () => {
      const settings = [
        { JUSPAY_TIMEOUT_MS: '100' },
        // No attempt has more time than the operation.
        { OPERATION_TIMEOUT_MS: '100' },
      ];
      for (const environment of settings) {
        await inWorld(async (world) => {
          world.sandbox.arm({ fault: 'timeout', times: 999 });
          // As many as it takes: where this machine stood still, a timeout tells nothing.
          for (let n = 0; n < 60 && changes(world).length === 0; n += 1) await readInTurn(world, 1, `r${n}`);
          assert.equal(changes(world).length, 1);
          world.sandbox.clearCalls();
          assert.deepEqual(await readInTurn(world, 3), Array(3).fill('UPSTREAM_UNAVAILABLE'));
          assert.deepEqual(world.upstream(), []);
        }, environment);
      }
    }),

    outage.test('callers without patience MUST NOT open it', () =>
      inWorld(async (world) => {
        world.sandbox.arm({ fault: 'timeout', times: 999 });
        // As many operations as it takes: on a slow machine some are over before anything is sent.
        for (let n = 0; n < 60 && world.sandbox.calls.length < 60; n += 1) {
          const ids = Array.from({ length: 15 }, (_, id) => `r-${n}-${id}`);
          const answer = await world.fetch({
            method: 'POST',
            headers: { 'content-type': 'application/json', 'x-request-timeout-ms': '400' },
            body: JSON.stringify({
              query: `query ($ids: [ID!]!) { customers(ids: $ids) { id ${n % 2 ? 'clientAuthToken { token }' : ''} } }`,
              variables: { ids },
            }),
          });
          assert.deepEqual(new Set(Object.values(codesOf(answer))), new Set(['UPSTREAM_TIMEOUT']));
        }
        assert.ok(world.sandbox.calls.length >= 60);
        assert.deepEqual(changes(world), []);
      }),
    ),

    outage.test(
      'a shared read MUST be a timeout when the time of the last reader is over, whoever had more and left',
      () =>
        inWorld(
          async (world) => {
            world.sandbox.arm({ fault: 'timeout', times: 999 });
            // As many as it takes: where this machine stood still, a timeout tells nothing.
            for (let n = 0; n < 60 && changes(world).length === 0; n += 1) {
              const next = world.sandbox.calls.length + 1;
              const called = world.sandbox.whenCalled(({ number }) => number === next);
              const gone = new AbortController();
              const patient = world.ask(read, { id: `r-${n}` }, gone.signal).catch(() => undefined);
              const hasty = world.fetch({
                method: 'POST',
                headers: { 'content-type': 'application/json', 'x-request-timeout-ms': '150' },
                body: JSON.stringify({ query: read, variables: { id: `r-${n}` } }),
              });
              // Both have joined before it goes out.
              await called;
              gone.abort();
              await patient;
              assert.deepEqual(codesOf(await hasty), { customer: 'UPSTREAM_TIMEOUT' });
            }
            assert.equal(changes(world).length, 1);
          },
          { JUSPAY_TIMEOUT_MS: '500' },
        ),
    ),

    outage.test('connections that cannot be made MUST open it, for reads and for writes apart', async () => {
      const raw = await startRaw(() => undefined);
      await raw.close();
      await inWorld(
        async (world) => {
          const attempts = (call: string) =>
            world.log.filter((line) => line.includes('upstream call failed') && line.includes(`"call":"${call}"`))
              .length;
          for (let n = 0; n < 10; n += 1) {
            const created = await world.ask(createOperation, { input: newCustomer(`reference-${n}`) });
            const result = resultOf(created, 'createCustomer');
            assert.deepEqual([result['code'], result['retryable']], ['UPSTREAM_UNAVAILABLE', true]);
          }
          assert.equal(attempts('create'), 20);
          assert.match(changes(world).join(), /^[^\n]*"method":"POST"[^\n]*\n?$/);
          await readInTurn(world, 20);
          assert.equal(attempts('get'), 20);
          assert.equal(changes(world).length, 2);
        },
        {},
        { provider: { baseUrl: raw.url } },
      );
    }),

    outage.test('calls that wait for a connection MUST NOT be sent any more once it is open', () =>
      inWorld(
        async (world) => {
          world.sandbox.arm({ fault: '501', times: 999 });
          const ids = Array.from({ length: 100 }, (_, n) => `r-${n}`);
          const answer = await world.ask('query ($ids: [ID!]!) { customers(ids: $ids) { id } }', { ids });
          assert.deepEqual(answer.data, { customers: ids.map(() => null) });
          assert.equal(Object.keys(codesOf(answer)).length, 5);
          assert.equal(world.sandbox.calls.length, 20);
        },
        { JUSPAY_CONNECTIONS: '1' },
      ),
    ),

    outage.test('one call MUST go out after 5 s, and all once it is answered, be it with a refusal', () =>
      inWorld(async (world) => {
        await openReads(world);
        world.sandbox.arm({ fault: '501', on: 'get' });
        const crowd = () => Promise.all(Array.from({ length: 20 }, (_, n) => world.ask(read, { id: `c-${n}` })));
        const firstMs = await untilCalled(world, crowd);
        assert.ok(firstMs > 4_500 && firstMs < 6_000, `${firstMs}`);
        assert.equal(world.sandbox.calls.length, 1);
        world.sandbox.clearCalls();
        world.sandbox.arm({ fault: 'slow', on: 'get', delayMs: 200 });
        const secondMs = await untilCalled(world, crowd);
        assert.ok(secondMs > 4_500 && secondMs < 6_000, `${secondMs}`);
        assert.deepEqual(await readInTurn(world, 5), Array(5).fill('ok'));
        assert.equal(world.sandbox.calls.length, 6);
        assert.deepEqual(
          changes(world).map((line) => /"message":"([^"]*)"/.exec(line)?.[1]),
          ['circuit breaker opened', 'circuit breaker closed'],
        );
      }),
    ),

    ...(['rejected', 'unauthorized', '429'] as const).map((fault: FaultName) =>
      outage.test(`a probe that is answered ${fault} MUST close it: somebody is there`, () =>
        inWorld(async (world) => {
          await openReads(world);
          world.sandbox.arm({ fault, on: 'get', ...(fault === '429' && { retryAfter: '30' }) });
          await untilCalled(world, () => world.ask(read, { id: 'u7' }));
          assert.equal(changes(world).length, 2);
          const held = fault === '429' ? 'RATE_LIMITED' : 'ok';
          assert.deepEqual(await readInTurn(world, 2), [held, held]);
        }),
      ),
    ),

    outage.test(
      'who is held back as well, and cannot wait that long, MUST be told how long the provider asks for',
      () =>
        inWorld(async (world) => {
          world.sandbox.arm({ fault: '503', on: 'get', times: 999, retryAfter: '40' });
          const ids = Array.from({ length: 30 }, (_, n) => `r-${n}`);
          await world.ask('query ($ids: [ID!]!) { customers(ids: $ids) { id } }', { ids });
          assert.equal(changes(world).length, 1);
          world.sandbox.clearCalls();
          const answer = await world.ask(read, { id: 'u7' });
          const { code, retryAfterSeconds } = answer.errors?.[0]?.extensions ?? {};
          assert.equal(code, 'RATE_LIMITED');
          assert.ok(Number(retryAfterSeconds) > 30 && Number(retryAfterSeconds) <= 40);
          assert.deepEqual(world.upstream(), []);
        }),
    ),

    outage.test('a probe whose caller goes away MUST make room for the next one', () =>
      inWorld(async (world) => {
        await openReads(world);
        world.sandbox.arm({ fault: 'timeout', on: 'get' });
        const gone = new AbortController();
        const called = world.sandbox.whenCalled(({ route }) => route === 'get').then(() => gone.abort());
        await untilCalled(world, () => world.ask(read, { id: 'u7' }, gone.signal).catch(() => undefined));
        await called;
        assert.deepEqual(await readInTurn(world, 3), ['ok', 'ok', 'ok']);
        assert.equal(changes(world).length, 2);
      }),
    ),

    outage.test('a write refused by it was never sent: a definite failure, which may be sent again', () =>
      inWorld(async (world) => {
        world.sandbox.arm({ fault: '501', on: 'update', times: 999 });
        for (let n = 0; n < 10; n += 1) await world.ask(updateOperation, { id: 'u7', input: { firstName: 'A' } });
        assert.equal(changes(world).length, 1);
        world.sandbox.disarm();
        world.sandbox.clearCalls();
        const created = await world.ask(createOperation, { input: newCustomer('reference-1') });
        const updated = await world.ask(updateOperation, { id: 'u7', input: { firstName: 'A' } });
        for (const result of [resultOf(created, 'createCustomer'), resultOf(updated, 'updateCustomer')]) {
          assert.equal(result['__typename'], 'CustomerUpstreamError');
          assert.deepEqual(
            [result['code'], result['retryable'], result['retryAfterSeconds']],
            ['UPSTREAM_UNAVAILABLE', true, null],
          );
        }
        assert.deepEqual(world.upstream(), []);
        assert.deepEqual(await readInTurn(world, 1), ['ok']);
      }),
    ),

    outage.test('a write that was sent MUST wait for the probe to be settled, where its deadline allows', () =>
      inWorld(async (world) => {
        await openReads(world);
        world.sandbox.arm({ fault: '500', on: 'create', afterCommit: true, times: 5 });
        world.sandbox.arm({ fault: '500', on: 'update', afterCommit: true });
        // All of them wake up together: one is the probe, and the others come after it.
        const answers = await Promise.all([
          ...Array.from({ length: 5 }, (_, n) => world.ask(createOperation, { input: newCustomer(`reference-${n}`) })),
          world.ask(updateOperation, { id: 'u7', input: { firstName: 'New' } }),
        ]);
        const results = answers.map(({ data }) => Object.values(data ?? {})[0] as Record<string, unknown>);
        assert.deepEqual(
          results.map((result) => result['origin'] ?? result['__typename']),
          [...Array(5).fill('RECONCILED'), 'UpdateCustomerSuccess'],
        );
        assert.equal(world.upstream().filter(isPost).length, 6);
        assert.equal(world.upstream().filter(isGet).length, 6);
      }),
    ),

    outage.test('a write that was sent and cannot be settled in time MUST be an unknown outcome, at once', () =>
      inWorld(
        async (world) => {
          await openReads(world);
          world.sandbox.arm({ fault: '500', on: 'create', afterCommit: true });
          world.sandbox.arm({ fault: '500', on: 'update' });
          const startedAtMs = performance.now();
          const created = await world.ask(createOperation, { input: newCustomer('reference-1') });
          const updated = await world.ask(updateOperation, { id: 'u7', input: { firstName: 'New' } });
          assert.ok(performance.now() - startedAtMs < 1_500);
          for (const result of [resultOf(created, 'createCustomer'), resultOf(updated, 'updateCustomer')]) {
            assert.deepEqual([result['code'], result['retryable']], ['OUTCOME_UNKNOWN', true]);
          }
          assert.deepEqual(world.upstream(), ['POST /customers', 'POST /customers/u7']);
        },
        { OPERATION_TIMEOUT_MS: '3000' },
      ),
    ),

    outage.test('a token whose read is refused MUST fail alone, beside the customer that was updated', () =>
      inWorld(async (world) => {
        await openReads(world);
        const answer = await world.ask(
          'mutation { updateCustomer(id: "u7", input: { firstName: "A" }) { ... on UpdateCustomerSuccess { customer { firstName clientAuthToken { token } } } } }',
        );
        assert.deepEqual(answer.data, { updateCustomer: { customer: { firstName: 'A', clientAuthToken: null } } });
        assert.deepEqual(codesOf(answer), { 'updateCustomer.customer.clientAuthToken': 'UPSTREAM_UNAVAILABLE' });
        assert.deepEqual(world.upstream(), ['POST /customers/u7']);
      }),
    ),

    outage.test(
      'merchants at one host MUST NOT meet in it, and a key that rotates MUST NOT count against it',
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
          // The first read found out which key is the one.
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

    outage.test('repeated reads MUST be no more than 20 % of the first attempts plus 10', () =>
      inWorld(async (world) => {
        world.sandbox.arm({ fault: 'reset', on: 'get', times: 9999 });
        const ids = Array.from({ length: 100 }, (_, n) => `r-${n}`);
        const answer = await world.ask('query ($ids: [ID!]!) { customers(ids: $ids) { id } }', { ids });
        assert.deepEqual(new Set(Object.values(codesOf(answer))), new Set(['UPSTREAM_UNAVAILABLE']));
        assert.equal(world.sandbox.calls.length, 130);
        // One more repeat for each five reads: here by one customer after the other.
        await readInTurn(world, 10, 's');
        assert.equal(world.sandbox.calls.length, 142);
      }),
    ),

    outage.test('a read that may not be repeated MUST be answered with what the provider said', () =>
      inWorld(async (world) => {
        world.sandbox.arm({ fault: 'html', on: 'get', times: 9999 });
        const ids = Array.from({ length: 100 }, (_, n) => `r-${n}`);
        const answer = await world.ask('query ($ids: [ID!]!) { customers(ids: $ids) { id } }', { ids });
        assert.deepEqual(new Set(Object.values(codesOf(answer))), new Set(['UPSTREAM_MALFORMED']));
        assert.equal(world.sandbox.calls.length, 130);
      }),
    ),

    outage.test('reads that are called off MUST NOT count as calls', () =>
      inWorld(async (world) => {
        world.sandbox.arm({ fault: 'timeout', on: 'get', times: 30 });
        for (let n = 0; n < 30; n += 1) {
          const gone = new AbortController();
          const answer = world.ask(read, { id: `gone-${n}` }, gone.signal).catch(() => undefined);
          await world.sandbox.whenCalled(({ number }) => number === n + 1);
          gone.abort();
          await answer;
        }
        world.sandbox.arm({ fault: '501', on: 'get', times: 999 });
        await readInTurn(world, 40);
        assert.equal(world.sandbox.calls.length, 50);
      }),
    ),

    outage.test('three attempts MUST be the most, and writes MUST NOT draw on the budget', () =>
      inWorld(async (world) => {
        world.sandbox.arm({ fault: 'reset', on: 'get', times: 9999 });
        for (let n = 1; n <= 4; n += 1) {
          await readInTurn(world, 1, `r${n}`);
          assert.equal(world.sandbox.calls.length, 3 * n);
        }
        await readInTurn(world, 30, 's');
        world.sandbox.clearCalls();
        world.sandbox.arm({ fault: '429', on: 'update', times: 9999, retryAfter: '' });
        for (let n = 0; n < 20; n += 1) await world.ask(updateOperation, { id: 'u7', input: { firstName: 'A' } });
        assert.equal(world.sandbox.calls.length, 60);
        world.sandbox.clearCalls();
        // Nor do they add to it: nothing but reads does.
        await readInTurn(world, 2, 't');
        assert.ok(world.sandbox.calls.length <= 3);
      }),
    ),

    outage.test('reads that settle a write MUST draw on the budget too, and wait where it is spent', () =>
      inWorld(
        async (world) => {
          world.sandbox.arm({ fault: 'reset', times: 9999 });
          const results = await Promise.all(
            Array.from({ length: 20 }, async (_, n) =>
              resultOf(await world.ask(createOperation, { input: newCustomer(`reference-${n}`) }), 'createCustomer'),
            ),
          );
          assert.deepEqual(new Set(results.map(({ code }) => code)), new Set(['OUTCOME_UNKNOWN']));
          const gets = world.upstream().filter(isGet).length;
          assert.ok(gets <= 20 + 10 + 4, `${gets} reads`);
          assert.equal(world.upstream().filter(isPost).length, 20);
        },
        { OPERATION_TIMEOUT_MS: '3000' },
      ),
    ),

    outage.test('a caller that goes away while it is held back MUST NOT make the gateway stand still', () =>
      inWorld(async (world) => {
        world.sandbox.arm({ fault: '429', on: 'get', retryAfter: '15' });
        const gone = new AbortController();
        const token = '{ customer(id: "u7") { clientAuthToken { token } } }';
        const first = world.ask(token, {}, gone.signal).catch(() => undefined);
        // Not before the answer has come: until then there is a call to be called off.
        while (!world.log.some((line) => line.includes('upstream call failed'))) await delay(5);
        const startedAtMs = performance.now();
        gone.abort();
        await first;
        // Answers go on while only promises turn round; timers and sockets are what stands still.
        await delay(1);
        assert.ok(performance.now() - startedAtMs < 5_000);
        assert.equal(world.sandbox.calls.length, 1);
      }),
    ),
  ]);
});
