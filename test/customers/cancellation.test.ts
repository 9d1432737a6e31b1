import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { type Cancellation, cancellationOf, createCancellation, never } from '../../src/customers/cancellation.ts';

/** A source of cancellation: an object of our own, or a signal. */
type Source = () => { cancellation: Cancellation; cancel: () => void };

const sources: Readonly<Record<string, Source>> = {
  'a source': () => {
    const cancellation = createCancellation();
    return { cancellation, cancel: () => cancellation.cancel() };
  },
  'a signal': () => {
    const controller = new AbortController();
    return { cancellation: cancellationOf(controller.signal), cancel: () => controller.abort() };
  },
};

for (const [name, open] of Object.entries(sources)) {
  test(`a cancellation of ${name} MUST call each listener once, and no removed listener`, () => {
    const { cancellation, cancel } = open();
    const called: number[] = [];
    const listeners = [0, 1, 2, 3].map((n) => ({ onCancel: () => called.push(n) }));
    for (const listener of listeners) cancellation.add(listener);
    const [first, , third] = listeners;
    assert(first && third);
    cancellation.remove(first);
    cancellation.remove(first);
    cancellation.remove(third);
    assert.equal(cancellation.isCancelled, false);
    cancel();
    cancel();
    assert.equal(cancellation.isCancelled, true);
    assert.deepEqual(called.sort(), [1, 3]);
  });

  test(`a listener of ${name} MUST NOT be called if another listener removes it, or if it is added after the cancellation`, () => {
    const { cancellation, cancel } = open();
    const called: string[] = [];
    const pair = ['a', 'b'].map((own) => ({
      onCancel() {
        called.push(own);
        for (const listener of pair) cancellation.remove(listener);
        cancellation.add(late);
      },
    }));
    const late = { onCancel: () => called.push('late') };
    for (const listener of pair) cancellation.add(listener);
    cancel();
    cancel();
    assert.equal(called.length, 1);
    assert.notEqual(called[0], 'late');
  });
}

test('a cancellation of a signal MUST listen to the signal only while the cancellation has listeners', () => {
  const { signal } = new AbortController();
  const cancellation = cancellationOf(signal);
  const count = () => getEventListeners(signal, 'abort').length;
  const listeners = [1, 2].map(() => ({ onCancel() {} }));
  assert.equal(count(), 0);
  for (const listener of listeners) cancellation.add(listener);
  assert.equal(count(), 1);
  for (const listener of listeners) cancellation.remove(listener);
  assert.equal(count(), 0);
});

test('`never` MUST NOT be cancelled and MUST NOT call its listeners', () => {
  never.add({ onCancel: () => assert.fail() });
  assert.equal(never.isCancelled, false);
});
