import { test } from 'node:test';
import { assertSound, soak } from '../soak.ts';

/** The short form of `npm run soak`. */
test('all roles and operations against 16 kinds of faults, while clients leave, MUST lose, double and show nothing, and leave no rejection unhandled', async (context) => {
  const seed = Number(process.env['SOAK_SEED'] ?? 10);
  const report = await soak({ seed, durationMs: 2_000 });
  context.diagnostic(JSON.stringify(report));
  assertSound(report, { isLong: false });
});
