import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareHandlers, plantedDifferences } from '../differential.ts';

test('a plain POST and the same POST through Yoga MUST have the same response, log lines, audit, metrics and upstream calls', async (context) => {
  const { requests, plain, statuses, differences } = await compareHandlers({ seed: 1, requests: 5_000 });
  context.diagnostic(JSON.stringify(statuses));
  assert.deepEqual(differences, []);
  assert.equal(plain, requests, 'the plain handler serves all requests of one side, and none of the other');
  for (const status of ['200', '400', '401', '406', '415', 'none']) assert.ok((statuses[status] ?? 0) > 10, status);
});

for (const plant of plantedDifferences) {
  test(`a planted difference in a ${plant} MUST be found`, async () => {
    const { differences } = await compareHandlers({ seed: 1, requests: 48, plant });
    assert.notEqual(differences.length, 0);
  });
}
