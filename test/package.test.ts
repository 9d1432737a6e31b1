import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

// Tests of the packed package, unpacked in a project that has only its declared dependencies. The dependencies are linked, so that no
// network is needed.

const run = promisify(execFile);
const name = 'juspay-customer-gateway';
const consumer = mkdtempSync(join(tmpdir(), 'consumer-'));
let tarball = '';
let packed: { readonly path: string; readonly size: number }[] = [];

const inConsumer = (command: string, ...words: string[]) => run(command, words, { cwd: consumer });
const write = (path: string, text: string) => writeFileSync(join(consumer, path), text);

function link(dependency: string, target: string): void {
  const path = join(consumer, 'node_modules', dependency);
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(resolve(target), path, 'junction');
}

before(async () => {
  // Skip `prepack`: it would rebuild `dist` while other tests use it.
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', consumer]);
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: typeof packed }];
  tarball = join(consumer, filename);
  packed = files;
  const home = join(consumer, 'node_modules', name);
  mkdirSync(home, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', home, '--strip-components=1']);
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
    dependencies: object;
    peerDependencies: object;
  };
  for (const dependency of Object.keys({ ...dependencies, ...peerDependencies }))
    link(dependency, `node_modules/${dependency}`);
  write('package.json', JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
});

after(() => rmSync(consumer, { recursive: true }));

test('the package MUST hold exactly the files that users need', () => {
  const tops = new Set(packed.map(({ path }) => path.replace(/\/.*/, '')));
  assert.deepEqual([...tops].toSorted(), [
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'SECURITY.md',
    'bin',
    'dist',
    'package.json',
    'schema',
  ]);
  assert.ok(packed.every(({ path }) => !path.startsWith('dist/') || /\.js$|\.d\.ts$/.test(path)));
  assert.ok(packed.some(({ path }) => path === 'schema/generated/persisted-documents.json'));
  const bytes = packed.reduce((sum, { size }) => sum + size, 0);
  assert.ok(bytes < 2_000_000, `${bytes} bytes`);
});

test('every entry MUST work in an empty project', async () => {
  write(
    'main.js',
    `import { createGateway, codes } from '${name}';
import { createNodeGateway, startServer } from '${name}/node';
import { buildSchema, printPlain } from '${name}/schema';
import { startSandbox } from '${name}/sandbox';
import { readFileSync } from 'node:fs';

const file = (path) => readFileSync(new URL(import.meta.resolve('${name}/' + path)), 'utf8');
const sandbox = await startSandbox();
const { url: baseUrl, apiKey, merchantId } = sandbox;
const options = { juspay: { baseUrl, apiKey, merchantId }, auth: { mode: 'none' }, logLevel: 'silent' };
const init = (body) => ({ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
const query = '{ customer(id: "u7") { id } }';

const gateway = createGateway(options);
const mounted = await (await gateway.fetch(new Request('http://app.test/graphql', init({ query })))).json();
await gateway.dispose();

const listening = createNodeGateway({ ...options, persisted: { only: true } });
const server = await startServer(listening, { host: '127.0.0.1', port: 0 });
const [documentId] = Object.entries(JSON.parse(file('schema/generated/persisted-documents.json')))
  .find(([, text]) => /query Customer\\(/.test(text));
const persisted = await (await fetch(server.url + '/graphql', init({ documentId, variables: { id: 'u7' } }))).json();
await server.stop(1000);
await listening.dispose();
await sandbox.close();

console.log(JSON.stringify({
  mounted, persisted: persisted.data?.customer?.id ?? persisted,
  isPrint: printPlain(buildSchema()) === file('schema/schema.graphql'),
  code: codes.OVERLOADED.retryable,
  version: JSON.parse(file('package.json')).version,
}));
`,
  );
  const { stdout } = await inConsumer(process.execPath, 'main.js');
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  assert.deepEqual(JSON.parse(stdout), {
    mounted: { data: { customer: { id: 'cst_0123456789abcdef' } } },
    persisted: 'cst_0123456789abcdef',
    isPrint: true,
    code: true,
    version,
  });
});

