import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBodies } from '../../src/http/bodies.ts';
import { answerType, isJson } from '../../src/http/media.ts';

test('the number of incomplete bodies MUST be limited, and the oldest MUST be refused first', async () => {
  const bodies = createBodies({ maxCount: 1, maxBytes: 1_000_000, timeoutMs: 60_000 });
  const oldest = bodies.read(new ReadableStream(), 10);
  const next = bodies.read(new Blob(['abc']).stream(), 10);
  await assert.rejects(oldest, { code: 'OVERLOADED', status: 503 });
  assert.equal((await next).byteLength, 3);
});

test('headers that are parsed before authentication MUST have a length limit', () => {
  const commas = ','.repeat(16_000);
  assert.equal(answerType(`application/json${commas}`), 'application/json');
  assert.equal(answerType(`${commas}application/json`), undefined);
  assert.equal(isJson('application/json; charset=utf-8'), true);
  assert.equal(isJson(`application/json${';a=b'.repeat(4_000)}`), false);
});

test('the chunks of a body that arrives byte by byte MUST be copied and released', async () => {
  const count = 2_000;
  const chunks: WeakRef<Uint8Array>[] = [];
  const all = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (chunks.length === count) {
        all.resolve();
        await finish.promise;
        controller.close();
        return;
      }
      const chunk = new Uint8Array([chunks.length % 256]);
      chunks.push(new WeakRef(chunk));
      controller.enqueue(chunk);
    },
  });
  const body = createBodies().read(stream, 65_536);
  await all.promise;
  // A weak reference keeps its target until the current turn ends.
  await new Promise((resolve) => setImmediate(resolve));
  globalThis.gc?.();
  const kept = chunks.filter((chunk) => chunk.deref() !== undefined).length;
  assert.ok(kept < count / 10, `${kept} of ${count} chunks are kept`);
  finish.resolve();
  assert.deepEqual(
    [...(await body)],
    Array.from({ length: count }, (_, index) => index % 256),
  );
});
