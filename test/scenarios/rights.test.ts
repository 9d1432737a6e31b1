import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { openGateway } from '../../src/gateway.ts';
import type { NodeGateway } from '../../src/http/handler.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { type Answer, bearer, codesOf, jwtSettings, withHarness } from '../support.ts';

let gateway: NodeGateway;
let ownSandbox: Sandbox;
let otherSandbox: Sandbox;

before(async () => {
  [ownSandbox, otherSandbox] = await Promise.all([
    startSandbox(),
    startSandbox({ merchantId: 'other-merchant', apiKey: 'other-key' }),
  ]);
  const access = ({ url: baseUrl, merchantId, apiKey }: Sandbox) => ({
    baseUrl,
    merchantId,
    apiKey: new Secret(apiKey),
  });
  const config = loadConfig(jwtSettings);
  gateway = openGateway(
    { ...config, provider: access(ownSandbox), merchants: [access(otherSandbox)] },
    { log: createLog('silent', () => undefined) },
  );
});

after(async () => {
  await gateway.dispose();
  await Promise.all([ownSandbox.close(), otherSandbox.close()]);
});

async function ask(claims: object | undefined, query: string, init: { get?: boolean } = {}): Promise<Answer> {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (claims) headers['authorization'] = `Bearer ${bearer(claims)}`;
  const url = 'http://gateway.test/graphql';
  const request = init.get
    ? new Request(`${url}?query=${encodeURIComponent(query)}`, { headers })
    : new Request(url, { method: 'POST', headers, body: JSON.stringify({ query }) });
  const response = await gateway.fetch(request);
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    ...(JSON.parse(text) as Pick<Answer, 'data' | 'errors'>),
  };
}

const all = 'customer:read customer:write customer:token';
const own = 'asha.rao@example.com';

/** Claims of the callers. */
const roles = {
  'bound by reference': { scope: all, customer: own },
  'bound by id': { scope: all, customer: 'cth_A1b2C3d4E5f6G7h8' },
  unbound: { scope: `${all} customer:any` },
  'read only': { scope: 'customer:read customer:any' },
  'write only': { scope: 'customer:write customer:any' },
  'no scope': { scope: 'customer:any' },
  'no customer': { scope: all },
  'unknown merchant': { scope: `${all} customer:any`, merchant_id: 'nowhere' },
} as const;
type Role = keyof typeof roles;

/** Ids and references: of the caller's own customer, of another owner's, of another merchant's, and of none. */
const targets = {
  own: 'cth_A1b2C3d4E5f6G7h8',
  ownReference: own,
  other: 'customer-10002',
  foreign: 'foreign-0001',
  unknown: 'unknown-0001',
} as const;
type Target = keyof typeof targets;

const operations = {
  read: (id: string) => `{ customer(id: "${id}") { id } }`,
  byReference: (id: string) => `{ customerByReference(objectReferenceId: "${id}") { id } }`,
  list: (id: string) => `{ customers(ids: ["${id}"]) { id } }`,
  entity: (id: string) =>
    `{ _entities(representations: [{ __typename: "Customer", id: "${id}" }]) { ... on Customer { id } } }`,
  entityByReference: (id: string) =>
    `{ _entities(representations: [{ __typename: "Customer", objectReferenceId: "${id}" }]) { ... on Customer { id } } }`,
  token: (id: string) => `{ customer(id: "${id}") { id clientAuthToken { __typename } } }`,
  update: (id: string) => `mutation { updateCustomer(id: "${id}", input: { lastName: "Rao" }) { __typename } }`,
  create: (id: string) =>
    `mutation { createCustomer(input: { objectReferenceId: "${id}", mobileNumber: "1", emailAddress: "a@b" }) { __typename ... on CustomerAlreadyExistsError { existing { id } differingFields } } }`,
} as const;
type OperationName = keyof typeof operations;

/** The content of a cell: an error code, `null`, `ok` or the type of a result, with the result of the token if selected. */
function cell(answer: Answer, name: OperationName): string {
  const codes = Object.values(codesOf(answer));
  const value = Object.values(answer.data ?? {})[0] as Record<string, unknown> | unknown[] | null;
  const first = Array.isArray(value) ? (value[0] as Record<string, unknown> | null) : value;
  if (first === null || first === undefined) return codes.length > 0 ? String(codes[0]) : 'null';
  if (name === 'token') return first['clientAuthToken'] === null ? `ok, token ${codes[0]}` : 'ok, token';
  const type = first['__typename'];
  if (type === 'CustomerAlreadyExistsError') return `exists, ${first['existing'] === null ? 'hidden' : 'shown'}`;
  return type === undefined ? 'ok' : String(type);
}

