import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

// The package as its users get it: packed, and unpacked in projects that have one client of GraphQL each, and nothing
// else. What they have is linked rather than installed a second time: no network is needed.

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'client-consumers-'));
let tarball = '';
let files: readonly string[] = [];

before(async () => {
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: 'dist-client',
  });
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  tarball = join(folder, packed.filename);
  files = packed.files.map(({ path }) => path);
});

after(() => rmSync(folder, { recursive: true }));

const typesOf = { react: ['@types/react', 'csstype'], 'react-dom': ['@types/react-dom'] } as Readonly<
  Record<string, string[]>
>;

/** A project with these packages and the tarball, by its folder. */
async function createConsumer(name: string, packages: readonly string[]): Promise<string> {
  const home = join(folder, name);
  for (const one of packages.flatMap((wanted) => [wanted, ...(typesOf[wanted] ?? [])])) {
    const link = join(home, 'node_modules', one);
    mkdirSync(dirname(link), { recursive: true });
    const target = [`test/node_modules/${one}`, `node_modules/${one}`].find((path) => existsSync(path));
    assert.ok(target, one);
    symlinkSync(resolve(target), link, 'junction');
  }
  const kit = join(home, 'node_modules/juspay-customer-client');
  mkdirSync(kit, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', kit, '--strip-components=1']);
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }));
  return home;
}

/** Checks `main.ts` as the two usual resolutions read it. Declarations of the package are checked too. */
async function typeCheck(home: string): Promise<void> {
  for (const [module, moduleResolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ]) {
    const compilerOptions = {
      ...{
        module,
        moduleResolution,
        target: 'es2024',
        lib: ['es2024', 'dom', 'dom.iterable'],
        types: [],
        strict: true,
      },
      // Other packages' declarations are not ours to check: each flavour's client has errors of its own in them.
      ...{ skipLibCheck: true, noEmit: true, exactOptionalPropertyTypes: true, jsx: 'react-jsx' },
    };
    const config = join(home, `tsconfig.${module}.json`);
    writeFileSync(config, JSON.stringify({ compilerOptions, files: ['main.ts'] }));
    await run('test/node_modules/.bin/tsc', ['-p', config]).catch(({ stdout }: { stdout: string }) => {
      assert.fail(`${home}, ${module}: ${stdout}`);
    });
  }
}

