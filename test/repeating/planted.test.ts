import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { plants } from './plant.ts';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** The run that finds each fault, and the entry of the books that shows it. */
const foundBy = {
  'the key is not bound to the caller': ['sound', 'unexplained'],
  'the answer of a failed write is kept': ['lossy', 'unsettled'],
  'a repeat does not wait': ['sound', 'duplicates'],
} as const satisfies Record<keyof typeof plants, readonly [string, string]>;

/** The books of each run. */
async function run(plant: string, ...runs: readonly string[]): Promise<Record<string, number>[]> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', path('plant.ts'), path('planted.ts'), ...runs],
    { env: { ...process.env, PLANT: plant } },
  );
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number>);
}

test('without a planted fault, the books MUST agree', async () => {
  const balances = await run('', 'lossy', 'sound');
  assert.equal(balances.length, 2);
  for (const balance of balances) assert.deepEqual(new Set(Object.values(balance)), new Set([0]));
});

for (const [plant, [name, entry]] of Object.entries(foundBy)) {
  test(`the planted fault "${plant}" MUST be found`, async () => {
    const [balance = {}] = await run(plant, name);
    assert.ok((balance[entry] ?? 0) > 0, JSON.stringify(balance));
  });
}
