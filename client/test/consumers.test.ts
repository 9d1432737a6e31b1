import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

// The packed package in consumer projects, each with one GraphQL client and nothing else. Dependencies are linked instead of installed,
// so the tests need no network.

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'client-consumers-'));
let tarball = '';
let files: readonly string[] = [];
let serverTarball = '';

/** Packs without scripts, because `prepack` would rebuild `dist` while other tests use it. */
async function pack(source: string): Promise<{ tarball: string; files: readonly string[] }> {
  const words = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const { stdout } = await run('npm', words, { cwd: source });
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  return { tarball: join(folder, packed.filename), files: packed.files.map(({ path }) => path) };
}

before(async () => {
  ({ tarball, files } = await pack('client'));
  ({ tarball: serverTarball } = await pack('.'));
});

after(() => rmSync(folder, { recursive: true }));

const typesOf = { react: ['@types/react', 'csstype'], 'react-dom': ['@types/react-dom'] } as Readonly<
  Record<string, string[]>
>;

/** Creates a project with these packages and the tarball. Returns its folder. */
async function createConsumer(name: string, packages: readonly string[]): Promise<string> {
  const home = join(folder, name);
  for (const one of packages.flatMap((wanted) => [wanted, ...(typesOf[wanted] ?? [])])) {
    link(home, one);
  }
  await unpack(tarball, join(home, 'node_modules/juspay-customer-client'));
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }));
  return home;
}

function link(home: string, name: string): void {
  const link = join(home, 'node_modules', name);
  if (existsSync(link)) return;
  mkdirSync(dirname(link), { recursive: true });
  const target = [`node_modules/${name}`, `client/node_modules/${name}`, `test/composition/node_modules/${name}`].find(
    (path) => existsSync(path),
  );
  assert.ok(target, name);
  symlinkSync(resolve(target), link, 'junction');
}

async function unpack(archive: string, target: string): Promise<void> {
  mkdirSync(target, { recursive: true });
  await run('tar', ['-xzf', archive, '-C', target, '--strip-components=1']);
}

/** Adds the server's package with its declared dependencies. */
async function addServer(home: string): Promise<void> {
  const server = join(home, 'node_modules/juspay-customer-gateway');
  await unpack(serverTarball, server);
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(server, 'package.json'), 'utf8')) as {
    dependencies: object;
    peerDependencies: object;
  };
  for (const name of Object.keys({ ...dependencies, ...peerDependencies })) link(home, name);
}

/** Type-checks `main.ts` and the declarations of the package with the two usual module resolutions. */
async function typeCheck(home: string, more: object = {}): Promise<void> {
  for (const [module, moduleResolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ]) {
    const compilerOptions = {
      ...{ module, moduleResolution, target: 'es2024', lib: ['es2024', 'dom', 'dom.iterable'], types: [] },
      ...{ strict: true, exactOptionalPropertyTypes: true, jsx: 'react-jsx', noEmit: true },
      // Check the declarations once, because both resolutions use the same ones.
      ...{ skipLibCheck: module !== 'nodenext', skipDefaultLibCheck: true },
      ...more,
    };
    const config = join(home, `tsconfig.${module}.json`);
    writeFileSync(config, JSON.stringify({ compilerOptions, files: ['main.ts'] }));
    const { stdout } = await run('node_modules/.bin/tsc', ['-p', config, '--pretty', 'false']).catch(
      (error: { stdout: string }) => error,
    );
    // Ignore the declarations of other packages, which have errors of their own.
    const isOurs = (line: string) => /^\S/.test(line) && !/node_modules\/(?!juspay-customer-client\/)/.test(line);
    assert.deepEqual(stdout.split('\n').filter(isOurs), [], `${home}, ${module}`);
  }
}

/** Type-checks `main.ts` and returns its output. */
async function outputOf(home: string, code: string, compilerOptions?: object): Promise<string> {
  writeFileSync(join(home, 'main.ts'), code);
  await typeCheck(home, compilerOptions);
  const { stdout, stderr } = await run('node', ['main.ts'], { cwd: home });
  assert.equal(stderr, '');
  return stdout.trim();
}

const client = `
import { createCustomerClient, type CustomerFieldsFragment, outcomeOf, unreachable } from 'juspay-customer-client/client';
const asha: CustomerFieldsFragment = { __typename: 'Customer', id: 'cth_1', objectReferenceId: 'asha', firstName: 'Asha',
  lastName: null, emailAddress: null, mobileNumber: null, mobileCountryCode: null, dateCreated: null, lastUpdated: null };
const client = createCustomerClient({ url: 'http://gateway.test/graphql', headers: () => ({ authorization: 'Bearer x' }),
  fetch: async () => Response.json({ data: { customer: asha } }) });
`;

