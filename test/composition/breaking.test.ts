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

test('each breaking change since the last release MUST be acknowledged in the changelog', () => {
  assert.match(latest, /^\d+\.\d+\.\d+$/);
  const changelog = readFileSync('CHANGELOG.md', 'utf8');
  const known = acknowledged(changelog, latest);
  const changes = breakingChanges(printsIn(`schema/released/${latest}`), now);
  const line = (change: string) => `- Breaking: \`${change}\` Why, and what to do instead.`;
  assert.deepEqual(
    changes.filter((change) => !known.includes(change)).map(line),
    [],
    'Revert the change, or add these lines with a reason to CHANGELOG.md above the last release.',
  );
  assert.deepEqual(
    known.filter((change) => !changes.includes(change)),
    [],
    'CHANGELOG.md acknowledges a change that does not exist.',
  );
});

/** Returns the breaking changes after a replacement in one print. */
function after(file: string, from: string | RegExp, to: string): string[] {
  const text = now[file] ?? '';
  const changed = text.replace(from, to);
  assert.notEqual(changed, text, `${from} is not in ${file}`);
  return breakingChanges(now, { ...now, [file]: changed });
}

test('changes that break a client MUST be found', () => {
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

test('changes of keys, lookups, merges, links and scopes that break a router or a stitching gateway MUST be found', () => {
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
    after('subgraph.graphql', 'federation/v2.5', 'federation/v2.9').join(),
    /@link\(.+v2\.5.+ from schema in/,
  );
  assert.deepEqual(
    after('subgraph.graphql', 'type ClientAuthToken', 'type ClientAuthToken @requiresScopes(scopes: [["a"]])'),
    ['@requiresScopes(scopes: [["a"]]) was added to ClientAuthToken in subgraph.graphql.'],
  );
  const { 'stitching.graphql': _stitching, ...others } = now;
  assert.deepEqual(breakingChanges(now, others), ['stitching.graphql was removed.']);
});

test('a change MUST be acknowledged verbatim above the last release', () => {
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

test('the release command MUST store the prints of a version and MUST NOT overwrite a release', () => {
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

/** Exceptions from the rules that graphql-eslint recommends, with their reason. */
const exceptions: Readonly<Record<string, { readonly types: readonly string[]; readonly why: string }>> = {
  '@graphql-eslint/strict-id-in-types': {
    why: 'results and values have no identity, so caches must not normalize them; a customer has an id',
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

test('the schema MUST follow the recommended rules of graphql-eslint, except for the listed exceptions', async () => {
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

test('the changelog MUST have a heading for the version of the package', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  assert.match(readFileSync('CHANGELOG.md', 'utf8'), new RegExp(`^## ${version.replaceAll('.', '\\.')}$`, 'm'));
});
