import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import plugin from '@graphql-eslint/eslint-plugin';
import { ESLint } from 'eslint';
import { acknowledged, breakingChanges, type Prints } from './breaking.ts';

function printsIn(folder: string): Prints {
  const names = readdirSync(folder).filter((name) => name.endsWith('.graphql'));
  return Object.fromEntries(names.map((name) => [name, readFileSync(`${folder}/${name}`, 'utf8')]));
}

const now = printsIn('schema');
const [latest = ''] = readdirSync('schema/released').toSorted((one, other) =>
  other.localeCompare(one, undefined, { numeric: true }),
);

test('what the last release promised MUST hold, or be acknowledged in the changelog', () => {
  assert.match(latest, /^\d+\.\d+\.\d+$/);
  const changelog = readFileSync('CHANGELOG.md', 'utf8');
  const known = acknowledged(changelog, latest);
  const changes = breakingChanges(printsIn(`schema/released/${latest}`), now);
  const line = (change: string) => `- Breaking: \`${change}\` Why, and what to do instead.`;
  assert.deepEqual(
    changes.filter((change) => !known.includes(change)).map(line),
    [],
    'Undo the change, or put these lines into CHANGELOG.md, above the last release, with a reason.',
  );
  assert.deepEqual(
    known.filter((change) => !changes.includes(change)),
    [],
    'CHANGELOG.md acknowledges what is not so.',
  );
});

/** One print with a change in it: what the comparison says. */
function after(file: string, from: string | RegExp, to: string): string[] {
  const text = now[file] ?? '';
  const changed = text.replace(from, to);
  assert.notEqual(changed, text, `${from} is not in ${file}`);
  return breakingChanges(now, { ...now, [file]: changed });
}

test('whatever breaks a client MUST be found', () => {
  const plain = 'schema.graphql';
  assert.deepEqual(after(plain, /(type Customer \{[^}]*)firstName:/, '$1forename:'), [
    'Customer.firstName was removed.',
  ]);
  assert.deepEqual(after(plain, 'objectReferenceId: String!\n', 'objectReferenceId: Int!\n'), [
    'CreateCustomerInput.objectReferenceId changed type from String! to Int!.',
  ]);
  assert.deepEqual(after(plain, 'RECONCILED', 'SETTLED'), [
    'RECONCILED was removed from enum type CreateCustomerOrigin.',
  ]);
});

test('whatever breaks a router or a stitching gateway MUST be found: a key, a lookup, a merge, a link, a scope', () => {
  const lost = (file: string, directive: string, place: string) =>
    assert.deepEqual(after(file, ` ${directive}`, ''), [`${directive} was removed from ${place} in ${file}.`]);
  lost('subgraph.graphql', '@key(fields: "objectReferenceId")', 'Customer');
  lost('subgraph.graphql', '@key(fields: "id")', 'Customer');
  const [lookup] = /\): Customer @lookup/.exec(now['composite.graphql'] ?? '') ?? [''];
  assert.deepEqual(after('composite.graphql', lookup, '): Customer'), [
    '@lookup was removed from Query.customer in composite.graphql.',
  ]);
  lost('stitching.graphql', '@merge(keyField: "id")', 'Query.customers');
  lost('stitching.graphql', '@key(selectionSet: "{ id }")', 'Customer');
  assert.match(
    after('subgraph.graphql', 'federation/v2.6', 'federation/v2.9').join(),
    /@link\(.+v2\.6.+ from schema in/,
  );
  assert.deepEqual(
    after('subgraph.graphql', 'type ClientAuthToken', 'type ClientAuthToken @requiresScopes(scopes: [["a"]])'),
    ['@requiresScopes(scopes: [["a"]]) was added to ClientAuthToken in subgraph.graphql.'],
  );
  const { 'stitching.graphql': _stitching, ...others } = now;
  assert.deepEqual(breakingChanges(now, others), ['stitching.graphql was removed.']);
});

