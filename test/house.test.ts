import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' })
  .trim()
  .split('\n');
const read = (path: string) => readFileSync(path, 'utf8');
const source = tracked.filter((path) => /^(src|client\/src|codegen\.ts)/.test(path) && path.endsWith('.ts'));

/** Returns the lines that match, as `file:number: line`. */
function find(files: readonly string[], pattern: RegExp): string[] {
  return files.flatMap((path) =>
    read(path)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
}

test('source files MUST have at most 300 lines, and MUST NOT have a generic name', () => {
  assert.deepEqual(
    source.filter((path) => read(path).split('\n').length > 301),
    [],
  );
  assert.deepEqual(
    source.filter((path) => /\b(utils|common|types|services|helpers)\b/.test(path)),
    [],
  );
});

test('tests MUST NOT be skipped, focused or marked as todo', () => {
  const tests = tracked.filter((path) => path.endsWith('.test.ts') && path !== 'test/house.test.ts');
  assert.deepEqual(find(tests, /\b(test|it|describe)\.(skip|only|todo)\b|\b(skip|todo): /), []);
});

test('the source MUST NOT hold TODO comments, `any` or suppressed errors', () => {
  assert.deepEqual(
    find(
      source,
      /\b(TODO|FIXME|XXX|HACK)\b|: any\b(?! free)|\bas any\b|@ts-(ignore|nocheck|expect-error)|biome-ignore/,
    ),
    [],
  );
});

test('versions MUST be exact, and lockfiles MUST NOT hold registry URLs', () => {
  for (const path of tracked.filter((name) => name.endsWith('package.json'))) {
    const manifest = JSON.parse(read(path)) as Record<string, Record<string, string> | undefined>;
    for (const group of ['dependencies', 'devDependencies', 'optionalDependencies']) {
      for (const [name, version] of Object.entries(manifest[group] ?? {}))
        assert.match(version, /^(npm:@?[\w./-]+@)?\d+\.\d+\.\d+|^file:\.\./, `${path}: ${name}`);
    }
  }
  assert.deepEqual(
    find(
      tracked.filter((path) => path.endsWith('package-lock.json')),
      /"resolved": "http/,
    ),
    [],
  );
});

test('committed files MUST NOT hold machine-specific paths', () => {
  const texts = tracked.filter(
    (path) => !/\.(png|ico)$|package-lock\.json$/.test(path) && path !== 'test/house.test.ts',
  );
  assert.deepEqual(find(texts, /(^|[^\w.-])\/(work|root|farm|home)\/[a-z.]/), []);
});

/** Floating promises that never reject. */
const neverRejected = new Map([
  ['src/idempotency/idempotency.ts', ['void shared?.extend(this.#claim), leaseMs / 3).unref();']],
  ['src/gateway.ts', ['void inFlight.drain();']],
  // DataLoader rejects only if the batch function does.
  ['src/customers/batching.ts', ['void this.#loader.load(read);']],
  ['src/juspay/writes.ts', ['void promise.then(() => {', 'void tail.then(resolve);']],
  // Both outcomes are handled on the lines that follow.
  ['src/cli/process-end.ts', ['void stop().then(']],
]);

test('every floating promise MUST have a rejection handler, or be listed as never rejecting', () => {
  const dropped = source.flatMap((path) =>
    find([path], /^\s*void [\w(]|=> void [\w(]/).filter(
      (line) =>
        !/\.catch\(/.test(line) && !(neverRejected.get(path) ?? []).some((statement) => line.endsWith(statement)),
    ),
  );
  // The linter accepts `void`, but an unhandled rejection ends the process.
  assert.deepEqual(dropped, []);
});

test('listeners and timers MUST NOT call async functions, whose rejections would be unhandled', () => {
  const listener = /\b(?:on|once|addListener|addEventListener|createServer|setTimeout|setInterval|setImmediate)\(/;
  assert.deepEqual(find(source, new RegExp(`${listener.source}.*\\basync\\b`)), []);
});
