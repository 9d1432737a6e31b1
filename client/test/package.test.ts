import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';

interface Manifest {
  readonly version: string;
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
  readonly dependencies?: object;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>;
}

const root = new URL('../../', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('client/package.json', root), 'utf8')) as Manifest;
const peers = Object.keys(manifest.peerDependencies);
const entries = Object.keys(manifest.exports).filter((entry) => !/\.\w+$/.test(entry));
const maxCoreBytes = 3 * 1024;
const maxFetcherBytes = 1_088;

interface Bundle {
  readonly bytes: number;
  /** Bundled files, relative to the root of the repository. */
  readonly files: readonly string[];
  /** Imports that the bundle leaves to the app. */
  readonly imports: readonly string[];
}

function fileOf(entry: string): string {
  const target = manifest.exports[entry];
  assert.ok(typeof target === 'object');
  return new URL(target.default, new URL('client/', root)).pathname;
}

/** Bundles a module as an app would, without peer dependencies. */
async function bundle(code: string): Promise<Bundle> {
  const name = 'virtual:app';
  const isPeer = (id: string) =>
    id.startsWith('node:') || peers.some((name) => id === name || id.startsWith(`${name}/`));
  const output = await build({
    configFile: false,
    logLevel: 'silent',
    root: new URL('client/', root).pathname,
    plugins: [
      {
        name: 'app',
        resolveId: (id) => (id === name ? `\0${name}` : undefined),
        load: (id) => (id === `\0${name}` ? code : undefined),
      },
    ],
    build: {
      write: false,
      minify: true,
      // Do not use the library mode, which keeps whitespace for the bundler of the app.
      rollupOptions: {
        input: name,
        external: isPeer,
        preserveEntrySignatures: 'strict',
      },
    },
  });
  const chunks = [output].flat().flatMap((one) => ('output' in one ? one.output : []));
  const made = chunks.flatMap((chunk) => (chunk.type === 'chunk' ? [chunk] : []));
  return {
    bytes: made.reduce((sum, chunk) => sum + gzipSync(chunk.code).byteLength, 0),
    files: made.flatMap(({ modules }) => Object.keys(modules)).map((id) => id.replace(root.pathname, '')),
    imports: [...new Set(made.flatMap(({ imports }) => imports))],
  };
}

const bundles = new Map<string, Bundle>();

before(async () => {
  for (const entry of entries) bundles.set(entry, await bundle(`export * from '${fileOf(entry)}';`));
});

after((context) => {
  const sizes = [...bundles].map(([entry, { bytes }]) => `${entry} ${bytes}`);
  if ('diagnostic' in context) context.diagnostic(`bytes, gzipped, without peers: ${sizes.join(', ')}`);
});

const serverEntries = ['./testing', './codegen'];

test('only the entries for tests and code generation MAY contain or import parts of the server or of Node', () => {
  assert.equal(entries.length, 9);
  const shared =
    /^client\/dist\/(client\/src\/.*|src\/(customers\/(input|identity)|errors)|schema\/generated\/[\w-]+)\.js$/;
  for (const [entry, { files, imports }] of bundles) {
    assert.deepEqual(
      // Virtual modules begin with a zero byte.
      files.filter((file) => !shared.test(file) && !file.startsWith('\0')),
      [],
      entry,
    );
    if (serverEntries.includes(entry)) continue;
    const forbidden = (name: string) =>
      name.startsWith('juspay-') || name.startsWith('node:') || builtinModules.includes(name);
    assert.deepEqual(imports.filter(forbidden), [], entry);
  }
});

test('the core MUST be at most 3 kB gzipped, and with all documents at most 3.7 kB', async (context) => {
  // A bundler removes the documents that an app does not use.
  const names = 'createCustomerClient, CustomerClientError, outcomeOf, unreachable';
  const core = await bundle(`export { ${names} } from '${fileOf('./client')}';`);
  assert.deepEqual(core.imports, []);
  const all = bundles.get('./client')?.bytes ?? 0;
  context.diagnostic(`core: ${core.bytes} bytes; with every document: ${all} bytes`);
  assert.ok(core.bytes <= maxCoreBytes, `${core.bytes} bytes`);
  assert.ok(all <= maxCoreBytes + 704, `${all} bytes`);
});

test('the fetcher MUST be at most 1.1 kB gzipped, including its errors', async (context) => {
  const transport = new URL('client/dist/client/src/transport.js', root).pathname;
  const { bytes } = await bundle(`export { createTransport } from '${transport}';`);
  context.diagnostic(`fetcher: ${bytes} bytes`);
  assert.ok(bytes <= maxFetcherBytes, `${bytes} bytes`);
});

test('each flavour MUST import its own GraphQL client only', () => {
  const importsOf = (entry: string) => bundles.get(entry)?.imports.toSorted();
  assert.deepEqual(importsOf('./react'), ['react']);
  assert.deepEqual(importsOf('./react-query'), ['@tanstack/react-query', 'react']);
  assert.deepEqual(importsOf('./urql'), ['react', 'urql']);
  assert.deepEqual(importsOf('./apollo'), ['@apollo/client', '@apollo/client/react', 'graphql', 'react']);
  assert.deepEqual(importsOf('./validation'), ['zod']);
  assert.deepEqual(importsOf('./msw'), ['msw']);
});

test('both packages MUST have the same version, and the client MUST accept a gateway of its version or later', () => {
  const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as Manifest;
  assert.equal(manifest.version, version);
  assert.equal(manifest.peerDependencies['juspay-customer-gateway'], `>=${version}`);
});

test('the package MUST have no dependencies, and each peer dependency MUST be optional and imported by an entry', () => {
  assert.equal(manifest.dependencies, undefined);
  const named = [...bundles.values()].flatMap(({ imports }) => imports);
  for (const peer of peers) {
    assert.equal(manifest.peerDependenciesMeta[peer]?.optional, true, peer);
    const isNamed = named.some((name) => name === peer || name.startsWith(`${peer}/`));
    // Imported for types only, or a peer dependency of another peer.
    assert.ok(isNamed || ['@graphql-codegen/plugin-helpers', '@urql/core', 'rxjs'].includes(peer), peer);
  }
});
