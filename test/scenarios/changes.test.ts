import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missedBounds, runChanges } from '../changes.ts';

/** Short runs of `npm run changes`. */
for (const workers of [1, 2])
  test(`changes of keys, merchants, secrets and manifests under load, with ${workers === 1 ? 'one process' : 'two workers'}, MUST NOT fail an operation, MUST be counted and audited, and MUST end the use of removed values`, async (context) => {
    const report = await runChanges({ operations: 300, swaps: 2, workers });
    context.diagnostic(JSON.stringify(report));
    assert.deepEqual(missedBounds(report, { isTimed: false }), []);
    assert.ok(report.operations >= 300);
  });

test('the report of changes MUST name each bound that is missed', () => {
  const sound = {
    linesInLog: 20,
    linesInAuditFile: 20,
    metric: 20,
    appliedMs: 700,
    lastUseMs: 1_000,
    lastUseAfterLineMs: -5,
  };
  const report = {
    workers: 1,
    swaps: 20,
    operations: 10_000,
    failed: 1,
    failures: ['500 {}'],
    durationMs: 30_000,
    auditFile: 1,
    settings: {
      JUSPAY_API_KEY_FILE: { ...sound, lastUseMs: 1_001 },
      MERCHANTS_FILE: { ...sound, lastUseAfterLineMs: 1_001 },
      AUTH_JWT_SECRET_FILE: { ...sound, linesInLog: 19 },
      AUTH_API_KEYS_FILE: { ...sound, linesInAuditFile: 21 },
      PERSISTED_DOCUMENTS_FILE: { ...sound, metric: 0 },
    },
  };
  const always = [
    '1 operations failed',
    'audit verify: exit code 1',
    'MERCHANTS_FILE: removed value used 1001 ms after the line',
    'AUTH_JWT_SECRET_FILE: linesInLog 19 of 20',
    'AUTH_API_KEYS_FILE: linesInAuditFile 21 of 20',
    'PERSISTED_DOCUMENTS_FILE: metric 0 of 20',
  ];
  assert.deepEqual(missedBounds(report, { isTimed: false }), always);
  assert.deepEqual(
    missedBounds(report, { isTimed: true }),
    always.toSpliced(2, 0, 'JUSPAY_API_KEY_FILE: removed value used 1001 ms after the swap'),
  );
});
