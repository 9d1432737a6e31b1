import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Outbox } from '../../src/http/outbox.ts';

test('responses of one turn of the event loop MUST be sent together and in order, at the end of the turn', async () => {
  const outbox = new Outbox();
  const sent: string[] = [];
  const put = (name: string, then?: () => void) =>
    outbox.put({
      send() {
        sent.push(name);
        then?.();
      },
    });
  put('a', () => put('c'));
  await Promise.resolve();
  put('b');
  assert.deepEqual(sent, []);
  await nextTurn();
  assert.deepEqual(sent, ['a', 'b'], 'a response that is put while others are sent belongs to the next turn');
  await nextTurn();
  assert.deepEqual(sent, ['a', 'b', 'c']);
});
