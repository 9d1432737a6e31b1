import assert from 'node:assert/strict';
import { test } from 'node:test';
import { programNames, programs } from './programs.ts';
import { runProgram } from './run.ts';

// `npm run repeating` runs 4,000 creates and 2,000 updates of each program.
const sizes = { seed: 1, creates: 64, updates: 32 };
/** A page takes a second for each operation. */
const fewer = { seed: 1, creates: 6, updates: 4 };

for (const name of programNames) {
  const program = programs[name];
  for (const keyed of program.hasOwnKeys ? [false] : [false, true]) {
    const title = `${name} ${keyed ? 'with' : 'without'} an Idempotency-Key`;
    test(`${title} MUST make no customer twice, lose no acknowledged write, and fail no write that happened`, async () => {
      const report = await runProgram(program, { ...(program.scale === undefined ? sizes : fewer), keyed });
      const { duplicates, falseFailures, unexplained, lost, unsettled } = report;
      assert.deepEqual(
        { duplicates, falseFailures, unexplained, lost, unsettled },
        { duplicates: 0, falseFailures: 0, unexplained: 0, lost: 0, unsettled: 0 },
      );
      if (keyed) assert.equal(report.undone, 0);
      if (program.scale === undefined) assert.ok(report.requestFaults > 0 && report.callFaults > 0);
      assert.ok(report.done > 0);
    });
  }
}
