import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ResponseBatch } from '../../src/http/response-batch.ts';

test('responses of one turn of the event loop MUST be sent together and in order, at the end of the turn', async () => {
  const batch = new ResponseBatch();
  const sent: string[] = [];
  const put = (name: string, then?: () => void) =>
    batch.add({
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
