import { test } from 'node:test';
import { assertSound, soak } from '../soak.ts';

/** A short run of `npm run soak`. */
test('all roles and operations under 16 kinds of faults MUST NOT lose, duplicate or disclose a customer, nor cause an unhandled rejection', async (context) => {
  const seed = Number(process.env['SOAK_SEED'] ?? 10);
  const report = await soak({ seed, durationMs: 2_000 });
  context.diagnostic(JSON.stringify(report));
  assertSound(report, { isLong: false });
});