const rows = (role: Role, table: Record<OperationName, Record<Target, string>>) => ({ role, table });
const everywhere = (what: string): Record<Target, string> => ({
  own: what,
  ownReference: what,
  other: what,
  foreign: what,
  unknown: what,
});
const forbidden = Object.fromEntries(Object.keys(operations).map((name) => [name, everywhere('FORBIDDEN')])) as Record<
  OperationName,
  Record<Target, string>
>;
/** A reference with the format of a provider id is rejected by validation. */
const created = {
  own: 'CustomerValidationError',
  ownReference: 'exists, shown',
  other: 'exists, shown',
  foreign: 'CreateCustomerSuccess',
  unknown: 'CreateCustomerSuccess',
};

const matrix = [
  rows('bound by reference', {
    read: { own: 'ok', ownReference: 'ok', other: 'null', foreign: 'null', unknown: 'null' },
    byReference: { own: 'null', ownReference: 'ok', other: 'null', foreign: 'null', unknown: 'null' },
    list: { own: 'ok', ownReference: 'ok', other: 'null', foreign: 'null', unknown: 'null' },
    entity: { ...everywhere('null'), own: 'ok' },
    entityByReference: { ...everywhere('null'), ownReference: 'ok' },
    token: { own: 'ok, token', ownReference: 'ok, token', other: 'null', foreign: 'null', unknown: 'null' },
    update: {
      own: 'UpdateCustomerSuccess',
      ownReference: 'UpdateCustomerSuccess',
      other: 'CustomerNotFoundError',
      foreign: 'CustomerNotFoundError',
      unknown: 'CustomerNotFoundError',
    },
    create: { ...everywhere('FORBIDDEN'), ownReference: 'exists, shown' },
  }),
  rows('bound by id', {
    read: { own: 'ok', ownReference: 'ok', other: 'null', foreign: 'null', unknown: 'null' },
    byReference: { own: 'null', ownReference: 'ok', other: 'null', foreign: 'null', unknown: 'null' },
    list: { own: 'ok', ownReference: 'ok', other: 'null', foreign: 'null', unknown: 'null' },
    entity: { ...everywhere('null'), own: 'ok' },
    entityByReference: { ...everywhere('null'), ownReference: 'ok' },
    token: { own: 'ok, token', ownReference: 'ok, token', other: 'null', foreign: 'null', unknown: 'null' },
    update: {
      own: 'UpdateCustomerSuccess',
      ownReference: 'UpdateCustomerSuccess',
      other: 'CustomerNotFoundError',
      foreign: 'CustomerNotFoundError',
      unknown: 'CustomerNotFoundError',
    },
    create: { ...everywhere('FORBIDDEN'), own: 'CustomerValidationError' },
  }),
  rows('unbound', {
    read: { own: 'ok', ownReference: 'ok', other: 'ok', foreign: 'null', unknown: 'null' },
    byReference: { own: 'null', ownReference: 'ok', other: 'ok', foreign: 'null', unknown: 'null' },
    list: { own: 'ok', ownReference: 'ok', other: 'ok', foreign: 'null', unknown: 'null' },
    entity: { ...everywhere('null'), own: 'ok' },
    entityByReference: { own: 'null', ownReference: 'ok', other: 'ok', foreign: 'null', unknown: 'null' },
    token: { own: 'ok, token', ownReference: 'ok, token', other: 'ok, token', foreign: 'null', unknown: 'null' },
    update: {
      own: 'UpdateCustomerSuccess',
      ownReference: 'UpdateCustomerSuccess',
      other: 'UpdateCustomerSuccess',
      foreign: 'CustomerNotFoundError',
      unknown: 'CustomerNotFoundError',
    },
    create: created,
  }),
  rows('read only', {
    read: { own: 'ok', ownReference: 'ok', other: 'ok', foreign: 'null', unknown: 'null' },
    byReference: { own: 'null', ownReference: 'ok', other: 'ok', foreign: 'null', unknown: 'null' },
    list: { own: 'ok', ownReference: 'ok', other: 'ok', foreign: 'null', unknown: 'null' },
    entity: { ...everywhere('null'), own: 'ok' },
    entityByReference: { own: 'null', ownReference: 'ok', other: 'ok', foreign: 'null', unknown: 'null' },
    token: {
      own: 'ok, token FORBIDDEN',
      ownReference: 'ok, token FORBIDDEN',
      other: 'ok, token FORBIDDEN',
      foreign: 'null',
      unknown: 'null',
    },
    update: everywhere('FORBIDDEN'),
    create: everywhere('FORBIDDEN'),
  }),
  rows('write only', {
    read: everywhere('FORBIDDEN'),
    byReference: everywhere('FORBIDDEN'),
    list: everywhere('FORBIDDEN'),
    entity: everywhere('FORBIDDEN'),
    entityByReference: everywhere('FORBIDDEN'),
    token: everywhere('FORBIDDEN'),
    update: {
      own: 'UpdateCustomerSuccess',
      ownReference: 'UpdateCustomerSuccess',
      other: 'UpdateCustomerSuccess',
      foreign: 'CustomerNotFoundError',
      unknown: 'CustomerNotFoundError',
    },
    create: { ...created, ownReference: 'exists, hidden', other: 'exists, hidden' },
  }),
  rows('no scope', forbidden),
  rows('no customer', forbidden),
  rows('unknown merchant', forbidden),
];

