import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { LazyPromise } from '../../src/customers/lazy-promise.ts';

/** Creates a listener that records each result it receives. */
function createListener() {
  const told: unknown[] = [];
  return {
    told,
    resolve: (value: unknown) => void told.push({ value }),
    reject: (error: unknown) => void told.push({ error }),
  };
}

test('a listener MUST be told the first result once, within the call, whether it listens before or after it', () => {
  const result = fc.record({ isError: fc.boolean(), value: fc.anything() });
  fc.assert(
    fc.property(fc.array(result, { minLength: 1, maxLength: 4 }), fc.nat(3), fc.nat(3), (results, early, late) => {
      const promise = new LazyPromise<unknown>();
      const listeners = Array.from({ length: early }, createListener);
      for (const listener of listeners) promise.listen(listener);
      for (const { isError, value } of results) isError ? promise.reject(value) : promise.resolve(value);
      const others = Array.from({ length: late }, createListener);
      for (const listener of others) promise.listen(listener);
      const [first] = results;
      const expected = first?.isError ? { error: first.value } : { value: first?.value };
      for (const { told } of [...listeners, ...others]) assert.deepEqual(told, [expected]);
    }),
  );
});

test('a lazy promise MUST be a promise for those who use it as one', async () => {
  const before = new LazyPromise<number>();
  const results = [
    before,
    before.then((value) => value + 1),
    before.finally(() => undefined),
    Promise.resolve(before),
    (async () => await before)(),
  ];
  before.resolve(1);
  assert.deepEqual(await Promise.all(results), [1, 2, 1, 1, 1]);
  const after = new LazyPromise<number>();
  after.resolve(3);
  assert.equal(await after, 3);
  const refused = new LazyPromise<number>();
  const error = new Error('refused');
  refused.reject(error);
  await assert.rejects(refused, error);
  assert.equal(await refused.catch(() => 4), 4);
});

test('a rejection without a listener MUST have no effect, and MUST reach those who use the promise later', async () => {
  const promise = new LazyPromise();
  // The test runner fails a test with an unhandled rejection.
  promise.reject(new Error('refused'));
  await nextTurn();
  await assert.rejects(
    promise.then(() => undefined),
    /refused/,
  );
});

test('a listener MUST be able to listen again, and to settle the promise again, while it is told', () => {
  const promise = new LazyPromise<string>();
  const again = createListener();
  promise.listen({
    resolve() {
      promise.resolve('second');
      promise.listen(again);
    },
    reject: () => assert.fail(),
  });
  const other = createListener();
  promise.listen(other);
  promise.resolve('first');
  assert.deepEqual(again.told, [{ value: 'first' }]);
  assert.deepEqual(other.told, [{ value: 'first' }]);
});
