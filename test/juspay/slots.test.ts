import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operation } from '../../src/customers/customer.ts';
import { createSlots } from '../../src/juspay/slots.ts';

const operationOf = (caller: string, requestId: string): Operation => ({
  caller,
  requestId,
  deadlineAtMs: Number.POSITIVE_INFINITY,
  signal: new AbortController().signal,
});
const forever = () => 60_000;

/** One connection that is taken, and the order in which others get it. */
function createWorld(most?: number) {
  const slots = createSlots(1, most);
  assert.equal(slots.take(forever, undefined, operationOf('first', 'r')), 'taken');
  const served: string[] = [];
  const wait = async (name: string, operation: Operation, signal?: AbortSignal): Promise<void> => {
    const turn = await slots.take(forever, signal, operation);
    served.push(turn === 'taken' ? name : `${name} ${turn}`);
    if (turn === 'taken') slots.release();
  };
  return { slots, served, wait };
}

test('callers MUST have the connections in turn, then operations, then first come, however many calls one of them has', async () => {
  const { slots, served, wait } = createWorld();
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

test('a caller with one call MUST be served next but one, though another one has 10,000 that wait', async () => {
  const { slots, served, wait } = createWorld();
  const flood = Array.from({ length: 10_000 }, (_, n) => wait('a', operationOf('a', `a${n % 100}`)));
  const one = wait('b', operationOf('b', 'b1'));
  slots.release();
  await Promise.all([...flood, one]);
  assert.equal(served.indexOf('b'), 1);
});

test('a shared read MUST have a turn with each caller that waits for it, also with one that joins later', async () => {
  const { slots, served, wait } = createWorld();
  const [a, b] = [operationOf('a', 'a1'), operationOf('b', 'b1')];
  const waiters = new Set([a]);
  const joinListeners = new Set<(operation: Operation) => void>();
  const flood = Array.from({ length: 100 }, () => wait('a', operationOf('a', 'a0')));
  const shared = wait('shared', { ...a, sharedRead: { waiters, joinListeners } });
  waiters.add(b);
  for (const tell of joinListeners) tell(b);
  slots.release();
  await Promise.all([...flood, shared]);
  assert.equal(served.indexOf('shared'), 1);
  assert.equal(joinListeners.size, 0);
});

test('who leaves MUST be passed over, and leave nothing behind', async () => {
  const { slots, served, wait } = createWorld();
  const gone = new AbortController();
  const calls = [
    wait('a', operationOf('a', 'a1'), gone.signal),
    wait('b', operationOf('b', 'b1')),
    wait('a', operationOf('a', 'a2')),
  ];
  gone.abort();
  slots.release();
  await Promise.all(calls);
  assert.deepEqual(served, ['a vain', 'a', 'b']);
  assert.equal(slots.take(forever, undefined, operationOf('c', 'c1')), 'taken');
});

test('a full queue MUST refuse the caller with the most calls, and take those of others', async () => {
  const { slots, served, wait } = createWorld(10);
  const calls = Array.from({ length: 12 }, (_, n) => wait(`a${n}`, operationOf('a', 'a1')));
  calls.push(wait('b0', operationOf('b', 'b1')), wait('c0', operationOf('c', 'c1')));
  slots.release();
  await Promise.all(calls);
  assert.deepEqual(served.slice(0, 4), ['a10 full', 'a11 full', 'a9 full', 'a8 full']);
  assert.deepEqual(served.slice(4, 7), ['a0', 'b0', 'c0']);
  assert.equal(served.length, 14);
});
