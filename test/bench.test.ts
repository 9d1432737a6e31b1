import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { createBench } from '../bench/compare.ts';
import { docsOf } from '../bench/docs.ts';
import { readResults } from '../bench/results.ts';
import { workloads } from '../bench/workloads.ts';

const run = promisify(execFile);

/** Reads the columns of a table by their titles. */
function columnsOf(output: string): (title: string) => (string | undefined)[] {
  const [titles = [], , ...rows] = output
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  return (title) => rows.map((row) => row[titles.indexOf(title)]);
}

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
  const column = columnsOf(stdout);
  assert.deepEqual(column('workload'), ['W1', 'W1', 'W5', 'W5']);
  assert.deepEqual(column('server'), ['limit', 'gateway', 'limit', 'gateway']);
  assert.deepEqual(column('upstream calls / operation'), ['1.00', '1.00', '1.00', '1.00']);
  assert.deepEqual(column('errors'), ['0', '0', '0', '0']);
});

test('the bench MUST measure one and two workers without wrong responses, with the supervisor', async () => {
  const short = ['--rounds', '1', '--seconds', '0.1', '--warm-up', '0.1'];
  const { stdout } = await run(process.execPath, ['bench/run.ts', '--scale', '--part', 'workers', ...short]);
  const column = columnsOf(stdout);
  assert.deepEqual(column('workload'), ['W1', 'W1', 'W1', 'W1', 'W5', 'W5', 'W5', 'W5']);
  assert.deepEqual(column('upstream latency ms'), ['0', '0', '20', '20', '0', '0', '20', '20']);
  assert.deepEqual(column('`WORKERS`'), ['1', '2', '1', '2', '1', '2', '1', '2']);
  assert.deepEqual(column('errors'), Array(8).fill('0'));
  assert.deepEqual(
    column('supervisor').map((us) => Number(us) > 0),
    [false, true, false, true, false, true, false, true],
  );
});

test('the bench MUST count responses that differ from the expected one', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'bench-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const bench = await createBench(folder);
  const candidate = await bench.start('limit', workloads.W1);
  t.after(() => candidate.server.stop());
  const good = await bench.measure(candidate, workloads.W1, 0.05, 0.05);
  const response = candidate.response.replace('Raghunathan', 'Raghunathen');
  const bad = await bench.measure({ ...candidate, response }, workloads.W1, 0.05, 0.05);
  assert.equal(good.errors, 0);
  assert.ok(bad.errors > 0 && bad.errors >= Math.round(bad.perSecond * bad.elapsedSeconds));
});

test('the page and the charts of the benchmark MUST show the published figures', () => {
  const stale = [...docsOf(readResults())].filter(([path, text]) => readFileSync(path, 'utf8') !== text);
  assert.deepEqual(
    stale.map(([path]) => path),
    [],
    'run `npm run bench -- --docs`',
  );
});
