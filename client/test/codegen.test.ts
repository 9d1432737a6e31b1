import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { codegen } from '@graphql-codegen/core';
import { parse } from 'graphql';
import { type PresetConfig, preset } from '../src/codegen/preset.ts';

// Inside the repository, so that imports of the package by name resolve.
const folder = new URL('../../.cache/codegen/', import.meta.url);
const schema = parse(readFileSync(new URL('../../schema/schema.graphql', import.meta.url), 'utf8'));

const operations = `
  query CheckoutCustomer($reference: String!) { customerByReference(objectReferenceId: $reference) { id emailAddress } }
  query Both($a: ID!, $b: ID!) { a: customer(id: $a) { id } b: customer(id: $b) { id } }
  query Minting($id: ID!) { customer(id: $id) { clientAuthToken { token } } }
  mutation Rename($id: ID!, $input: UpdateCustomerInput!) {
    updateCustomer(id: $id, input: $input) {
      ... on UpdateCustomerSuccess { customer { id firstName } }
      ... on CustomerError { code message retryable requestId }
    }
  }
`;

async function generate(documents: string, presetConfig: PresetConfig = {}): Promise<void> {
  const section = await preset.buildGeneratesSection({
    baseOutputDir: folder.pathname,
    schema,
    documents: [{ location: 'own.graphql', document: parse(documents) }],
    config: {},
    presetConfig,
    plugins: [],
    pluginMap: {},
  });
  mkdirSync(folder, { recursive: true });
  for (const file of section) writeFileSync(file.filename, await codegen(file));
}

before(() => rmSync(folder, { recursive: true, force: true }));
after(() => rmSync(folder, { recursive: true, force: true }));

const read = (file: string) => readFileSync(new URL(file, folder), 'utf8');

test('the preset MUST generate documents, hooks and handlers that compile', async () => {
  await generate(operations);
  assert.deepEqual(readdirSync(folder).toSorted(), [
    'apollo.ts',
    'asts.ts',
    'documents.ts',
    'fixtures.ts',
    'msw.ts',
    'operations.ts',
    'persisted-documents.json',
    'possible-types.ts',
    'react-query.ts',
    'urql.ts',
  ]);
  writeFileSync(
    new URL('tsconfig.json', folder),
    JSON.stringify({ extends: '../../tsconfig.json', compilerOptions: { lib: ['es2024', 'dom'] }, include: ['.'] }),
  );
  const { status, stdout } = spawnSync('node_modules/.bin/tsc', ['-p', folder.pathname], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});

test('the preset MUST NOT generate a hook for a query that selects the token', () => {
  for (const file of ['react-query.ts', 'urql.ts', 'apollo.ts']) {
    assert.match(read(file), /\buseCheckoutCustomer\b/);
    assert.doesNotMatch(read(file), /\buseMinting\b/);
  }
  assert.match(read('documents.ts'), /\bMintingDocument\b/);
});

test('the manifest MUST keep its earlier documents', async () => {
  const before = JSON.parse(read('persisted-documents.json')) as Record<string, string>;
  await generate('query Later($id: ID!) { customer(id: $id) { id lastName } }', { flavours: ['react-query'] });
  const now = JSON.parse(read('persisted-documents.json')) as Record<string, string>;
  for (const [id, text] of Object.entries(before)) assert.equal(now[id], text);
  assert.equal(Object.keys(now).length, Object.keys(before).length + 1);
});

test('the preset MUST reject documents that are invalid for the schema, and report every problem', async () => {
  await assert.rejects(generate('query Wrong { customer(id: 1) { nickname } nobody }'), /nickname[\s\S]*nobody/);
});

test('the preset MUST reject an operation that the kit cannot support, and say how to change it', async () => {
  const create = (success: string, more = '') => `mutation Register($input: CreateCustomerInput!) {
    createCustomer(input: $input) { ... on CreateCustomerSuccess { customer { ${success} } } ${more} }
  }`;
  const token = 'clientAuthToken { token expiresAt expiresInSeconds }';
  const rejected = {
    [create(token)]: /^Register: select `id`, and of `clientAuthToken`/,
    [create('id clientAuthToken { token }')]: /cannot store it without these fields\.$/,
    [`${create('id ...T')} fragment T on Customer { clientAuthToken { token } }`]: /^Register: select `id`/,
    [create('id firstName', '... on CustomerAlreadyExistsError { existing { id } differingFields }')]:
      /^Register: select the fields of `customer` in `existing` too: firstName\./,
    [create('id').replaceAll('$input', '$data')]: /^Register: make one create, with the argument `input: \$input`/,
    [`mutation Twice($input: CreateCustomerInput!) { a: createCustomer(input: $input) { __typename } b: createCustomer(input: $input) { __typename } }`]:
      /^Twice: make one create/,
    [create('id').replace('customer {', 'who: customer {')]: /^Register: select `customer`, .* without aliases/,
    'query lower { __typename } query Lower { __typename }': /several operations would have the name Lower\.$/,
    'query Customer($id: ID!) { customer(id: $id) { id } }': /^Customer: the kit has an operation with this name\./,
  };
  for (const [document, message] of Object.entries(rejected)) {
    await assert.rejects(generate(document, { flavours: [] }), ({ message: text }: Error) => message.test(text));
  }
  await generate(create(`id ${token}`, '... on CustomerAlreadyExistsError { existing { id } differingFields }'), {
    flavours: [],
  });
  await generate(create('id firstName', '... on CustomerAlreadyExistsError { existing { id } }'), { flavours: [] });
});

test('`codegen.ts --check` MUST fail if the schema or an operation changed and the generated files did not', () => {
  const copy = mkdtempSync(join(tmpdir(), 'codegen-'));
  const paths = [
    'codegen.ts',
    'package.json',
    '.env.example',
    'src',
    'client/src',
    'schema',
    'examples',
    'docs',
    'tools',
  ];
  for (const path of paths) {
    cpSync(path, join(copy, path), { recursive: true, filter: (source) => !source.includes('node_modules') });
  }
  symlinkSync(resolve('node_modules'), join(copy, 'node_modules'), 'junction');
  const staleAfter = (file: string, from: string, to: string): string[] => {
    const text = readFileSync(join(copy, file), 'utf8');
    assert.ok(text.includes(from));
    writeFileSync(join(copy, file), text.replace(from, to));
    const { status, stderr } = spawnSync('node', ['codegen.ts', '--check'], { cwd: copy, encoding: 'utf8' });
    writeFileSync(join(copy, file), text);
    const stale = [...stderr.matchAll(/^schema\/generated\/(\S+) is out of date/gm)].map(([, name = '']) => name);
    assert.equal(status, stale.length > 0 ? 1 : 0, stderr);
    return stale;
  };
  try {
    assert.deepEqual(staleAfter('codegen.ts', '', ''), []);
    const field = 'emailAddress: t.string({ required: true,';
    assert.deepEqual(staleAfter('src/graphql/mutations.ts', field, 'emailAddress: t.string({'), ['operations.ts']);
    assert.deepEqual(staleAfter('schema/operations/CustomerFields.graphql', '  lastUpdated\n', '').toSorted(), [
      'asts.ts',
      'documents.ts',
      'fixtures.ts',
      'operations.ts',
      'persisted-documents.json',
    ]);
  } finally {
    rmSync(copy, { recursive: true });
  }
});
