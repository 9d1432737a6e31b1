import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cancellation, createCancellation, never } from '../../src/customers/cancellation.ts';
import type { Operation } from '../../src/customers/customer.ts';
import { createSlots } from '../../src/juspay/slots.ts';

const operationOf = (caller: string, requestId: string): Operation => ({
  caller,
  requestId,
  deadlineAtMs: Number.POSITIVE_INFINITY,
  cancellation: never,
});
const forever = () => 60_000;

/** Slots with one connection, which is taken. Records the order in which waiting calls get it. */
function setUp(limit?: number) {
  const slots = createSlots(1, limit);
  assert.equal(slots.take(forever, undefined, operationOf('first', 'r')), 'taken');
  const served: string[] = [];
  const wait = async (name: string, operation: Operation, cancellation?: Cancellation): Promise<void> => {
    const turn = await slots.take(forever, cancellation, operation);
    served.push(turn === 'taken' ? name : `${name} ${turn}`);
    if (turn === 'taken') slots.release();
  };
  return { slots, served, wait };
}

test('connections MUST go round robin by caller, then by operation, then first in, first out', async () => {
  const { slots, served, wait } = setUp();
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
  slots.release();
  await Promise.all(calls);
  assert.deepEqual(served, ['a1.1', 'b1.1', 'c1.1', 'a2.1', 'b1.2', 'a1.2', 'a2.2', 'a1.3']);
});

test('a caller with one call MUST get the second free connection while another caller has 10,000 waiting calls', async () => {
  const { slots, served, wait } = setUp();
  const flood = Array.from({ length: 10_000 }, (_, n) => wait('a', operationOf('a', `a${n % 100}`)));
  const one = wait('b', operationOf('b', 'b1'));
  slots.release();
  await Promise.all([...flood, one]);
  assert.equal(served.indexOf('b'), 1);
});

test('a shared read MUST have a place in the queue of each of its callers, including one that joins later', async () => {
  const { slots, served, wait } = setUp();
  const [a, b] = [operationOf('a', 'a1'), operationOf('b', 'b1')];
  const waiters = new Set([a]);
  const joinListeners = new Set<(operation: Operation) => void>();
  const flood = Array.from({ length: 100 }, () => wait('a', operationOf('a', 'a0')));
  const shared = wait('shared', { ...a, sharedRead: { waiters, joinListeners } });
  waiters.add(b);
  for (const onJoined of joinListeners) onJoined(b);
  slots.release();
  await Promise.all([...flood, shared]);
  assert.equal(served.indexOf('shared'), 1);
  assert.equal(joinListeners.size, 0);
});

test('a cancelled call MUST be skipped and removed from the queue', async () => {
  const { slots, served, wait } = setUp();
  const client = createCancellation();
  const calls = [
    wait('a', operationOf('a', 'a1'), client),
    wait('b', operationOf('b', 'b1')),
    wait('a', operationOf('a', 'a2')),
  ];
  client.cancel();
  slots.release();
  await Promise.all(calls);
  assert.deepEqual(served, ['a expired', 'a', 'b']);
  assert.equal(slots.take(forever, undefined, operationOf('c', 'c1')), 'taken');
});

test('a full queue MUST refuse calls of the caller with the most calls, and accept those of others', async () => {
  const { slots, served, wait } = setUp(10);
  const calls = Array.from({ length: 12 }, (_, n) => wait(`a${n}`, operationOf('a', 'a1')));
  calls.push(wait('b0', operationOf('b', 'b1')), wait('c0', operationOf('c', 'c1')));
  slots.release();
  await Promise.all(calls);
  assert.deepEqual(served.slice(0, 4), ['a10 full', 'a11 full', 'a9 full', 'a8 full']);
  assert.deepEqual(served.slice(4, 7), ['a0', 'b0', 'c0']);
  assert.equal(served.length, 14);
});
