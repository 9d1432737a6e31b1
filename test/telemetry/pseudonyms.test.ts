import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { createPseudonyms } from '../../src/telemetry/pseudonyms.ts';

const texts = fc.string({ unit: 'grapheme', maxLength: 300 });

test('a pseudonym MUST be the beginning of the HMAC with the key of the merchant, for keys and texts of any length', () => {
  fc.assert(
    fc.property(texts, texts, (key, text) => {
      const { of, ofCaller } = createPseudonyms(key);
      const expected = createHmac('sha256', key).update(text).digest('hex').slice(0, 16);
      assert.deepEqual([of(text), of(text), ofCaller(text), ofCaller(text)], Array(4).fill(expected));
    }),
  );
});