const page = `
import { createElement, type ReactNode } from 'react';
import { renderToString } from 'react-dom/server';
import { CustomerProvider } from 'juspay-customer-client/react';
const render = (child: ReactNode) => console.log(renderToString(createElement(CustomerProvider, { client }, child)));
`;

const react = ['react', 'react-dom'];

test('fetch alone MUST work in an empty project', async () => {
  const home = await createConsumer('plain', []);
  const code = `${client}
import { CreateCustomerDocument, CustomerDocument, type CreateCustomerMutation } from 'juspay-customer-client/client';
const { customer } = await client.execute(CustomerDocument, { id: 'asha' });
console.log(customer?.firstName);
type Result = NonNullable<CreateCustomerMutation['createCustomer']>;
const describe = (result: Result): string => {
  const outcome = outcomeOf(result);
  switch (outcome.status) {
    case 'success': return outcome.customer.id;
    case 'invalid': return outcome.issues.map(({ code }) => code).join();
    case 'exists': return (outcome.differingFields ?? []).join();
    case 'outcomeUnknown': return outcome.message;
    case 'upstream': return String(outcome.retryAfterSeconds);
    case 'other': return outcome.__typename;
    default: return unreachable(outcome);
  }
};
console.log(describe({ __typename: 'CreateCustomerSuccess', origin: 'CREATED', customer: asha }), CreateCustomerDocument.kind);`;
  assert.equal(await outputOf(home, code), 'Asha\ncth_1 mutation');
});

test('React Query MUST work in an empty project', async () => {
  const home = await createConsumer('react-query', [...react, '@tanstack/react-query']);
  const code = `${client}${page}
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { customerOptions, useCustomer, useCreateCustomer } from 'juspay-customer-client/react-query';
function Name() {
  const { data } = useCustomer({ id: 'asha' });
  const create = useCreateCustomer({ onSuccess: (outcome) => console.log(outcome.status) });
  return createElement('p', null, data?.firstName, ' ', create.status, create.data?.status === 'invalid' && create.data.issues[0]?.code);
}
const queryClient = new QueryClient();
await queryClient.prefetchQuery(customerOptions(client, { id: 'asha' }));
render(createElement(QueryClientProvider, { client: queryClient }, createElement(Name)));
queryClient.clear();`;
  assert.match(await outputOf(home, code), /Asha.*idle/);
});

test('urql MUST work in an empty project', async () => {
  const home = await createConsumer('urql', [...react, 'urql', '@urql/core', 'graphql']);
  const code = `${client}${page}
import { Provider } from 'urql';
import { CustomerAst, createUrqlClient, customerErrorOf, useCustomer, useUpdateCustomer } from 'juspay-customer-client/urql';
function Name() {
  const [{ data, error }] = useCustomer({ id: 'asha' });
  const [{ outcome }] = useUpdateCustomer();
  return createElement('p', null, data?.customer?.firstName, ' ', customerErrorOf(error)?.code ?? 'good', outcome?.status);
}
const urqlClient = createUrqlClient(client);
await urqlClient.query(CustomerAst, { id: 'asha' }).toPromise();
render(createElement(Provider, { value: urqlClient }, createElement(Name)));`;
  assert.match(await outputOf(home, code), /Asha.*good/);
});

test('Apollo Client MUST work in an empty project', async () => {
  const home = await createConsumer('apollo', [
    ...react,
    '@apollo/client',
    'graphql',
    'rxjs',
    '@graphql-typed-document-node/core',
  ]);
  const code = `${client}${page}
import { ApolloProvider } from '@apollo/client/react';
import { CustomerAst, createApolloClient, useCreateCustomer, useCustomer } from 'juspay-customer-client/apollo';
function Name() {
  const { data } = useCustomer({ id: 'asha' });
  const [create, { outcome, loading }] = useCreateCustomer();
  const send = () => create({ variables: { input: { objectReferenceId: 'reference', mobileNumber: '1', emailAddress: 'a@b.c' } } });
  return createElement('p', { onClick: send }, data?.customer?.firstName, ' ', String(loading), outcome?.status);
}
const apolloClient = createApolloClient(client);
await apolloClient.query({ query: CustomerAst, variables: { id: 'asha' } });
render(createElement(ApolloProvider, { client: apolloClient, children: createElement(Name) }));
apolloClient.stop();`;
  assert.match(await outputOf(home, code), /Asha.*false/);
});

