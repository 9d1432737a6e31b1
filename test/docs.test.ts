import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { tables } from '../tools/tables.ts';
import { rowsOf, withHarness } from './support.ts';

const root = new URL('../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .trim()
  .split('\n')
  .filter((path) => existsSync(new URL(path, root)));
const pages = tracked.filter((path) => /\.(md|txt)$/.test(path) && !path.startsWith('test/'));

for (const [name, { page, rows }] of Object.entries(tables)) {
  test(`the table of ${name} in ${page} MUST match the code`, () => {
    assert.ok(rows.length > 0);
    assert.deepEqual(rowsOf(read(page), name), rows);
  });
}

test('the field table MUST list every field of Customer and ClientAuthToken', () => {
  const fields = [...read('docs/graphiql.md').matchAll(/^\| `(?:Customer|ClientAuthToken)\.(\w+)` \|/gm)].map(
    ([, field]) => field,
  );
  const sdl = read('schema/schema.graphql');
  const declared = ['Customer', 'ClientAuthToken'].flatMap((type) => {
    const body = new RegExp(`^type ${type} {([\\s\\S]*?)^}`, 'm').exec(sdl)?.[1] ?? '';
    return [...body.matchAll(/^ {2}(\w+):/gm)].map(([, field]) => field);
  });
  assert.deepEqual(fields.toSorted(), declared.toSorted());
});

for (const [page, count] of [
  ['README.md', 2],
  ['docs/graphiql.md', 5],
  ['docs/composing.md', 1],
] as const) {
  test(`every operation of ${page} MUST return the result that follows it`, () =>
    withHarness(async (harness) => {
      const pairs = [...read(page).matchAll(/```graphql\n((?:(?!```)[\s\S])*)```\n\n```json\n([\s\S]*?)```/g)];
      assert.ok(pairs.length >= count);
      for (const [, operation = '', expected = ''] of pairs) {
        const { text } = await harness.ask(operation);
        assert.deepEqual(blurred(JSON.parse(text), JSON.parse(expected)), JSON.parse(expected), operation);
      }
    }));
}

test('README MUST have at most 250 lines, and AGENTS.md at most 40', () => {
  assert.ok(read('README.md').split('\n').length <= 251);
  assert.ok(read('AGENTS.md').split('\n').length <= 41);
});

test('every relative link MUST point to an existing file and heading', () => {
  const dead = pages.flatMap((page) =>
    linksOf(page).flatMap(({ target, path, anchor }) => {
      const isThere = path === '' || existsSync(new URL(path, root));
      const hasHeading = anchor === undefined || (isThere && headingsOf(path).includes(anchor));
      return isThere && hasHeading ? [] : [`${page}: ${target}`];
    }),
  );
  assert.deepEqual(dead, []);
});

test('every file that a page names by its path MUST exist', () => {
  const missing = pages.flatMap((page) =>
    [...read(page).matchAll(/`((?:src|client|test|schema|tools|bench)\/[\w./-]+\.\w+)`/g)].flatMap(([, path = '']) =>
      // The README of an example names its own files.
      existsSync(new URL(path, root)) || existsSync(new URL(path, new URL(page, root))) ? [] : [`${page}: ${path}`],
    ),
  );
  assert.deepEqual(missing, []);
});

test('every page MUST be reachable from README by links', () => {
  const reached = new Set(['README.md']);
  for (const page of reached) {
    if (!page.endsWith('.md')) continue;
    for (const { path } of linksOf(page)) if (pages.includes(path)) reached.add(path);
  }
  assert.deepEqual(
    pages.filter((page) => !reached.has(page)),
    [],
  );
});

test('the documentation MUST mention every room of src, every example and every folder at the root', () => {
  const text =
    ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'AGENTS.md'].map(read).join('\n') +
    pages
      .filter((page) => page.startsWith('docs/'))
      .map(read)
      .join('\n');
  const rooms = tracked
    .flatMap((path) => /^src\/[^/]+/.exec(path)?.[0] ?? [])
    .map((path) => path.replace(/^src\//, ''));
  const folders = tracked.flatMap((path) => /^(?:examples\/[^/.]+|[\w-]+)(?=\/)/.exec(path)?.[0] ?? []);
  assert.deepEqual(
    [...new Set([...rooms, ...folders])].filter((name) => !text.includes(name)),
    [],
  );
});

interface Link {
  readonly target: string;
  /** From the root of the repository. */
  readonly path: string;
  readonly anchor: string | undefined;
}

/** The relative links of a page. Links with a scheme are not checked. */
function linksOf(page: string): Link[] {
  const text = read(page).replace(/^```[\s\S]*?^```/gm, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor] = target.split('#');
      return { target, path: path === '' ? page : join(dirname(page), path).replaceAll('\\', '/'), anchor };
    });
}

/** The anchors that GitHub generates for the headings of a page. */
function headingsOf(path: string): string[] {
  return [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Replaces values with `…` wherever the expected result has `…`. */
function blurred(answer: unknown, expected: unknown): unknown {
  if (expected === '…' && typeof answer === 'string' && answer !== '') return '…';
  // `expiresInSeconds` decreases with time.
  if (typeof answer === 'number' && typeof expected === 'number' && answer > 0 && answer <= 900) return expected;
  if (Array.isArray(answer))
    return answer.map((item, index) => blurred(item, (expected as unknown[] | undefined)?.[index]));
  if (typeof answer !== 'object' || answer === null) return answer;
  return Object.fromEntries(
    Object.entries(answer).map(([name, value]) => [
      name,
      blurred(value, (expected as Record<string, unknown> | undefined)?.[name]),
    ]),
  );
}
