import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { createLineMerger } from '../../src/cli/workers/output.ts';

test('lines of several workers MUST NOT mix, however they arrive, and reading MUST stop while the output is busy', async () => {
  let text = '';
  let release = Promise.withResolvers<void>();
  const merger = createLineMerger({
    write(lines) {
      text += lines;
    },
    flush: () => release.promise,
  });
  const [first, second] = [new PassThrough(), new PassThrough()];
  merger.add(first);
  merger.add(second);
  const long = 'x'.repeat(50_000);
  first.write(`{"worker":1,"text":"${long.slice(0, 20_000)}`);
  second.write(`{"worker":2}\n{"worker":2,"text":"`);
  while (text === '') await new Promise((resolve) => setImmediate(resolve));
  assert.equal(text, '{"worker":2}\n');
  assert.deepEqual([first.isPaused(), second.isPaused()], [true, true]);
  first.write(`${long.slice(20_000)}"}\n{"worker":1,"last":tr`);
  second.end('end"}\n');
  release.resolve();
  release = Promise.withResolvers();
  release.resolve();
  await once(second, 'close');
  first.destroy();
  await once(first, 'close');
  const lines = text.trim().split('\n');
  assert.deepEqual(lines.map((line) => (JSON.parse(line) as { worker: number }).worker).toSorted(), [1, 2, 2]);
});
