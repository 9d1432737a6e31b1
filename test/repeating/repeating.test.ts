import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { rowsOf } from '../support.ts';
import { modes } from './modes.ts';
import { programNames, programs } from './programs.ts';
import { runProgram } from './run.ts';
import { readResults, rowsOfResults } from './table.ts';

const page = readFileSync('docs/retries.md', 'utf8');

test('the table of docs/retries.md MUST have a row for each program, with the figures of published runs at full size', () => {
  const results = readResults();
  for (const [name, { modes: found }] of Object.entries(results)) {
    const program = programs[programNames.find((known) => known === name) ?? assert.fail(name)];
    const { scale = 1, hasOwnKeys } = program;
    for (const mode of ['plain', ...(hasOwnKeys ? [] : ['keyed' as const])] as const) {
      // Updates come in fours.
      const full = [3 * 4_000 * scale, 3 * 4 * Math.ceil((2_000 * scale) / 4)];
      assert.deepEqual([found[mode]?.creates, found[mode]?.updates], full, name);
    }
    const expected = Object.entries(modes).filter(([, mode]) => !(hasOwnKeys && 'keyed' in mode));
    assert.deepEqual(Object.keys(found).toSorted(), expected.map(([mode]) => mode).toSorted(), name);
  }
  const rows = rowsOf(page, 'repeating');
  assert.equal(rows.length, programNames.length);
  assert.deepEqual(rows, rowsOfResults(results));
});

test('the lines of docs/retries.md that judge a result MUST be those of the tests', () => {
  const [, lines = ''] =
    /<whatToTell>\n([\s\S]*)\/\/ <\/whatToTell>/.exec(readFileSync('test/repeating/outcome.ts', 'utf8')) ?? [];
  assert.ok(lines.length > 0);
  assert.ok(page.includes(`\`\`\`ts\n${lines}\`\`\``));
});

// `npm run repeating` runs 4,000 creates and 2,000 updates of each program.
const sizes = { seed: 1, creates: 64, updates: 32 };

for (const name of programNames) {
  const program = programs[name];
  for (const keyed of program.hasOwnKeys ? [false] : [false, true]) {
    const title = `${name} ${keyed ? 'with' : 'without'} an Idempotency-Key`;
    test(`${title} MUST make no customer twice, lose no acknowledged write, and fail no write that happened`, async () => {
      const report = await runProgram(program, { ...sizes, keyed });
      const { duplicates, falseFailures, unexplained, lost, unsettled } = report;
      assert.deepEqual(
        { duplicates, falseFailures, unexplained, lost, unsettled },
        { duplicates: 0, falseFailures: 0, unexplained: 0, lost: 0, unsettled: 0 },
      );
      if (keyed) assert.equal(report.undone, 0);
      assert.ok(report.requestFaults > 0 && report.callFaults > 0);
      assert.ok(report.done > 0);
    });
  }
}
