import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { settings } from '../../src/config/settings.ts';
import { ask, start } from '../program.ts';

for (const [name, args, environment, code, message] of [
  [
    'real credentials without AUTH_MODE',
    [],
    { JUSPAY_API_KEY: 'canary', JUSPAY_MERCHANT_ID: 'canary' },
    1,
    /AUTH_MODE/,
  ],
  ['an unknown command', ['serv'], {}, 2, /serve/],
  ['an option of serve', ['serve', '--port', '1'], {}, 2, /--help/],
  ['an unknown dialect', ['sandbox', '--dialect', 'x'], {}, 2, /real, seed, both/],
  ['an unknown option', ['sandbox', '--colour'], {}, 2, /--dialect/],
] as const) {
  test(`${name} MUST fail with exit code ${code} and a message`, async () => {
    const run = start(args, environment);
    assert.equal(await run.exit, code);
    assert.match(run.output(), message);
    assert.doesNotMatch(run.output(), /canary|node:internal/);
  });
}

const unknownHash = '0'.repeat(64);
const realCredentials = { JUSPAY_API_KEY: 'canary', JUSPAY_MERCHANT_ID: 'm', JUSPAY_BASE_URL: 'http://127.0.0.1:9' };

for (const [name, file, environment, message] of [
  ['a file of API keys that is not JSON', '{', {}, /AUTH_API_KEYS_FILE/],
  [
    'a file of API keys for an unknown merchant',
    `[{"name":"a","sha256":"${unknownHash}","scopes":[],"merchant":"canary"}]`,
    {},
    /AUTH_API_KEYS_FILE names a merchant/,
  ],
  [
    'the same with real credentials',
    `[{"name":"a","sha256":"${unknownHash}","scopes":[],"merchant":"canary"}]`,
    realCredentials,
    /AUTH_API_KEYS_FILE names a merchant/,
  ],
  ['invalid manifests', '[]', { ...realCredentials, PERSISTED_DOCUMENTS_FILE: '/nowhere' }, /PERSISTED_DOCUMENTS_FILE/],
] as const) {
  test(`${name} MUST fail the start`, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'cli-'));
    context.after(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'keys.json');
    writeFileSync(path, file);
    const run = start([], { PORT: '0', AUTH_MODE: 'api-key', AUTH_API_KEYS_FILE: path, ...environment });
    assert.equal(await run.exit, 1);
    assert.match(run.output(), message);
    assert.doesNotMatch(run.output(), /canary|node:internal/);
  });
}

test('a port in use MUST be an error that names the settings', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const run = start(['serve'], { PORT: String((other.address() as AddressInfo).port) });
  assert.equal(await run.exit, 1);
  assert.match(run.output(), /HOST and PORT/);
  other.close();
});

test('a HOST on which no server can listen MUST be an error that names the settings, without its value', async () => {
  for (const host of ['fe80::1', 'ff02::1', '192.0.2.1', 'canary.invalid']) {
    const run = start(['serve'], { PORT: '0', HOST: host });
    assert.equal(await run.exit, 1, host);
    assert.match(run.output(), /^The gateway cannot listen on this address \(E\w+\): change HOST and PORT\.\n$/m, host);
    assert.ok(!run.output().includes(host), run.output());
  }
});

test('--help MUST show every variable, its meaning and its default', async () => {
  const run = start(['--help']);
  assert.equal(await run.exit, 0);
  for (const { name, meaning } of settings) {
    assert.match(run.output(), new RegExp(`^  ${name}\\b`, 'm'));
    assert.ok(run.output().includes(meaning.replaceAll('`', '')));
  }
});

test('config MUST print the effective settings, with secrets hidden', async () => {
  const run = start(['config'], {
    JUSPAY_API_KEY: 'key-canary',
    JUSPAY_MERCHANT_ID: 'acme',
    AUTH_MODE: 'none',
    PORT: '4321',
  });
  assert.equal(await run.exit, 0);
  const lines = run.output().trim().split('\n');
  assert.deepEqual(
    lines.map((line) => line.split('=')[0]),
    settings.map(({ name }) => name),
  );
  assert.ok(lines.includes('JUSPAY_API_KEY=[secret]  (environment)'));
  assert.ok(lines.includes('PORT=4321  (environment)'));
  assert.ok(lines.includes('LIMIT_DEPTH=10  (default)'));
  assert.ok(lines.includes('LIMIT_ITEMS=2000  (default)'));
  assert.doesNotMatch(run.output(), /undefined/);
  assert.doesNotMatch(run.output(), /key-canary/);
});

