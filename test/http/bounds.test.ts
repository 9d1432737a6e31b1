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