for (const { role, table } of matrix) {
  for (const name of Object.keys(operations) as OperationName[]) {
    test(`${name} of a caller that is ${role} MUST give the results of the matrix`, async () => {
      ownSandbox.reset();
      otherSandbox.reset();
      await ask({ ...roles.unbound, merchant_id: 'other-merchant' }, operations.create(targets.foreign));
      const seen: Record<string, string> = {};
      for (const target of Object.keys(targets) as Target[]) {
        const answer = await ask(roles[role], operations[name](targets[target]));
        assert.equal(answer.status, 200);
        seen[target] = cell(answer, name);
      }
      assert.deepEqual(seen, table[name]);
      // Callers of this merchant cause no call to the other merchant.
      assert.equal(otherSandbox.calls.length, 1);
      if (role !== 'bound by reference' && role !== 'bound by id') return;
      // Tokens are requested only for the caller's own customer.
      const minted = ownSandbox.calls.filter(
        ({ query, form }) => query['options.get_client_auth_token'] ?? form?.['options.get_client_auth_token'],
      );
      assert.ok(minted.every(({ pathId }) => pathId === targets.own || pathId === own));
    });
  }
}

test('the matrix MUST be complete: 8 roles, 8 operations, 5 targets', () => {
  assert.equal(matrix.flatMap(({ table }) => Object.values(table).flatMap((row) => Object.values(row))).length, 320);
});

test('a caller without access MUST get FORBIDDEN at each field, like a caller without scope, and cause no call', async () => {
  ownSandbox.reset();
  const query = `{
    __typename
    one: customer(id: "") { id }
    none: customers(ids: []) { id }
    many: customers(ids: ["u7", "u8"]) { id }
    reference: customerByReference(objectReferenceId: "u7") { id }
  }`;
  const mutation = 'mutation { a: updateCustomer(id: "", input: {}) { __typename } b: __typename }';
  for (const role of ['no customer', 'unknown merchant', 'no scope'] as const) {
    const read = await ask(roles[role], query);
    assert.equal(read.status, 200);
    assert.deepEqual(read.data, { __typename: 'Query', one: null, none: null, many: null, reference: null }, role);
    assert.deepEqual(codesOf(read), { one: 'FORBIDDEN', none: 'FORBIDDEN', many: 'FORBIDDEN', reference: 'FORBIDDEN' });
    const write = await ask(roles[role], mutation);
    assert.deepEqual([write.status, write.data, codesOf(write)], [200, { a: null, b: 'Mutation' }, { a: 'FORBIDDEN' }]);
  }
  assert.deepEqual(ownSandbox.calls, []);
});

test('a request without credentials MUST get 401 and MUST NOT be executed', async () => {
  ownSandbox.reset();
  const answer = await ask(undefined, operations.read(own));
  assert.equal(answer.status, 401);
  assert.deepEqual(codesOf(answer), { '': 'UNAUTHENTICATED' });
  assert.equal(answer.data, undefined);
  assert.deepEqual(ownSandbox.calls, []);
});

test("another owner's customer MUST be indistinguishable from one that does not exist: same response, same calls", async () => {
  for (const name of ['read', 'byReference', 'list', 'entity', 'entityByReference', 'token', 'update'] as const) {
    const seen = [];
    for (const id of [targets.other, targets.unknown]) {
      ownSandbox.reset();
      const { status, text, headers } = await ask(roles['bound by reference'], operations[name](id));
      const requestId = headers.get('x-request-id') ?? '';
      seen.push({
        status,
        text: text.replaceAll(requestId, '').replaceAll(id, 'ID'),
        calls: ownSandbox.calls.map(({ method, target }) => `${method} ${target.replace(id, 'ID')}`),
      });
    }
    assert.deepEqual(seen[0], seen[1], name);
  }
});