test('schema MUST print the committed schema, for each variant', async () => {
  for (const [args, file] of [
    [[], 'schema.graphql'],
    [['--for', 'plain'], 'schema.graphql'],
    [['--for=federation'], 'subgraph.graphql'],
    [['--for', 'federation-scopes'], 'subgraph-scopes.graphql'],
    [['--for', 'composite'], 'composite.graphql'],
    [['--for', 'stitching'], 'stitching.graphql'],
  ] as const) {
    const run = start(['schema', ...args]);
    assert.equal(await run.exit, 0);
    assert.equal(run.output(), readFileSync(new URL(`../../schema/${file}`, import.meta.url), 'utf8'));
  }
  assert.equal(await start(['schema', '--for', 'unknown']).exit, 2);
});

test('token MUST create a token that a gateway with the same settings accepts, and report missing settings', async (context) => {
  const settingsOfJwt = {
    AUTH_JWT_SECRET: 'a-secret-of-enough-bytes-for-everybody',
    AUTH_JWT_ISSUER: 'i',
    AUTH_JWT_AUDIENCE: 'a',
  };
  const bare = start(['token']);
  assert.equal(await bare.exit, 2);
  assert.match(bare.output(), /AUTH_JWT_SECRET/);
  const folder = mkdtempSync(join(tmpdir(), 'cli-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'secret');
  writeFileSync(path, `${settingsOfJwt.AUTH_JWT_SECRET}\n`);
  const { AUTH_JWT_SECRET: _, ...others } = settingsOfJwt;
  const secretInFile = { ...others, AUTH_JWT_SECRET_FILE: path };
  const made = start(['token', '--customer', 'asha.rao@example.com'], secretInFile);
  assert.equal(await made.exit, 0);
  const run = start([], { PORT: '0', AUTH_MODE: 'jwt', ...settingsOfJwt });
  const [, url = ''] = await run.waitFor(/GraphiQL {2}(http:\S+)/);
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${made.output().trim()}` },
    body: JSON.stringify({
      query: '{ own: customer(id: "asha.rao@example.com") { firstName } other: customer(id: "u7") { id } }',
    }),
  });
  assert.deepEqual(await response.json(), { data: { own: { firstName: 'Asha' }, other: null } });
  assert.equal((await ask(url, '{ __typename }')).status, 401);
  run.child.kill('SIGTERM');
  assert.equal(await run.exit, 0);
});

test('GraphiQL on the embedded sandbox MUST offer a token for each role, and the gateway MUST apply their scopes', async () => {
  const run = start([], { PORT: '0' });
  const [, url = ''] = await run.waitFor(/GraphiQL {2}(http:\S+)/);
  const page = await (await fetch(url, { headers: { accept: 'text/html' } })).text();
  const tokens = [...page.matchAll(/Bearer ([\w-]+\.[\w-]+\.[\w-]+)/g)].map(([, token]) => token);
  const seen = [];
  for (const token of tokens) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({
        query:
          '{ own: customer(id: "asha.rao@example.com") { clientAuthToken { __typename } } other: customer(id: "u7") { __typename } }',
      }),
    });
    const { data } = (await response.json()) as { data: { own: { clientAuthToken: unknown }; other: unknown } };
    seen.push([data.own.clientAuthToken !== null, data.other !== null]);
  }
  assert.deepEqual(seen, [
    [true, false],
    [true, true],
    [false, true],
  ]);
  // Other addresses than loopback ones do not offer tokens.
  const wide = start([], { PORT: '0', HOST: '0.0.0.0' });
  const [, port = ''] = await wide.waitFor(/GraphiQL {2}http:\/\/[^:]+:(\d+)/);
  const bare = await (await fetch(`http://127.0.0.1:${port}/graphql`, { headers: { accept: 'text/html' } })).text();
  assert.doesNotMatch(bare, /Bearer [\w-]+\./);
  for (const { child, exit } of [run, wide]) {
    child.kill('SIGTERM');
    assert.equal(await exit, 0);
  }
});

test('serve MUST start the sandbox and the gateway, print their URLs, and shut down cleanly on SIGINT', async () => {
  const run = start([], { PORT: '0' });
  const [, url = ''] = await run.waitFor(/GraphiQL {2}(http:\S+)/);
  await run.waitFor(/Ctrl-C/);
  const { body } = await ask(url, '{ customer(id: "asha.rao@example.com") { firstName clientAuthToken { token } } }');
  assert.match(
    JSON.stringify(body),
    /^{"data":{"customer":{"firstName":"Asha","clientAuthToken":{"token":"tkn_[0-9a-f]{32}"}}}}$/,
  );
  assert.match(run.output(), /sandbox.*cth_A1b2C3d4E5f6G7h8 {3}asha\.rao@example\.com {2}Asha Rao.*JUSPAY_API_KEY/s);
  run.child.kill('SIGINT');
  assert.equal(await run.exit, 0);
});

test('only a loopback HOST in a container MUST log a warning', async () => {
  for (const [host, isWarned] of [
    ['127.0.0.1', true],
    ['localhost', true],
    ['0.0.0.0', false],
  ] as const) {
    for (const command of ['serve', 'sandbox']) {
      const run = start([command], { PORT: '0', HOST: host, KUBERNETES_SERVICE_HOST: '10.96.0.1' });
      const fields = command === 'serve' ? '"level":"warn".*"setting":"HOST","message":"' : '^';
      const warning = `${fields}listening on a loopback address in a container: not reachable from outside`;
      if (isWarned) await run.waitFor(new RegExp(warning, 'm'));
      // The banner is printed after the signal handlers are in place.
      await run.waitFor(/Ctrl-C/);
      run.child.kill('SIGTERM');
      assert.equal(await run.exit, 0);
      assert.equal(run.output().includes('not reachable from outside'), isWarned);
    }
  }
});

test('GRAPHQL_PATH MUST be the path of the endpoint and of GraphiQL, also in the banner', async () => {
  const run = start([], { PORT: '0', GRAPHQL_PATH: '/shop/api' });
  const [, url = ''] = await run.waitFor(/GraphiQL {2}(http:\S+)/);
  assert.equal(new URL(url).pathname, '/shop/api');
  assert.deepEqual((await ask(url, '{ __typename }')).body, { data: { __typename: 'Query' } });
  const page = await fetch(url, { headers: { accept: 'text/html' } });
  assert.match(await page.text(), /"endpoint":"\/shop\/api"/);
  assert.equal((await ask(String(new URL('/graphql', url)), '{ __typename }')).status, 404);
  run.child.kill('SIGTERM');
  assert.equal(await run.exit, 0);
});

test('an idle connection MUST stay open for KEEP_ALIVE_TIMEOUT_MS, 65 s by default', async () => {
  for (const [environment, seconds] of [
    [{}, 65],
    [{ KEEP_ALIVE_TIMEOUT_MS: '2000' }, 2],
  ] as const) {
    const run = start([], { PORT: '0', ...environment });
    const [, url = ''] = await run.waitFor(/GraphiQL {2}(http:\S+)/);
    const response = await fetch(new URL('/health', url), { headers: { connection: 'keep-alive' } });
    assert.equal(response.headers.get('keep-alive'), `timeout=${seconds}`);
    run.child.kill('SIGTERM');
    assert.equal(await run.exit, 0);
  }
});

test('after SIGTERM, operations MUST be served for SHUTDOWN_DELAY_MS while /ready returns 503', async () => {
  const run = start([], { PORT: '0', SHUTDOWN_DELAY_MS: '2000' });
  const [, url = ''] = await run.waitFor(/GraphiQL {2}(http:\S+)/);
  run.child.kill('SIGTERM');
  while ((await fetch(new URL('/ready', url))).status !== 503);
  const { status, body } = await ask(url, '{ customer(id: "u7") { id } }');
  assert.deepEqual([status, body], [200, { data: { customer: { id: 'cst_0123456789abcdef' } } }]);
  assert.equal((await fetch(new URL('/health', url))).status, 200);
  assert.equal(await run.exit, 0);

  const second = start([], { PORT: '0', SHUTDOWN_DELAY_MS: '600000' });
  await second.waitFor(/Ctrl-C/);
  second.child.kill('SIGTERM');
  second.child.kill('SIGINT');
  assert.equal(await second.exit, 1);
});

test('SIGTERM MUST finish in-flight operations, reject new ones, and exit with code 0', async () => {
  const sandbox = start(['sandbox', '--port', '0'], { JUSPAY_API_KEY: 'k-1', JUSPAY_MERCHANT_ID: 'm-1' });
  const [, upstream = ''] = await sandbox.waitFor(/JUSPAY_BASE_URL +(\S+)/);
  await sandbox.waitFor(/JUSPAY_API_KEY +k-1/);
  const gateway = start(['serve'], {
    PORT: '0',
    JUSPAY_BASE_URL: upstream,
    JUSPAY_API_KEY: 'k-1',
    JUSPAY_MERCHANT_ID: 'm-1',
    AUTH_MODE: 'none',
  });
  const [, url = ''] = await gateway.waitFor(/"url":"([^"]+)"/);
  const arm = await fetch(`${upstream}/__admin/faults`, {
    method: 'POST',
    body: '{"fault":"slow","on":"create","delayMs":1500}',
  });
  assert.equal(arm.status, 201);

  const inFlight = ask(
    `${url}/graphql`,
    'mutation { createCustomer(input: { objectReferenceId: "reference-1", mobileNumber: "1", emailAddress: "a@b" }) { __typename } }',
  );
  const seen = async (): Promise<boolean> =>
    ((await (await fetch(`${upstream}/__admin/calls`)).json()) as unknown[]).length > 0;
  while (!(await seen()));
  gateway.child.kill('SIGTERM');
  const readiness = async () => (await fetch(`${url}/ready`)).status;
  while ((await readiness()) !== 503);
  const late = await ask(`${url}/graphql`, '{ __typename }');
  assert.deepEqual([late.status, late.retryAfter], [503, '1']);
  assert.match(JSON.stringify(late.body), /"code":"OVERLOADED","retryable":true/);
  assert.equal((await fetch(`${url}/health`)).status, 200);

  assert.deepEqual((await inFlight).body, { data: { createCustomer: { __typename: 'CreateCustomerSuccess' } } });
  assert.equal(await gateway.exit, 0);
  assert.doesNotMatch(gateway.output(), /k-1|reference-1/);
  sandbox.child.kill('SIGTERM');
  assert.equal(await sandbox.exit, 0);
});

test('a shutdown MUST wait for writes of disconnected clients and for their audit lines', async () => {
  const run = start([], { PORT: '0' });
  const [, url = ''] = await run.waitFor(/GraphiQL {2}(http:\S+)/);
  const [, admin = ''] = await run.waitFor(/(http:\S+\/__admin)/);
  await fetch(`${admin}/faults`, { method: 'POST', body: '{"fault":"slow","on":"create","delayMs":1500}' });
  const client = new AbortController();
  const asked = fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      query:
        'mutation { createCustomer(input: { objectReferenceId: "reference-2", mobileNumber: "1", emailAddress: "a@b" }) { __typename } }',
    }),
    signal: client.signal,
  }).catch(() => 'disconnected');
  const seen = async (): Promise<boolean> => ((await (await fetch(`${admin}/calls`)).json()) as unknown[]).length > 0;
  while (!(await seen()));
  client.abort();
  assert.equal(await asked, 'disconnected');
  run.child.kill('SIGTERM');
  assert.equal(await run.exit, 0);
  assert.match(run.output(), /"field":"createCustomer".*"outcome":"CREATED"/);
});

test('a hanging upstream MUST NOT delay a shutdown beyond SHUTDOWN_GRACE_MS', async () => {
  const run = start([], { PORT: '0', SHUTDOWN_GRACE_MS: '200' });
  const [, url = ''] = await run.waitFor(/GraphiQL {2}(http:\S+)/);
  const [, admin = ''] = await run.waitFor(/(http:\S+\/__admin)/);
  const asked = ask(url, '{ customer(id: "fault_timeout") { id } }').catch(() => 'disconnected');
  const seen = async (): Promise<boolean> => ((await (await fetch(`${admin}/calls`)).json()) as unknown[]).length > 0;
  while (!(await seen()));
  run.child.kill('SIGTERM');
  assert.equal(await run.exit, 0);
  assert.equal(await asked, 'disconnected');
});