/** What `main.ts` prints, after it was checked. */
async function outputOf(home: string, code: string): Promise<string> {
  writeFileSync(join(home, 'main.ts'), code);
  await typeCheck(home);
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
const told = (result: Result): string => {
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
console.log(told({ __typename: 'CreateCustomerSuccess', origin: 'CREATED', customer: asha }), CreateCustomerDocument.kind);`;
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

test('what README shows MUST compile, each flavour in a project of its own', async () => {
  const readme = readFileSync('README.md', 'utf8');
  const door = readme.slice(readme.indexOf('## Hooks for apps'), readme.indexOf('## Composing'));
  const blocks = [...door.matchAll(/```tsx\n([\s\S]*?)```/g)].map(([, code = '']) => code);
  assert.equal(blocks.length, 4);
  const packages = ['urql', '@urql/core', '@tanstack/react-query', '@apollo/client', 'graphql', 'rxjs', 'zod'];
  const home = await createConsumer('readme', [...react, ...packages, '@graphql-typed-document-node/core']);
  for (const [index, code] of blocks.entries()) writeFileSync(join(home, `block-${index}.tsx`), code);
  const main = blocks.map((_, index) => `import './block-${index}.js';`).join('\n');
  writeFileSync(join(home, 'main.ts'), main);
  await typeCheck(home);
});

test('the tarball MUST hold the package and nothing else', () => {
  const isOurs = (path: string) =>
    /^(package\.json|README\.md|LICENSE|schema\/schema\.graphql|schema\/generated\/persisted-documents\.json)$/.test(
      path,
    ) || /^(src\/(client\/.*|input|customer|errors)|schema\/generated\/[\w-]+)\.(js|d\.ts)$/.test(path);
  assert.deepEqual(
    files.filter((path) => !isOurs(path)),
    [],
  );
});

test('publint MUST find nothing', async () => {
  const { publint } = await import('publint');
  const { messages } = await publint({ pkgDir: 'dist-client', strict: true });
  assert.deepEqual(messages, []);
});

// Each line that is marked must not compile; without it, all the rest must.
const refused = {
  'a field that the operation does not have': `
import { CustomerDocument } from 'juspay-customer-client/client';
const { customer } = await client.execute(CustomerDocument, { id: 'a' });
console.log(customer?.nickname); // refused`,
  'a token of an operation that does not ask for one': `
import { CustomerDocument } from 'juspay-customer-client/client';
const { customer } = await client.execute(CustomerDocument, { id: 'a' });
console.log(customer?.clientAuthToken); // refused`,
  'a variable of another name': `
import { CustomerDocument } from 'juspay-customer-client/client';
await client.execute(CustomerDocument, { reference: 'a' }); // refused`,
  'a variable of another type': `
import { useCustomer } from 'juspay-customer-client/react-query';
export const useOne = () => useCustomer({ id: 1 }); // refused`,
  'an input without what is required': `
import { CreateCustomerDocument } from 'juspay-customer-client/client';
await client.mutate(CreateCustomerDocument, { input: { objectReferenceId: 'reference', mobileNumber: '1' } }); // refused`,
  'a switch without a member of the union': `
import { CreateCustomerDocument } from 'juspay-customer-client/client';
const outcome = await client.mutate(CreateCustomerDocument, { input: { objectReferenceId: 'r', mobileNumber: '1', emailAddress: 'e' } });
switch (outcome.status) {
  case 'success': case 'invalid': case 'exists': case 'upstream': case 'other': break;
  default: unreachable(outcome); // refused
}`,
  'a switch without the member that may come later': `
import { UpdateCustomerDocument } from 'juspay-customer-client/client';
const outcome = await client.mutate(UpdateCustomerDocument, { id: 'a', input: { firstName: 'A' } });
switch (outcome.status) {
  case 'success': case 'invalid': case 'notFound': case 'outcomeUnknown': case 'upstream': break;
  default: unreachable(outcome); // refused
}`,
  'a member of another operation’s union': `
import { UpdateCustomerDocument } from 'juspay-customer-client/client';
const outcome = await client.mutate(UpdateCustomerDocument, { id: 'a', input: { firstName: 'A' } });
if (outcome.status === 'exists') console.log(outcome); // refused`,
  'an outcome’s field before its status is known': `
import { useUpdateCustomer } from 'juspay-customer-client/react-query';
export const useIssues = () => useUpdateCustomer().data?.issues; // refused`,
  'a hook for an operation that selects the token': `
import { useCustomerWithToken } from 'juspay-customer-client/react-query'; // refused
console.log(useCustomerWithToken);`,
  'a token before it is there': `
import { useClientAuthToken } from 'juspay-customer-client/react';
export const useToken = () => useClientAuthToken('a').token; // refused`,
};

test('a mistake of the app’s MUST NOT compile, in the very line that makes it', async () => {
  const home = await createConsumer('mistakes', [...react, '@tanstack/react-query']);
  const names = Object.entries(refused).map(([name, code], index) => {
    const body = `${client.replace('type CustomerFieldsFragment, outcomeOf, ', 'type CustomerFieldsFragment, ')}\nvoid [client, unreachable];${code}\nexport {};\n`;
    writeFileSync(join(home, `mistake-${index}.ts`), body);
    return {
      name,
      file: `mistake-${index}.ts`,
      line: body.split('\n').findIndex((line) => line.includes('// refused')) + 1,
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
  const { stdout } = await run('test/node_modules/.bin/tsc', ['-p', home, '--pretty', 'false']).catch(
    (error: { stdout: string }) => error,
  );
  const found = [...stdout.matchAll(/(mistake-\d+\.ts)\((\d+),\d+\): error/g)].map(
    ([, file, line]) => `${file}:${line}`,
  );
  assert.deepEqual([...new Set(found)].toSorted(), names.map(({ file, line }) => `${file}:${line}`).toSorted(), stdout);
});
