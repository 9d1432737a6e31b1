import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);

test('the bench MUST measure the production build without wrong responses', async () => {
  const short = ['--rounds', '1', '--seconds', '0.3', '--warm-up', '0.3'];
  const { stdout } = await run(process.execPath, [
    'bench/run.ts',
    '--workload',
    'W1,W5',
    '--server',
    'gateway',
    ...short,
  ]);
  const [titles = [], , ...rows] = stdout
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  const column = (title: string) => rows.map((row) => row[titles.indexOf(title)]);
  assert.deepEqual(column('workload'), ['W1', 'W1', 'W5', 'W5']);
  assert.deepEqual(column('server'), ['limit', 'gateway', 'limit', 'gateway']);
  assert.deepEqual(column('upstream calls / operation'), ['1.00', '1.00', '1.00', '1.00']);
  assert.deepEqual(column('errors'), ['0', '0', '0', '0']);
});
