import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createDatePrinter } from '../../src/graphql/dates.ts';

const print = createDatePrinter();

test('a date MUST be printed as toISOString prints it, without milliseconds that are zero', () => {
  const dates = fc.oneof(
    fc.date({ noInvalidDate: true }),
    fc.integer({ min: -8_640_000_000_000, max: 8_640_000_000_000 }).map((seconds) => new Date(seconds * 1_000)),
  );
  fc.assert(
    fc.property(dates, (date) => {
      assert.equal(print(date), date.toISOString().replace('.000Z', 'Z'));
      // From the kept text of the day.
      assert.equal(print(date), date.toISOString().replace('.000Z', 'Z'));
    }),
    { numRuns: 2_000 },
  );
  assert.throws(() => print(new Date(Number.NaN)), RangeError);
});