test('the form rules MUST work in an empty project, with react-hook-form', async () => {
  const home = await createConsumer('forms', ['react', 'zod', 'react-hook-form']);
  const code = `
import { type FieldValues, type UseFormSetError, useForm } from 'react-hook-form';
import { applyIssues, fieldMessages, newCustomerResolver, validateNewCustomer } from 'juspay-customer-client/validation';
interface Form extends FieldValues { objectReferenceId: string; mobileNumber: string; emailAddress: string }
export const useCustomerForm = () => useForm<Form>({ resolver: newCustomerResolver() });
export const show = (setError: UseFormSetError<Form>) => applyIssues(validateNewCustomer({}), setError);
console.log(Object.keys(fieldMessages(validateNewCustomer({}))).join());`;
  assert.equal(await outputOf(home, code), 'objectReferenceId,mobileNumber,emailAddress');
});

test('the mocks MUST work in an empty project', async () => {
  const home = await createConsumer('mocks', ['msw', 'graphql']);
  const code = `
import { setupServer } from 'msw/node';
import { CustomerDocument, createCustomerClient } from 'juspay-customer-client/client';
import { customerHandlers, mockCustomer } from 'juspay-customer-client/msw';
const server = setupServer(mockCustomer(({ id }) => ({ customer: null, id })), ...customerHandlers());
server.listen();
const client = createCustomerClient({ url: 'http://gateway.test/graphql' });
console.log((await client.execute(CustomerDocument, { id: 'x' })).customer);
server.close();`;
  assert.equal(await outputOf(home, code), 'null');
});

test('the real gateway MUST run in the tests of an empty project', async () => {
  const home = await createConsumer('testing', []);
  await addServer(home);
  const code = `
import { CreateCustomerWithTokenDocument, CustomerDocument } from 'juspay-customer-client/client';
import { startTestGateway, type TestGateway } from 'juspay-customer-client/testing';
const gateway: TestGateway = await startTestGateway({ settings: { PERSISTED_ONLY: 'on' }, client: { persisted: true } });
const { client, sandbox } = gateway;
const input = { objectReferenceId: 'consumer-1', mobileNumber: '9000000042', emailAddress: 'noor@example.com' };
const made = await client.mutate(CreateCustomerWithTokenDocument, { input });
const id = made.status === 'success' ? made.customer.id : made.status;
const { customer } = await client.execute(CustomerDocument, { id });
const isKept = /^tkn_/.test(client.tokens.held(id)?.token ?? '');
console.log(customer?.objectReferenceId, isKept, sandbox.calls.map(({ method }) => method).join());
console.log(gateway.schema.getQueryType()?.name);
await gateway.close();`;
  assert.equal(await outputOf(home, code), 'consumer-1 true POST,GET\nQuery');
});