test('a change MUST be acknowledged above the last release, word by word', () => {
  const changelog = [
    '# Changelog',
    '- Breaking: `an example.`',
    '## Unreleased',
    '- Breaking: `Customer.x was removed.` Nobody filled it.',
    '- Something else: `y`',
    '## 0.1.0',
    '- Breaking: `older.`',
  ].join('\n');
  assert.deepEqual(acknowledged(changelog, '0.1.0'), ['Customer.x was removed.']);
  assert.throws(() => acknowledged(changelog, '0.2.0'), /no heading/);
});

test('the release command MUST keep the prints of a version, and not change what was released', () => {
  const folder = mkdtempSync(join(tmpdir(), 'release-'));
  const script = resolve('tools/release-schema.js');
  const release = (...words: string[]) =>
    spawnSync(process.execPath, [script, ...words], { cwd: folder, encoding: 'utf8' }).status;
  mkdirSync(join(folder, 'schema/generated'), { recursive: true });
  writeFileSync(join(folder, 'schema/generated/persisted-documents.json'), '{ "sha256:1": "{ a }" }');
  writeFileSync(join(folder, 'package.json'), '{ "version": "1.2.3" }');
  const write = (name: string, text: string) => writeFileSync(join(folder, 'schema', name), text);
  write('schema.graphql', 'one');
  write('old.graphql', 'old');
  assert.deepEqual([release(), release()], [0, 0]);
  const kept = join(folder, 'schema/released/1.2.3');
  assert.equal(readFileSync(join(kept, 'persisted-documents.json'), 'utf8'), '{ "sha256:1": "{ a }" }');
  assert.deepEqual(printsIn(kept), { 'schema.graphql': 'one', 'old.graphql': 'old' });
  write('schema.graphql', 'other');
  rmSync(join(folder, 'schema/old.graphql'));
  assert.equal(release(), 1);
  assert.deepEqual(printsIn(kept), { 'schema.graphql': 'one', 'old.graphql': 'old' });
  assert.equal(release('--again'), 0);
  assert.deepEqual(printsIn(kept), { 'schema.graphql': 'other' });
  rmSync(folder, { recursive: true });
});

/** Where the schema does otherwise than graphql-eslint recommends, and why. */
const exceptions: Readonly<Record<string, { readonly types: readonly string[]; readonly why: string }>> = {
  '@graphql-eslint/strict-id-in-types': {
    why: 'these are answers and values, which no cache may keep by an id; a customer has one',
    types: [
      'ClientAuthToken',
      'CreateCustomerSuccess',
      'CustomerAlreadyExistsError',
      'CustomerNotFoundError',
      'CustomerOutcomeUnknownError',
      'CustomerUpstreamError',
      'CustomerValidationError',
      'CustomerValidationIssue',
      'UpdateCustomerSuccess',
    ],
  },
};

test('the schema MUST follow the recommended rules of graphql-eslint, but for named exceptions', async () => {
  const file = 'schema/schema.graphql';
  const eslint = new ESLint({
    overrideConfigFile: true,
    ignore: false,
    overrideConfig: [
      {
        files: ['**/*.graphql'],
        plugins: { '@graphql-eslint': plugin as ESLint.Plugin },
        languageOptions: { parser: plugin.parser, parserOptions: { graphQLConfig: { schema: file } } },
        rules: plugin.configs['flat/schema-recommended'].rules,
      },
    ],
  });
  const [result] = await eslint.lintText(readFileSync(file, 'utf8'), { filePath: file });
  const found = (result?.messages ?? []).map(({ ruleId, message }) => ({
    ruleId,
    type: /type "(\w+)"/.exec(message)?.[1],
  }));
  assert.deepEqual(
    found,
    Object.entries(exceptions).flatMap(([ruleId, { types }]) => types.map((type) => ({ ruleId, type }))),
  );
});

test('the version of the package MUST be one that the changelog knows', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  assert.match(readFileSync('CHANGELOG.md', 'utf8'), new RegExp(`^## ${version.replaceAll('.', '\\.')}$`, 'm'));
});
