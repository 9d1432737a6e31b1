import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askAs, codesOf, type Harness, jwtSettings, withHarness } from '../support.ts';

const ask = (harness: Harness, sub: string, query: string) =>
  askAs(harness, { sub, scope: 'customer:read customer:any' }, query);
const listOf = (ids: readonly string[]) => `{ customers(ids: ${JSON.stringify(ids)}) { id } }`;
const idsOf = (name: string) => Array.from({ length: 40 }, (_, n) => `${name}-${n}`);

test('6 operations with 40 ids of one caller MUST NOT delay another caller beyond the next free connection', () =>
  withHarness(
    async (harness) => {
      // Both connections are in use until all calls wait.
      harness.sandbox.arm({ fault: 'slow', on: 'get', times: 2, delayMs: 3_000 });
      const flood = Array.from({ length: 6 }, (_, n) => ask(harness, 'greedy', listOf(idsOf(`greedy${n}`))));
      await harness.sandbox.whenCalled(({ number }) => number === 2);
      const modest = ask(harness, 'modest', listOf(['modest-1', 'modest-2', 'modest-3', 'modest-4']));
      assert.deepEqual(codesOf(await modest), {});
      for (const answer of await Promise.all(flood)) assert.deepEqual(codesOf(answer), {});
      const positions = harness.sandbox.calls.flatMap(({ pathId }, position) =>
        pathId.startsWith('modest') ? [position] : [],
      );
      // Two calls were sent before. After them, every second call belongs to the modest caller.
      assert.ok((positions.at(-1) ?? 0) <= 10, String(positions));
      assert.equal(positions.length, 4);
      // The operations of one caller take turns.
      const others = harness.sandbox.calls.slice(2, 30).filter(({ pathId }) => !pathId.startsWith('modest'));
      assert.ok(new Set(others.map(({ pathId }) => pathId.split('-')[0])).size === 6);
    },
    { ...jwtSettings, JUSPAY_CONNECTIONS: '2' },
  ));

test('the failed calls of one caller MUST NOT open the breaker of other callers', () =>
  withHarness(async (harness) => {
    const ids = Array.from({ length: 30 }, (_, n) => `fault_501_x${n}`);
    const first = codesOf(await ask(harness, 'failing', listOf(ids)));
    assert.deepEqual(new Set(Object.values(first)), new Set(['UPSTREAM_UNAVAILABLE']));
    harness.sandbox.clearCalls();
    assert.deepEqual(codesOf(await ask(harness, 'failing', listOf(['fault_501_xlast']))), {
      'customers.0': 'UPSTREAM_UNAVAILABLE',
    });
    assert.deepEqual(harness.upstream(), []);
    assert.deepEqual(codesOf(await ask(harness, 'healthy', '{ customer(id: "u7") { id } }')), {});
    assert.deepEqual(harness.upstream(), ['GET /customers/u7']);
  }, jwtSettings));

test('a host that fails for all callers MUST open the breaker by their calls together', () =>
  withHarness(async (harness) => {
    for (let caller = 0; caller < 10; caller += 1)
      await ask(harness, `caller ${caller}`, listOf(['fault_501_x1', 'fault_501_x2']));
    harness.sandbox.clearCalls();
    assert.deepEqual(codesOf(await ask(harness, 'another', '{ customer(id: "u7") { id } }')), {
      customer: 'UPSTREAM_UNAVAILABLE',
    });
    assert.deepEqual(harness.upstream(), []);
  }, jwtSettings));
