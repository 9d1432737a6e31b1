import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type Cancellation, createCancellation, never } from '../../src/customers/cancellation.ts';
import type { Operation, SharedRead } from '../../src/customers/customer.ts';
import { createDeadlines } from '../../src/customers/deadlines.ts';
import { OperationRecord } from '../../src/customers/record.ts';
import { createLanes } from '../../src/juspay/lanes.ts';

const operationOf = (caller: string, requestId: string): Operation => ({
  caller,
  requestId,
  record: new OperationRecord(),
  deadlineAtMs: Number.POSITIVE_INFINITY,
  cancellation: never,
});

/** One lane, which is taken. Records the order in which waiting calls get it. */
function setUp(limit?: number) {
  let opened = 0;
  const lanes = createLanes(1, () => `lane ${++opened}`, createDeadlines(), limit);
  const take = (operation: Operation, cancellation: Cancellation = never) =>
    new Promise<string>((resolve) => {
      const waitsUntilMs = performance.now() + 60_000;
      lanes.take({ waiter: operation, cancellation, waitsUntilMs, onLane: resolve, onNoLane: resolve });
    });
  const release = () => lanes.release('lane 1', false);
  const served: string[] = [];
  const wait = async (name: string, operation: Operation, cancellation?: Cancellation): Promise<void> => {
    const turn = await take(operation, cancellation);
    served.push(turn === 'lane 1' ? name : `${name} ${turn}`);
    if (turn === 'lane 1') release();
  };
  const first = take(operationOf('first', 'r'));
  return { first, take, release, served, wait };
}

test('connections MUST go round robin by caller, then by operation, then first in, first out', async () => {
  const { release, served, wait } = setUp();
  const calls = [
    wait('a1.1', operationOf('a', 'a1')),
    wait('a1.2', operationOf('a', 'a1')),
    wait('a1.3', operationOf('a', 'a1')),
    wait('a2.1', operationOf('a', 'a2')),
    wait('a2.2', operationOf('a', 'a2')),
    wait('b1.1', operationOf('b', 'b1')),
    wait('b1.2', operationOf('b', 'b1')),
    wait('c1.1', operationOf('c', 'c1')),
  ];
  release();
  await Promise.all(calls);
  assert.deepEqual(served, ['a1.1', 'b1.1', 'c1.1', 'a2.1', 'b1.2', 'a1.2', 'a2.2', 'a1.3']);
});

test('a caller with one call MUST get the second free connection while another caller has 10,000 waiting calls', async () => {
  const { release, served, wait } = setUp();
  const flood = Array.from({ length: 10_000 }, (_, n) => wait('a', operationOf('a', `a${n % 100}`)));
  const one = wait('b', operationOf('b', 'b1'));
  release();
  await Promise.all([...flood, one]);
  assert.equal(served.indexOf('b'), 1);
});

test('a shared read MUST have a place in the queue of each of its callers, including one that joins later', async () => {
  for (const joinsLater of [false, true]) {
    const { release, served, wait } = setUp();
    // The operation of the first caller has other calls, so that only the second caller gets the read sent early.
    const [a, b] = [operationOf('a', 'a1'), operationOf('b', 'b1')];
    const waiters = joinsLater ? [a] : [a, b];
    const sharedRead: SharedRead = { operations: () => waiters, joinListener: undefined };
    const flood = Array.from({ length: 100 }, () => wait('a', a));
    const shared = wait('shared', { ...a, sharedRead });
    if (joinsLater) {
      waiters.push(b);
      sharedRead.joinListener?.onJoin(b);
    }
    release();
    await Promise.all([...flood, shared]);
    assert.equal(served.indexOf('shared'), 1);
    assert.equal(sharedRead.joinListener, undefined);
  }
});

test('a cancelled call MUST be skipped and removed from the queue', async () => {
  const { take, release, served, wait } = setUp();
  const client = createCancellation();
  const calls = [
    wait('a', operationOf('a', 'a1'), client),
    wait('b', operationOf('b', 'b1')),
    wait('a', operationOf('a', 'a2')),
  ];
  client.cancel();
  release();
  await Promise.all(calls);
  assert.deepEqual(served, ['a expired', 'a', 'b']);
  assert.equal(await take(operationOf('c', 'c1')), 'lane 1');
});

test('a full queue MUST refuse calls of the caller with the most calls, and accept those of others', async () => {
  const { release, served, wait } = setUp(10);
  const calls = Array.from({ length: 12 }, (_, n) => wait(`a${n}`, operationOf('a', 'a1')));
  calls.push(wait('b0', operationOf('b', 'b1')), wait('c0', operationOf('c', 'c1')));
  release();
  await Promise.all(calls);
  assert.deepEqual(served.slice(0, 4), ['a10 full', 'a11 full', 'a9 full', 'a8 full']);
  assert.deepEqual(served.slice(4, 7), ['a0', 'b0', 'c0']);
  assert.equal(served.length, 14);
});

test('20,000 waiting calls that are not sent MUST be served without nesting them', async () => {
  const lanes = createLanes(1, () => 'lane', createDeadlines());
  let served = 0;
  const take = (n: number) =>
    lanes.take({
      waiter: operationOf(`caller ${n % 7}`, `request ${n}`),
      cancellation: never,
      waitsUntilMs: performance.now() + 60_000,
      onLane(lane) {
        served += 1;
        if (n > 0) lanes.release(lane, false);
      },
      onNoLane: () => assert.fail(),
    });
  for (let n = 0; n < 20_000; n += 1) take(n);
  assert.equal(served, 1);
  lanes.release('lane', false);
  while (served < 20_000) await turn();
});

test('the lane released last MUST be taken first, one that is blocked last, and none before the next turn of the loop', async () => {
  let opened = 0;
  const taken: number[] = [];
  const lanes = createLanes(3, () => ++opened, createDeadlines());
  const take = () => {
    const before = taken.length;
    const onLane = (lane: number) => taken.push(lane);
    lanes.take({
      waiter: operationOf('a', 'a'),
      cancellation: never,
      waitsUntilMs: performance.now() + 60_000,
      onLane,
      onNoLane: () => assert.fail(),
    });
    return taken[before] ?? 0;
  };
  assert.deepEqual([take(), take(), take()], [1, 2, 3]);
  lanes.release(2, false);
  lanes.release(1, false);
  lanes.release(3, true);
  await turn();
  assert.deepEqual([take(), take(), take()], [1, 2, 3]);
  lanes.release(1, false);
  assert.equal(take(), 0);
  await turn();
  assert.equal(taken.at(-1), 1);
  assert.equal(opened, 3);
});
