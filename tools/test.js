// Runs the tests and prints `N passed, N failed` as the last line. Skipped tests count as failed. A run without tests fails. So does a file
// whose process does not end. Arguments are file patterns.
import { randomBytes } from 'node:crypto';
import { globSync } from 'node:fs';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const patterns = process.argv.slice(2);
const files =
  patterns.length > 0
    ? patterns.flatMap((pattern) => globSync(pattern))
    : globSync('{test,client/test}/**/*.test.{ts,tsx}', { exclude: ['**/node_modules'] });

// Tests use this value as personal data and as secrets. The run fails if the output contains it.
process.env.CANARY = `canary-${randomBytes(6).toString('hex')}`;
let printedCanary = false;

// A test that hangs fails after its time limit. What it opened can still keep the process of its file running, so the whole run ends after a
// time without results.
const testLimitMs = 300_000;
const silenceLimitMs = testLimitMs + 60_000;
const endingLimitMs = 15_000;
const hung = new AbortController();
const running = new Set();

let passed = 0;
let failed = 0;
const stream = run({
  files,
  concurrency: 2,
  execArgv: ['--unhandled-rejections=strict', '--expose-gc'],
  timeout: testLimitMs,
  signal: hung.signal,
});
const isFile = ({ name, file }) => name === file || files.includes(name);
const silence = setTimeout(() => {
  process.stdout.write(`\n✖ these files MUST end: ${[...running].join(', ')}\n`);
  hung.abort();
  setTimeout(() => {
    failed += 1;
    end();
  }, endingLimitMs);
}, silenceLimitMs);
stream.on('test:dequeue', ({ name }) => {
  if (files.includes(name)) running.add(name);
});
stream.on('test:complete', ({ name }) => {
  silence.refresh();
  running.delete(name);
});
stream.on('test:pass', (data) => {
  if (data.details?.type === 'suite' || isFile(data)) return;
  if (data.skip !== undefined || data.todo !== undefined) failed += 1;
  else passed += 1;
});
stream.on('test:fail', (data) => {
  // Do not count a suite that fails because of its tests. Do count a file that could not run.
  if (data.details?.type === 'suite' || data.details?.error?.failureType === 'subtestsFailed') return;
  failed += 1;
});
let printed = '';
const output = stream.compose(new spec());
output.on('data', (chunk) => {
  printed = printed.slice(-process.env.CANARY.length) + chunk;
  printedCanary ||= printed.includes(process.env.CANARY);
});
output.pipe(process.stdout);
stream.on('end', () => setImmediate(end));

function end() {
  if (printedCanary) {
    failed += 1;
    process.stdout.write('\n✖ the output MUST NOT contain the canary value: see above\n');
  } else if (patterns.length === 0) {
    passed += 1;
    process.stdout.write('\n✔ the output MUST NOT contain the canary value\n');
  }
  if (passed + failed === 0) failed = 1;
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`, () => process.exit(failed > 0 ? 1 : 0));
}