// The oldest and the newest supported version of graphql, each installed by npm next to the package.
for (const version of ['16.11.0', '17.1.0']) {
  test(`an app with graphql ${version} MUST have a single copy of it, which the gateway and the test gateway use`, async () => {
    const app = join(consumer, `graphql-${version}`);
    mkdirSync(app);
    writeFileSync(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }));
    const [clientPacked] = JSON.parse(
      (await run('npm', ['pack', './client', '--ignore-scripts', '--json', '--pack-destination', app])).stdout,
    ) as [{ filename: string }];
    const install = () =>
      run(
        'npm',
        ['install', '--prefer-offline', '--no-audit', `graphql@${version}`, tarball, `./${clientPacked.filename}`],
        { cwd: app },
      );
    // The registry fails temporarily.
    await install().catch(install).catch(install);
    writeFileSync(
      join(app, 'main.js'),
      `import { version, graphql } from 'graphql';
import { CreateCustomerDocument, CustomerDocument } from 'juspay-customer-client/client';
import { startTestGateway } from 'juspay-customer-client/testing';
const { client, schema, close } = await startTestGateway();
const { customer } = await client.execute(CustomerDocument, { id: 'u7' });
const input = { objectReferenceId: 'consumer-1', mobileNumber: '+', emailAddress: 'noor@example.com' };
const { status } = await client.mutate(CreateCustomerDocument, { input });
const failure = await client.execute(CustomerDocument, { id: 'fault_rejected' }).catch(({ code }) => code);
// graphql rejects a schema of another copy.
const { data } = await graphql({ schema, source: '{ __schema { queryType { name } } }' });
await close();
console.log(JSON.stringify([version, customer?.id, status, failure, data]));
`,
    );
    const { stdout } = await run(process.execPath, ['main.js'], { cwd: app });
    assert.deepEqual(JSON.parse(stdout), [
      version,
      'cst_0123456789abcdef',
      'invalid',
      'UPSTREAM_REJECTED',
      { __schema: { queryType: { name: 'Query' } } },
    ]);
    const copies = globSync('node_modules/**/graphql/package.json', { cwd: app });
    assert.deepEqual(copies, [join('node_modules', 'graphql', 'package.json')]);
  });
}

test('the command MUST run from the package', async () => {
  const bin = `node_modules/${name}/bin/customer-gateway.js`;
  const { stdout } = await inConsumer(process.execPath, bin, 'schema');
  assert.equal(stdout, readFileSync('schema/schema.graphql', 'utf8'));
});

test('its types MUST resolve under nodenext and bundler', async () => {
  link('@types/node', 'node_modules/@types/node');
  link('undici-types', 'node_modules/undici-types');
  write(
    'main.ts',
    `import { createGateway, type Gateway, type GatewayOptions } from '${name}';
import { createNodeGateway, type NodeGateway, startServer } from '${name}/node';
import { startSandbox } from '${name}/sandbox';
import { buildSchema } from '${name}/schema';

const options: GatewayOptions = { limits: { depth: 5 }, auth: { mode: ['jwt', 'api-key'] } };
export const gateway: Gateway = createGateway(options);
export const answer: Promise<Response> = gateway.fetch(new Request('http://app.test/graphql'), { clientAddress: '::1' });
export const node: NodeGateway = createNodeGateway();
export const url: string = (await startServer(node, { host: '127.0.0.1', port: 0 })).url + (await startSandbox()).url;
export const typeName: string | undefined = buildSchema().getQueryType()?.name;
// @ts-expect-error: no such name
createGateway({ limits: { depht: 5 } });
`,
  );
  for (const [module, moduleResolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ] as const) {
    write(
      'tsconfig.json',
      JSON.stringify({
        compilerOptions: {
          module,
          moduleResolution,
          target: 'es2024',
          strict: true,
          noEmit: true,
          types: ['node'],
        },
        files: ['main.ts'],
      }),
    );
    const checked = await inConsumer(resolve('node_modules/.bin/tsc')).catch((error: unknown) => error);
    assert.equal((checked as { stdout: string }).stdout, '', moduleResolution);
  }
});

test('publint and are-the-types-wrong MUST find nothing', async () => {
  const tool = (bin: string, ...words: string[]) =>
    run(
      [`node_modules/.bin/${bin}`, `test/composition/node_modules/.bin/${bin}`]
        .map((path) => resolve(path))
        .find((path) => existsSync(path)) ?? bin,
      words,
    ).then(
      () => '',
      ({ stdout, stderr }: { stdout: string; stderr: string }) => `${stdout}${stderr}`,
    );
  assert.equal(await tool('publint', 'run', tarball, '--strict', '--level', 'suggestion'), '');
  // The package has ES modules only, so skip the checks for CommonJS.
  assert.equal(await tool('attw', tarball, '--profile', 'esm-only', '--no-color'), '');
});
