// Runs the tests and closes with a line that is true: `N passed, N failed`. A skipped test counts as failed, since
// nothing may be skipped, and a run without tests fails. Arguments, if any, are file patterns.
import { globSync } from 'node:fs';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const patterns = process.argv.slice(2);
const files = patterns.length > 0 ? patterns.flatMap((pattern) => globSync(pattern)) : globSync('test/**/*.test.ts');

let passed = 0;
let failed = 0;
const stream = run({
  files,
  concurrency: 2,
  execArgv: ['--unhandled-rejections=strict', '--expose-gc'],
  timeout: 600_000,
});
const isFile = ({ name, file }) => name === file || files.includes(name);
stream.on('test:pass', (data) => {
  if (data.details?.type === 'suite' || isFile(data)) return;
  if (data.skip !== undefined || data.todo !== undefined) failed += 1;
  else passed += 1;
});
stream.on('test:fail', (data) => {
  // A suite fails with its tests; a file that could not run at all fails by itself.
  if (data.details?.type === 'suite' || data.details?.error?.failureType === 'subtestsFailed') return;
  failed += 1;
});
stream.compose(new spec()).pipe(process.stdout);
stream.on('end', () => {
  process.stdout.once('drain', () => undefined);
  setImmediate(() => {
    if (passed + failed === 0) failed = 1;
    process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
    process.exitCode = failed > 0 ? 1 : 0;
  });
});
