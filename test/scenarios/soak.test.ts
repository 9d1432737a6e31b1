import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noDifferences } from '../fault-injection.ts';
import { boundsOf, soak } from '../soak.ts';

/** A short run of `npm run soak`. */
test('all roles and operations under 16 kinds of faults MUST NOT lose, duplicate or disclose a customer, nor cause an unhandled rejection', async (context) => {
  const seed = Number(process.env['SOAK_SEED'] ?? 10);
  const report = await soak({ seed, durationMs: 2_000 });
  context.diagnostic(JSON.stringify(report));
  assert.deepEqual(
    boundsOf(report, { isLong: false }).filter(({ isMet }) => !isMet),
    [],
  );
});

test('the report of a run MUST name each bound that is missed', () => {
  const failed = boundsOf(
    {
      seed: 1,
      operations: 1_000,
      disconnected: 119,
      unhandledRejections: 1,
      differences: { ...noDifferences, lostCreates: 2 },
      violations: 3,
      heap: [100, 100, 100, 100, 106],
      faults: { reset: 1 },
      outcomes: { 'read own SUCCESS': 1, 'create no scope FORBIDDEN': 1 },
    },
    { isLong: true },
  ).filter(({ isMet }) => !isMet);
  assert.deepEqual(
    failed.map(({ name, value }) => [name, value]),
    [
      ['unhandled rejections', 1],
      ['lostCreates', 2],
      ['customers disclosed or changed without the right', 3],
      ['share of clients that left', 0.119],
      ['pairs of role and operation', 2],
      ['create own CreateCustomerSuccess', 0],
      ['update unbound UpdateCustomerSuccess', 0],
      ['kinds of faults', 1],
      ['heap, fifth sample to second', 1.06],
    ],
  );
});