test('the preset MUST work with the real generator, and a gateway with PERSISTED_ONLY=on MUST execute the operations', async () => {
  const generator = ['cli', 'plugin-helpers', 'typescript-operations'].map((name) => `@graphql-codegen/${name}`);
  const clients = ['@tanstack/react-query', 'urql', '@urql/core', '@apollo/client', 'rxjs', 'msw', 'graphql'];
  const home = await createConsumer('codegen', [
    ...react,
    ...clients,
    ...generator,
    '@graphql-typed-document-node/core',
  ]);
  await addServer(home);
  // The configuration of the package's README.
  const readme = readFileSync(join(home, 'node_modules/juspay-customer-client/README.md'), 'utf8');
  const [, config = ''] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  mkdirSync(join(home, 'src'));
  writeFileSync(join(home, 'codegen.ts'), config);
  writeFileSync(
    join(home, 'src/greeting.graphql'),
    'query Greeting($reference: String!) { customerByReference(objectReferenceId: $reference) { ...Name } }',
  );
  writeFileSync(join(home, 'src/name.graphql'), 'fragment Name on Customer { id firstName }');
  const generate = (file: string) =>
    run('node', ['node_modules/@graphql-codegen/cli/cjs/bin.js', '--config', file], { cwd: home });
  await generate('codegen.ts');
  const code = `
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { CustomerProvider } from 'juspay-customer-client/react';
import { startTestGateway } from 'juspay-customer-client/testing';
import type { GreetingQuery } from './src/gql/operations.ts';
import { greetingOptions, useGreeting } from './src/gql/react-query.ts';
export type Config = typeof import('./codegen.ts');
const settings = { PERSISTED_ONLY: 'on', PERSISTED_DOCUMENTS_FILE: './src/gql/persisted-documents.json' };
const { client, close } = await startTestGateway({ settings, client: { persisted: true } });
const variables = { reference: 'asha.rao@example.com' };
function Name() {
  const name: NonNullable<GreetingQuery['customerByReference']>['firstName'] | undefined = useGreeting(variables).data?.firstName;
  return createElement('p', null, name);
}
const queryClient = new QueryClient();
await queryClient.prefetchQuery(greetingOptions(client, variables));
const page = createElement(QueryClientProvider, { client: queryClient }, createElement(Name));
console.log(renderToString(createElement(CustomerProvider, { client }, page)));
queryClient.clear();
await close();`;
  // The default import extension, which Node can run.
  assert.equal(await outputOf(home, code, { allowImportingTsExtensions: true }), '<p>Asha</p>');

  // All flavours, for a compiled project. The manifest must keep its earlier entries.
  const manifest = () => JSON.parse(readFileSync(join(home, 'src/gql/persisted-documents.json'), 'utf8')) as object;
  const [first = ''] = Object.keys(manifest());
  writeFileSync(join(home, 'src/greeting.graphql'), 'query Welcome($id: ID!) { customer(id: $id) { ...Name } }');
  const everything = config.replace("{ flavours: ['react-query'] }", "{ importExtension: '.js' }");
  assert.notEqual(everything, config);
  writeFileSync(join(home, 'everything.ts'), everything);
  await generate('everything.ts');
  const files = ['apollo', 'asts', 'documents', 'fixtures', 'msw', 'possible-types', 'react-query', 'urql'];
  writeFileSync(join(home, 'main.ts'), files.map((name) => `import './src/gql/${name}.js';`).join('\n'));
  await typeCheck(home);
  assert.equal(Object.keys(manifest()).length, 2);
  assert.ok(first in manifest());

  writeFileSync(join(home, 'src/wrong.graphql'), 'query Customer($id: ID!) { customer(id: $id) { id } }');
  await assert.rejects(generate('codegen.ts'), ({ stdout, stderr }: { stdout: string; stderr: string }) =>
    `${stdout}${stderr}`.includes('Customer: the kit has an operation with this name. Choose another name.'),
  );
});

test('the examples of the client README MUST compile', async () => {
  const readme = readFileSync('client/README.md', 'utf8');
  const examples = readme.slice(readme.indexOf('## Start'), readme.indexOf('## Operations of your own'));
  const blocks = [...examples.matchAll(/```tsx\n([\s\S]*?)```/g)].map(([, code = '']) => code);
  assert.equal(blocks.length, 5);
  const packages = ['urql', '@urql/core', '@tanstack/react-query', '@apollo/client', 'graphql', 'rxjs', 'zod'];
  const home = await createConsumer('readme', [...react, ...packages, '@graphql-typed-document-node/core']);
  for (const [index, code] of blocks.entries()) writeFileSync(join(home, `block-${index}.tsx`), code);
  const main = blocks.map((_, index) => `import './block-${index}.js';`).join('\n');
  writeFileSync(join(home, 'main.ts'), main);
  await typeCheck(home);
});

test('the tarball MUST contain the files of the package and nothing else', () => {
  const isOurs = (path: string) =>
    /^(package\.json|README\.md|LICENSE|schema\/schema\.graphql|(dist\/)?schema\/generated\/persisted-documents\.json)$/.test(
      path,
    ) ||
    /^dist\/(client\/src\/.*|src\/(customers\/(input|identity)|errors)|schema\/generated\/[\w-]+)\.(js|d\.ts)$/.test(
      path,
    );
  assert.deepEqual(
    files.filter((path) => !isOurs(path)),
    [],
  );
});

test('publint MUST find nothing', async () => {
  const { publint } = await import('publint');
  const { messages } = await publint({ pkgDir: 'client', strict: true });
  assert.deepEqual(messages, []);
});

test('are-the-types-wrong MUST find nothing', async () => {
  // The package has ES modules only, and the schema is not a module.
  const options = ['--profile', 'esm-only', '--exclude-entrypoints', 'schema.graphql', '--no-color'];
  const found = await run('test/composition/node_modules/.bin/attw', [tarball, ...options]).then(
    () => '',
    ({ stdout, stderr }: { stdout: string; stderr: string }) => `${stdout}${stderr}`,
  );
  assert.equal(found, '');
});

