import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { getNamedType, isInputObjectType, isObjectType, isScalarType } from 'graphql';
import { serverAudits } from 'graphql-http';
import { buildSchema } from '../../src/graphql/schema.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { start } from '../program.ts';

/** Part of every value that this file sends. The test command fails if the output contains it. */
const canary = process.env['CANARY'] ?? 'canary-by-hand';
const key = `key-${canary}`;

interface Profile {
  readonly url: string;
  readonly output: () => string;
  stop(): Promise<number | null>;
}

let sandbox: Sandbox;
let folder: string;
let closed: Profile;
let open: Profile;

/** Starts the program with settings for production. */
async function startProfile(more: Record<string, string>): Promise<Profile> {
  const run = start([], {
    NODE_ENV: 'production',
    PORT: '0',
    JUSPAY_API_KEY: sandbox.apiKey,
    JUSPAY_MERCHANT_ID: sandbox.merchantId,
    JUSPAY_BASE_URL: sandbox.url,
    AUTH_MODE: 'api-key',
    AUTH_API_KEYS_FILE: join(folder, 'keys.json'),
    LOG_LEVEL: 'debug',
    ...more,
  });
  const [, url = ''] = await run.waitFor(/"url":"([^"]+)"/);
  return {
    url: `${url}/graphql`,
    output: run.output,
    stop() {
      run.child.kill('SIGTERM');
      return run.exit;
    },
  };
}

before(async () => {
  sandbox = await startSandbox({ apiKey: `provider-${canary}` });
  folder = mkdtempSync(join(tmpdir(), 'production-'));
  const sha256 = createHash('sha256').update(key).digest('hex');
  writeFileSync(
    join(folder, 'keys.json'),
    JSON.stringify([{ name: 'audit', sha256, scopes: ['customer:read', 'customer:write', 'customer:token'] }]),
  );
  [closed, open] = await Promise.all([startProfile({}), startProfile({ INTROSPECTION: 'on' })]);
});

after(async () => {
  await sandbox.close();
  rmSync(folder, { recursive: true, force: true });
});

const credentials = { 'x-api-key': key };
const json = { 'content-type': 'application/json' };
const post = (query: string, headers: Record<string, string> = {}) => ({
  method: 'POST',
  headers: { ...json, ...headers },
  body: JSON.stringify({ query }),
});
const repeat = (count: number, text: string) =>
  Array.from({ length: count }, (_, n) => text.replaceAll('#', String(n))).join(' ');

