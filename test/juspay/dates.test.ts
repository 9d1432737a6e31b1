import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeDate } from '../../src/juspay/dates.ts';

const twoDigits = fc.integer({ min: 0, max: 99 }).map((n) => String(n).padStart(2, '0'));

test('the usual form MUST be decoded as the general one decodes it, in valid and invalid dates', () => {
  let valid = 0;
  const year = fc.oneof(fc.integer({ min: 0, max: 9999 }), fc.constantFrom(999, 1000, 1900, 2000, 2023, 2024));
  const month = fc.oneof(twoDigits, fc.constantFrom('01', '02', '04', '12'));
  const day = fc.oneof(twoDigits, fc.constantFrom('00', '01', '28', '29', '30', '31', '32'));
  const part = fc.oneof(twoDigits, fc.constantFrom('00', '23', '24', '59', '60'));
  fc.assert(
    fc.property(year, month, day, part, part, part, (y, mo, d, h, mi, s) => {
      const text = `${String(y).padStart(4, '0')}-${mo}-${d}T${h}:${mi}:${s}Z`;
      const usual = decodeDate(text);
      if (usual !== undefined) valid += 1;
      // Lower case has the general form.
      assert.deepEqual(usual, decodeDate(text.toLowerCase()), text);
    }),
    { numRuns: 50_000 },
  );
  assert(valid > 500, String(valid));
});

test('a text with one character changed MUST be decoded as the general form decodes it', () => {
  const text = '2024-02-29T23:59:59Z';
  assert.equal(decodeDate(text)?.toISOString(), '2024-02-29T23:59:59.000Z');
  for (let at = 0; at < text.length; at += 1) {
    for (const character of '0123456789 -:/.TtZzA٣') {
      const changed = text.slice(0, at) + character + text.slice(at + 1);
      assert.deepEqual(decodeDate(changed), decodeDate(` ${changed}`), changed);
    }
  }
});