// Only the marked line of each snippet must fail to compile.
const typeErrors = {
  'a field that the operation does not have': `
import { CustomerDocument } from 'juspay-customer-client/client';
const { customer } = await client.execute(CustomerDocument, { id: 'a' });
console.log(customer?.nickname); // error`,
  'a token of an operation that does not ask for one': `
import { CustomerDocument } from 'juspay-customer-client/client';
const { customer } = await client.execute(CustomerDocument, { id: 'a' });
console.log(customer?.clientAuthToken); // error`,
  'a variable with a wrong name': `
import { CustomerDocument } from 'juspay-customer-client/client';
await client.execute(CustomerDocument, { reference: 'a' }); // error`,
  'a variable with a wrong type': `
import { useCustomer } from 'juspay-customer-client/react-query';
export const useOne = () => useCustomer({ id: 1 }); // error`,
  'an input without a required field': `
import { CreateCustomerDocument } from 'juspay-customer-client/client';
await client.mutate(CreateCustomerDocument, { input: { objectReferenceId: 'reference', mobileNumber: '1' } }); // error`,
  'a switch without a member of the union': `
import { CreateCustomerDocument } from 'juspay-customer-client/client';
const outcome = await client.mutate(CreateCustomerDocument, { input: { objectReferenceId: 'r', mobileNumber: '1', emailAddress: 'e' } });
switch (outcome.status) {
  case 'success': case 'invalid': case 'exists': case 'upstream': case 'other': break;
  default: unreachable(outcome); // error
}`,
  'a switch without the member for later versions': `
import { UpdateCustomerDocument } from 'juspay-customer-client/client';
const outcome = await client.mutate(UpdateCustomerDocument, { id: 'a', input: { firstName: 'A' } });
switch (outcome.status) {
  case 'success': case 'invalid': case 'notFound': case 'outcomeUnknown': case 'upstream': break;
  default: unreachable(outcome); // error
}`,
  'a member of another operation’s union': `
import { UpdateCustomerDocument } from 'juspay-customer-client/client';
const outcome = await client.mutate(UpdateCustomerDocument, { id: 'a', input: { firstName: 'A' } });
if (outcome.status === 'exists') console.log(outcome); // error`,
  'a field of an outcome before its status is checked': `
import { useUpdateCustomer } from 'juspay-customer-client/react-query';
export const useIssues = () => useUpdateCustomer().data?.issues; // error`,
  'a hook for an operation that selects the token': `
import { useCustomerWithToken } from 'juspay-customer-client/react-query'; // error
console.log(useCustomerWithToken);`,
  'a token in an outcome': `
import { CreateCustomerWithTokenDocument } from 'juspay-customer-client/client';
const input = { objectReferenceId: 'reference', mobileNumber: '1', emailAddress: 'e' };
const outcome = await client.mutate(CreateCustomerWithTokenDocument, { input });
if (outcome.status === 'success') console.log(outcome.customer.firstName, outcome.customer.clientAuthToken === null);
if (outcome.status === 'success') console.log(outcome.customer.clientAuthToken?.token); // error`,
  'a token before its status is checked': `
import { useClientAuthToken } from 'juspay-customer-client/react';
export const useToken = () => useClientAuthToken('a').token; // error`,
};

test('a type error of the app MUST be reported at its line', async () => {
  const home = await createConsumer('mistakes', [...react, '@tanstack/react-query']);
  const names = Object.entries(typeErrors).map(([name, code], index) => {
    const body = `${client.replace('type CustomerFieldsFragment, outcomeOf, ', 'type CustomerFieldsFragment, ')}\nvoid [client, unreachable];${code}\nexport {};\n`;
    writeFileSync(join(home, `mistake-${index}.ts`), body);
    return {
      name,
      file: `mistake-${index}.ts`,
      line: body.split('\n').findIndex((line) => line.includes('// error')) + 1,
    };
  });
  const compilerOptions = {
    ...{
      module: 'nodenext',
      target: 'es2024',
      lib: ['es2024', 'dom'],
      types: [],
      strict: true,
      skipLibCheck: true,
      noEmit: true,
    },
  };
  writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const { stdout } = await run('node_modules/.bin/tsc', ['-p', home, '--pretty', 'false']).catch(
    (error: { stdout: string }) => error,
  );
  const found = [...stdout.matchAll(/(mistake-\d+\.ts)\((\d+),\d+\): error/g)].map(
    ([, file, line]) => `${file}:${line}`,
  );
  assert.deepEqual([...new Set(found)].toSorted(), names.map(({ file, line }) => `${file}:${line}`).toSorted(), stdout);
});