/** The checks of graphql-cop. A response that matches the pattern is a finding. */
const checks: readonly [string, RequestInit & { path?: string }, RegExp][] = [
  ['alias overloading', post(`{ ${repeat(101, 'alias#: __typename')} }`), /"alias100":/],
  [
    'array batching',
    { method: 'POST', headers: json, body: `[${repeat(10, '{"query":"{ __typename }"}').replaceAll('} {', '},{')}]` },
    /^\[/,
  ],
  ['directive overloading', post(`query { __typename ${'@aa'.repeat(10)} }`), /("message"[\s\S]*){6}/],
  [
    'circular introspection',
    post(
      'query { __schema { types { fields { type { fields { type { fields { type { fields { type { name } } } } } } } } } } }',
    ),
    /"types":/,
  ],
  ['field duplication', post(`query { ${'__typename '.repeat(2001)} }`), /"data":\{"__typename"/],
  ['field suggestions', post('query { custmer }'), /did you mean/i],
  ['introspection', post('query { __schema { types { name fields { name } } } }'), /"__schema":/],
  ['GraphiQL', { headers: { accept: 'text/html' } }, /graphiql|playground/i],
  ['queries by GET', { path: '?query={__typename}' }, /"data":/],
  ['mutations by GET', { path: '?query=mutation{__typename}' }, /"data":/],
  [
    'queries by a form',
    { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'query={__typename}' },
    /"data":/,
  ],
  ['tracing and stacks', post('query { customer(id: "") { id } }'), /"tracing"|stack|node_modules/],
];

for (const [name, { path = '', ...init }, finding] of checks) {
  test(`${name} MUST find nothing in production, with and without credentials`, async () => {
    for (const headers of [{}, credentials]) {
      const response = await fetch(`${closed.url}${path}`, {
        ...init,
        headers: { ...(init.headers as Record<string, string>), ...headers },
      });
      assert.doesNotMatch(await response.text(), finding);
      assert.equal(response.headers.get('access-control-allow-origin'), null);
      assert.equal(response.headers.get('cache-control'), 'no-store');
    }
  });
}

test('the 61 audits of GraphQL over HTTP MUST pass for an authorized caller', async () => {
  const audits = serverAudits({
    url: open.url,
    fetchFn: (url: string, init: RequestInit = {}) => {
      const headers = new Headers(init.headers);
      for (const [name, value] of Object.entries({ ...credentials, 'x-graphql-yoga-csrf': '1' }))
        headers.set(name, value);
      return fetch(url, { ...init, headers });
    },
  });
  const results = await Promise.all(audits.map(async (audit) => ({ ...(await audit.fn()), name: audit.name })));
  assert.deepEqual(
    results.filter(({ status }) => status !== 'ok').map(({ name }) => name),
    [],
  );
  assert.equal(results.length, 61);
});

test('values of every field MUST reach only the provider and the caller, and MUST NOT be logged', async () => {
  const ask = async (query: string, variables: object) => {
    const init = {
      method: 'POST',
      headers: { ...json, ...credentials, cookie: canary, 'x-request-timeout-ms': canary, 'user-agent': canary },
      body: JSON.stringify({ query, variables }),
    };
    return (await fetch(closed.url, init)).text();
  };
  const create =
    'mutation Plant($input: CreateCustomerInput!) { createCustomer(input: $input) { __typename ... on CustomerError { code message } ... on CreateCustomerSuccess { customer { id clientAuthToken { token } } } } }';
  const input = {
    objectReferenceId: `ref-${canary}`,
    mobileNumber: '9000000001',
    emailAddress: `${canary}@example.com`,
    firstName: canary,
    lastName: canary,
  };
  assert.match(await ask(create, { input }), /CreateCustomerSuccess/);
  assert.ok(sandbox.customers.some(({ firstName }) => firstName === canary));
  const errors: string[] = [];
  for (const fault of ['500', 'html', 'unauthorized', 'rejected', 'reset', 'wrong_customer', 'bad_dates'] as const) {
    sandbox.arm({ fault, times: 9 });
    errors.push(await ask('query Find($id: ID!) { customer(id: $id) { dateCreated } }', { id: `ref-${canary}` }));
    errors.push(
      await ask(
        'mutation Change($id: ID!, $name: String) { updateCustomer(id: $id, input: { firstName: $name, mobileNumber: "+" }) { __typename ... on CustomerError { code message } } }',
        { id: `ref-${canary}`, name: canary },
      ),
    );
    sandbox.disarm();
  }
  errors.push(
    await ask(create, { input: { ...input, mobileNumber: canary, emailAddress: canary, mobileCountryCode: canary } }),
  );
  errors.push(await ask(create, { input: { ...input, [canary]: canary } }));
  errors.push(await ask(`{ customer(id: { a: "${canary}" }) { id } }`, {}));
  errors.push(await ask(`{ customer(id: "${canary}" `, {}));
  errors.push(await ask(`query ${canary.replace(/\W/g, '_')} { __typename }`, { [canary]: canary }));
  assert.doesNotMatch(errors.join('\n'), new RegExp(canary));
  assert.equal(await closed.stop(), 0);
  assert.equal(await open.stop(), 0);
  const printed = closed.output() + open.output();
  assert.ok(printed.split('\n').length > 20);
  assert.doesNotMatch(printed, new RegExp(canary));
  assert.doesNotMatch(printed, /tkn_[0-9a-f]{32}|9000000001/);
});

test('every text field of customers, tokens and inputs MUST be marked as personal or secret', () => {
  const bare: string[] = [];
  for (const name of ['Customer', 'ClientAuthToken', 'CreateCustomerInput', 'UpdateCustomerInput']) {
    const type = buildSchema().getType(name);
    assert.ok(isObjectType(type) || isInputObjectType(type));
    for (const field of Object.values(type.getFields())) {
      const leaf = getNamedType(field.type);
      if (isScalarType(leaf) && /^(String|ID)$/.test(leaf.name) && !field.extensions['privacy'])
        bare.push(`${name}.${field.name}`);
    }
  }
  assert.deepEqual(bare, []);
});
