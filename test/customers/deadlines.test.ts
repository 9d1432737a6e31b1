import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { createDeadlines, type Deadline } from '../../src/customers/deadlines.ts';

/** A deadline that records when it ends, after the time it was due. */
function createDeadline(onDue: (lateMs: number, deadline: Deadline) => void): Deadline {
  const deadline = {
    dueAtMs: 0,
    place: -1,
    onDue: () => onDue(performance.now() - deadline.dueAtMs, deadline),
  };
  return deadline;
}

test('deadlines MUST end in any order of adding, each once, never early, and not if they were removed', async () => {
  const deadlines = createDeadlines();
  const ended: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  // The list does not keep the process alive.
  const keepAlive = setInterval(() => undefined, 1_000);
  const delaysMs = [40, 10, 30, 0, 20, -5];
  const all = delaysMs.map((_, index) =>
    createDeadline((lateMs, { place }) => {
      assert(lateMs >= 0, `${lateMs} ms`);
      assert.equal(place, -1);
      ended.push(index);
      if (ended.length === 5) resolve();
    }),
  );
  const startedAtMs = performance.now();
  for (const [index, deadline] of all.entries()) deadlines.add(deadline, startedAtMs + (delaysMs[index] ?? 0));
  const [, , removed] = all;
  assert(removed);
  deadlines.remove(removed);
  deadlines.remove(removed);
  await promise;
  clearInterval(keepAlive);
  assert.deepEqual(ended.toSorted(), [0, 1, 3, 4, 5]);
});

test('a deadline MUST be able to add itself again, and to remove another one that ends with it', async () => {
  const deadlines = createDeadlines();
  const ended: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const keepAlive = setInterval(() => undefined, 1_000);
  const atMs = performance.now() + 5;
  const other = createDeadline(() => ended.push('other'));
  const first = createDeadline(() => {
    ended.push('first');
    deadlines.remove(other);
    if (ended.length === 2) resolve();
    else deadlines.add(first, performance.now() + 5);
  });
  deadlines.add(first, atMs);
  deadlines.add(other, atMs);
  await promise;
  clearInterval(keepAlive);
  assert.deepEqual(ended, ['first', 'first']);
});

test('10,000 deadlines MUST need no more than two timers', (t) => {
  const timer = t.mock.method(globalThis, 'setTimeout');
  const deadlines = createDeadlines();
  const all = Array.from({ length: 10_000 }, () => createDeadline(() => assert.fail()));
  const atMs = performance.now() + 60_000;
  for (const [n, deadline] of all.entries()) deadlines.add(deadline, n === 0 ? atMs + 1 : atMs + 1 + n);
  for (const deadline of all) deadlines.remove(deadline);
  for (const deadline of all) deadlines.add(deadline, atMs);
  for (const deadline of all) deadlines.remove(deadline);
  assert.equal(timer.mock.callCount(), 2);
});