test('if one create of an operation is not allowed, none of its mutations MUST run', async () => {
  ownSandbox.reset();
  const one = (id: string, directive = '') =>
    `createCustomer(input: { objectReferenceId: "${id}", mobileNumber: "1", emailAddress: "a@b" }) ${directive} { __typename }`;
  const claims = { scope: all, customer: 'reference-0001' };
  const answer = await ask(
    claims,
    `mutation { a: ${one('reference-0001')} ...f } fragment f on Mutation { b: ${one('reference-0002')} }`,
  );
  assert.deepEqual(codesOf(answer), { a: 'FORBIDDEN', b: 'FORBIDDEN' });
  assert.deepEqual(ownSandbox.calls, []);
  const skipped = await ask(
    claims,
    `mutation { a: ${one('reference-0001')} b: ${one('reference-0002', '@skip(if: true)')} }`,
  );
  assert.deepEqual(skipped.data, { a: { __typename: 'CreateCustomerSuccess' } });
});

test('a token MUST NOT be requested over GET', async () => {
  ownSandbox.reset();
  const answer = await ask(roles.unbound, operations.token(own), { get: true });
  assert.deepEqual(codesOf(answer), { 'customer.clientAuthToken': 'FORBIDDEN' });
  assert.deepEqual(
    ownSandbox.calls.map(({ target }) => target),
    ['/customers/asha.rao%40example.com'],
  );
});

test('no operation MUST fail during a key rotation, before and after the provider accepts the new key', async () => {
  const both = async (valid: string) => {
    const sandbox = await startSandbox({ apiKey: valid });
    const provider = {
      baseUrl: sandbox.url,
      merchantId: sandbox.merchantId,
      apiKey: new Secret('new-key'),
      olderApiKey: new Secret('old-key'),
    };
    const rotating = openGateway({ ...loadConfig({}), provider }, { log: createLog('silent', () => undefined) });
    const texts = [];
    for (let n = 0; n < 5; n += 1) {
      const body = JSON.stringify({ query: '{ customer(id: "u7") { id } }' });
      const response = await rotating.fetch(
        new Request('http://g.test/graphql', { method: 'POST', headers: { 'content-type': 'application/json' }, body }),
      );
      texts.push(await response.text());
    }
    const statuses = sandbox.calls.map(({ status }) => status);
    await rotating.dispose();
    await sandbox.close();
    assert.deepEqual(new Set(texts), new Set(['{"data":{"customer":{"id":"cst_0123456789abcdef"}}}']));
    return statuses;
  };
  assert.deepEqual(await both('new-key'), [200, 200, 200, 200, 200]);
  // After one 401 the gateway tries the working key first.
  assert.deepEqual(await both('old-key'), [401, 200, 200, 200, 200, 200]);
});

for (const isBackoff of [false, true]) {
  const name = isBackoff
    ? 'a call in backoff MUST NOT try the other key'
    : 'a call with a rejected key MUST try the other key, even if another call found it first';
  test(`${name}, and each attempt MUST be logged`, async () => {
    const seen: string[] = [];
    const called = Promise.withResolvers<void>();
    const isFound = Promise.withResolvers<void>();
    const provider = createServer(async ({ headers, url = '' }, response) => {
      const key = Buffer.from(String(headers.authorization).slice(6), 'base64').toString();
      seen.push(`${url} ${key}`);
      if (url === '/customers/early') called.resolve();
      if (url === '/customers/early' && key === 'new-key:') await isFound.promise;
      if (url === '/customers/late' && isBackoff) response.writeHead(429, { 'retry-after': '30' }).end();
      else if (key === 'new-key:') response.writeHead(401).end();
      else response.writeHead(200).end(JSON.stringify({ id: url.split('/').at(-1) }));
    });
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
    const baseUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
    const scenario = withHarness(
      async (harness) => {
        const early = harness.ask('{ customer(id: "early") { id } }');
        await called.promise;
        const late = await harness.ask('{ customer(id: "late") { id } }');
        isFound.resolve();
        const codes = [codesOf(await early)['customer'], codesOf(late)['customer']];
        assert.deepEqual(codes, isBackoff ? ['RATE_LIMITED', 'RATE_LIMITED'] : [undefined, undefined]);
        assert.deepEqual(
          seen,
          isBackoff
            ? ['/customers/early new-key:', '/customers/late new-key:']
            : [
                '/customers/early new-key:',
                '/customers/late new-key:',
                '/customers/late old-key:',
                '/customers/early old-key:',
              ],
        );
        assert.equal(harness.log.filter((line) => line.includes('"message":"upstream call')).length, seen.length);
      },
      {},
      { provider: { baseUrl, apiKey: new Secret('new-key'), olderApiKey: new Secret('old-key') } },
    );
    await scenario.finally(() => {
      provider.closeAllConnections();
      provider.close();
    });
  });
}
