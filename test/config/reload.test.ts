import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { watchFile } from '../../src/config/watched-file.ts';
import { createGateway, type Gateway, type GatewayOptions } from '../../src/index.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { ask as askProgram, start } from '../program.ts';
import { bearer, createOperation, jwtSettings, newCustomer } from '../support.ts';

const canary = process.env['CANARY'] ?? 'canary';
const read = '{ customer(id: "u7") { id } }';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
/** The content of a file with one API key. */
const keyFile = (key: string) => JSON.stringify([{ name: 'bff', sha256: sha256(key), scopes: ['customer:read'] }]);

/** Creates a folder that is removed after the test. */
function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'reload-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Collects log lines, and can wait for a line. */
function createLines() {
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  return {
    lines,
    log: createLog('debug', (line) => {
      lines.push(line);
      for (const look of waiting) look();
    }),
    /** Resolves when `count` lines match. */
    until: (pattern: RegExp, count = 1) =>
      new Promise<void>((resolve) => {
        const look = () => {
          if (lines.filter((line) => pattern.test(line)).length < count) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}

/** High timeouts: tests delay calls on purpose, and the machine may be busy. */
const patient = { JUSPAY_TIMEOUT_MS: '120000', OPERATION_TIMEOUT_MS: '300000' };

const applied = (setting: string) => new RegExp(`"setting":"${setting}","message":"changed file applied"`);
const unusable = /the last valid content stays in use/;

/** A provider that records key, merchant and path of each call, and returns the requested customer. */
async function startProvider(context: TestContext, isValid: (key: string) => boolean = () => true) {
  const calls: { key: string; merchant: string; path: string; atMs: number }[] = [];
  const held = new Map<string, PromiseWithResolvers<void>>();
  const server = createServer(async (request, response) => {
    const key = Buffer.from(String(request.headers.authorization).slice(6), 'base64').toString().replace(':', '');
    const path = request.url ?? '';
    calls.push({ key, merchant: String(request.headers['x-merchantid']), path, atMs: performance.now() });
    for (const look of looks) look();
    await held.get(path)?.promise;
    if (!isValid(key)) return response.writeHead(401).end();
    const id = decodeURIComponent(path.split('/').at(-1) ?? '');
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id }));
  });
  const looks = new Set<() => void>();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    for (const { resolve } of held.values()) resolve();
    server.closeAllConnections();
    server.close();
  });
  return {
    server,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    /** Responses for this path wait until `release`. */
    hold(path: string) {
      held.set(path, Promise.withResolvers());
      return () => held.get(path)?.resolve();
    },
    called: (path: string) =>
      new Promise<void>((resolve) => {
        const look = () => {
          if (calls.some((call) => call.path === path)) resolve();
        };
        looks.add(look);
        look();
      }),
  };
}

async function ask(gateway: Gateway, query: string, headers: object = {}, variables: object = {}) {
  const request = new Request('http://app.test/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query, variables }),
  });
  const response = await gateway.fetch(request);
  return { status: response.status, text: await response.text() };
}

function open(context: TestContext, options: GatewayOptions): Gateway {
  const gateway = createGateway(options);
  context.after(() => gateway.dispose());
  return gateway;
}

const replace = (path: string, content: string) => {
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
};

/** A folder like a mounted Kubernetes Secret: each file is a link into `..data`, which links to the current version. */
function mountSecret(folder: string, name: string, content: string) {
  let version = 0;
  const swap = (text: string) => {
    version += 1;
    const next = `..${version}`;
    mkdirSync(join(folder, next));
    writeFileSync(join(folder, next, name), text);
    symlinkSync(next, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  };
  swap(content);
  symlinkSync(join('..data', name), join(folder, name));
  return { path: join(folder, name), swap };
}

test('20 key rotations MUST NOT fail in-flight operations, and a removed key MUST NOT be used any more', async (context) => {
  const folder = folderOf(context);
  const path = join(folder, 'key');
  const provider = await startProvider(context);
  writeFileSync(path, 'key-0\n');
  const { log, lines, until } = createLines();
  const environment = {
    JUSPAY_API_KEY_FILE: path,
    JUSPAY_MERCHANT_ID: 'acme',
    JUSPAY_BASE_URL: provider.url,
    AUTH_MODE: 'none',
  };
  const gateway = open(context, { environment, log });
  const state = { isOver: false };
  const failures: string[] = [];
  let answered = 0;
  const running = Promise.all(
    Array.from({ length: 4 }, async (_, caller) => {
      for (let n = 0; !state.isOver; n += 1) {
        const { text } = await ask(gateway, `{ customer(id: "c-${caller}-${n}") { id } }`);
        answered += 1;
        if (text !== `{"data":{"customer":{"id":"c-${caller}-${n}"}}}`) failures.push(text);
      }
    }),
  );
  for (let swap = 1; swap <= 20; swap += 1) {
    if (swap % 2) replace(path, `key-${swap}\n`);
    else writeFileSync(path, `key-${swap}\r\n`);
    await until(applied('JUSPAY_API_KEY_FILE'), swap);
    const before = provider.calls.length;
    assert.equal((await ask(gateway, read)).status, 200);
    // Calls sent while the file was applied may still use the old key. The call made after it must use the new key.
    const own = provider.calls.slice(before).filter((call) => call.path === '/customers/u7');
    assert.deepEqual(
      own.map(({ key }) => key),
      [`key-${swap}`],
    );
  }
  state.isOver = true;
  await running;
  assert.deepEqual(failures, []);
  assert.ok(answered > 20);
  assert.doesNotMatch(lines.join(''), /key-\d/);
});

test('a call that the provider rejects for a replaced key MUST be retried with the new key', async (context) => {
  const folder = folderOf(context);
  const path = join(folder, 'key');
  const provider = await startProvider(context, (key) => key === 'new-key');
  writeFileSync(path, 'old-key');
  const { log, until } = createLines();
  const gateway = open(context, {
    juspay: { merchantId: 'acme', baseUrl: provider.url },
    auth: { mode: 'none' },
    environment: { JUSPAY_API_KEY_FILE: path, ...patient },
    log,
  });
  const release = provider.hold('/customers/u7');
  const answer = ask(gateway, read);
  await provider.called('/customers/u7');
  replace(path, 'new-key');
  await until(applied('JUSPAY_API_KEY_FILE'));
  release();
  assert.equal((await answer).text, '{"data":{"customer":{"id":"u7"}}}');
  assert.deepEqual(
    provider.calls.map(({ key }) => key),
    ['old-key', 'new-key'],
  );
});

test('audit pseudonyms MUST use the current key', async (context) => {
  const { path, swap } = mountSecret(folderOf(context), 'key', 'old-key\n');
  const provider = await startProvider(context);
  const { log, lines, until } = createLines();
  const gateway = open(context, {
    juspay: { merchantId: 'acme', baseUrl: provider.url },
    auth: { mode: 'none' },
    environment: { JUSPAY_API_KEY_FILE: path },
    log,
  });
  const create = async () => {
    await ask(gateway, createOperation, {}, { input: newCustomer('reference-1', { mobileNumber: '+' }) });
    const line = lines.findLast((text) => text.includes('"message":"audit"')) ?? '{}';
    const { caller, customer } = JSON.parse(line) as Record<string, unknown>;
    return { caller, customer };
  };
  const pseudonym = (key: string, text: string) => createHmac('sha256', key).update(text).digest('hex').slice(0, 16);
  const expected = (key: string) => ({ caller: pseudonym(key, 'anonymous'), customer: pseudonym(key, 'reference-1') });
  assert.deepEqual(await create(), expected('old-key'));
  swap('new-key\n');
  await until(applied('JUSPAY_API_KEY_FILE'));
  assert.deepEqual(await create(), expected('new-key'));
});

test('merchants MUST be added, changed and removed; in-flight operations of a removed merchant MUST finish before its pool closes', async (context) => {
  const { path, swap } = mountSecret(folderOf(context), 'merchants.json', '{}');
  const provider = await startProvider(context);
  const other = await startProvider(context);
  const { log, until } = createLines();
  const acme = { apiKey: 'acme-1', baseUrl: provider.url };
  const globex = { apiKey: 'globex-1', baseUrl: other.url };
  swap(JSON.stringify({ acme, globex }));
  const environment = { MERCHANTS_FILE: path, ...jwtSettings, ...patient };
  const gateway = open(context, { environment, log });
  const from = (merchant: string, query = read) =>
    ask(gateway, query, {
      authorization: `Bearer ${bearer({ scope: 'customer:read customer:write customer:any', merchant_id: merchant })}`,
    });
  const found = '{"data":{"customer":{"id":"u7"}}}';
  assert.equal((await from('globex')).text, found);
  assert.match((await from('initech')).text, /FORBIDDEN/);

  // Two sequential writes: the second is sent after the merchant was removed.
  const release = other.hold('/customers/first');
  const update = (id: string) => `${id}: updateCustomer(id: "${id}", input: { firstName: "A" }) { __typename }`;
  const inFlight = from('globex', `mutation { ${update('first')} ${update('second')} }`);
  await other.called('/customers/first');
  const closed = once(other.server, 'connection').then(([socket]) => once(socket, 'close'));
  // This call opens the connection that the test observes.
  assert.equal((await from('globex', '{ customer(id: "u8") { id } }')).text, '{"data":{"customer":{"id":"u8"}}}');

  swap(JSON.stringify({ acme: { ...acme, apiKey: ['acme-2', 'acme-1'] }, initech: { ...acme, apiKey: 'initech-1' } }));
  await until(applied('MERCHANTS_FILE'));
  const refused = await from('globex');
  assert.deepEqual([refused.status, /FORBIDDEN/.test(refused.text)], [200, true]);
  assert.equal((await from('acme')).text, found);
  assert.equal((await from('initech')).text, found);
  assert.deepEqual(
    provider.calls.map(({ key, merchant }) => `${merchant} ${key}`),
    ['acme acme-2', 'initech initech-1'],
  );
  release();
  const done = { __typename: 'UpdateCustomerSuccess' };
  assert.deepEqual(JSON.parse((await inFlight).text), { data: { first: done, second: done } });
  await closed;
  assert.deepEqual(
    other.calls.map(({ path: target }) => target),
    ['/customers/u7', '/customers/first', '/customers/u8', '/customers/second'],
  );
});

test('changes of the shared secret, the API keys and the manifests MUST be applied, and removed entries rejected', async (context) => {
  const folder = folderOf(context);
  const provider = await startProvider(context);
  const { log, lines, until } = createLines();
  const [secret, keys, manifest, more] = ['secret', 'keys', 'manifest', 'more'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  const entry = (key: string) => ({
    name: 'bff',
    sha256: sha256(key),
    scopes: ['customer:read'],
    documents: 'any',
  });
  const { AUTH_JWT_SECRET: known, ...jwt } = jwtSettings;
  writeFileSync(secret, 'another secret of more than thirty-two bytes\n');
  writeFileSync(keys, JSON.stringify([entry('key-1')]));
  writeFileSync(manifest, '{}');
  writeFileSync(more, JSON.stringify({ [sha256('{ a: __typename }')]: '{ a: __typename }' }));
  const gateway = open(context, {
    juspay: { merchantId: 'acme', apiKey: 'k', baseUrl: provider.url },
    environment: {
      ...jwt,
      AUTH_MODE: 'jwt,api-key',
      AUTH_JWT_SECRET_FILE: secret,
      AUTH_API_KEYS_FILE: keys,
      PERSISTED_DOCUMENTS_FILE: `${manifest}, ${more}`,
    },
    log,
  });
  const withToken = { authorization: `Bearer ${bearer({ scope: 'customer:any customer:read' })}` };
  const sendId = async (id: string) => {
    const body = JSON.stringify({ documentId: id });
    const headers = { 'content-type': 'application/json', 'x-api-key': 'key-1' };
    return (await gateway.fetch(new Request('http://app.test/graphql', { method: 'POST', headers, body }))).text();
  };
  assert.equal((await ask(gateway, read, withToken)).status, 401);
  assert.equal((await ask(gateway, read, { 'x-api-key': 'key-1' })).status, 200);
  assert.match(await sendId(sha256('{ b: __typename }')), /PERSISTED_QUERY_NOT_FOUND/);

  replace(secret, `\uFEFF${known}\n`);
  replace(more, JSON.stringify({ [sha256('{ b: __typename }')]: '{ b: __typename }' }));
  await Promise.all([until(applied('AUTH_JWT_SECRET_FILE')), until(applied('PERSISTED_DOCUMENTS_FILE'))]);
  assert.equal((await ask(gateway, read, withToken)).status, 200);
  assert.equal(await sendId(sha256('{ b: __typename }')), '{"data":{"b":"Query"}}');
  assert.match(await sendId(sha256('{ a: __typename }')), /PERSISTED_QUERY_NOT_FOUND/);

  replace(keys, JSON.stringify([entry('key-2')]));
  await until(applied('AUTH_API_KEYS_FILE'));
  assert.equal((await ask(gateway, read, { 'x-api-key': 'key-1' })).status, 401);
  assert.equal((await ask(gateway, read, { 'x-api-key': 'key-2' })).status, 200);
  assert.doesNotMatch(lines.join(''), /thirty-two|key-\d/);
});

/** File contents that also fail validation at startup. */
const broken: readonly [string, string, string][] = [
  ['JUSPAY_API_KEY_FILE', 'key', `two words ${canary}`],
  ['MERCHANTS_FILE', 'merchants', `{"acme":{"apiKey":"${canary}","extra":1}}`],
  ['AUTH_JWT_SECRET_FILE', 'secret', ''],
  ['AUTH_API_KEYS_FILE', 'keys', `[{"name":"${canary}"}]`],
  ['PERSISTED_DOCUMENTS_FILE', 'manifest', `["${canary}"]`],
];
for (const [setting, name, content] of broken) {
  test(`unusable content of ${setting} MUST be logged once and counted, and valid content MUST replace it`, async (context) => {
    const folder = folderOf(context);
    const path = (file: string) => join(folder, file);
    const provider = await startProvider(context);
    const { log, lines, until } = createLines();
    const { AUTH_JWT_SECRET: secret, ...jwt } = jwtSettings;
    const valid: Record<string, string> = {
      key: 'k-1',
      merchants: `{"globex":{"apiKey":"g-1","baseUrl":"${provider.url}"}}`,
      secret,
      keys: '[]',
      manifest: '{}',
    };
    for (const [file, text] of Object.entries(valid)) writeFileSync(path(file), text);
    const gateway = open(context, {
      environment: {
        ...jwt,
        JUSPAY_API_KEY_FILE: path('key'),
        JUSPAY_MERCHANT_ID: 'acme',
        JUSPAY_BASE_URL: provider.url,
        MERCHANTS_FILE: path('merchants'),
        AUTH_MODE: 'jwt,api-key',
        AUTH_JWT_SECRET_FILE: path('secret'),
        AUTH_API_KEYS_FILE: path('keys'),
        PERSISTED_DOCUMENTS_FILE: path('manifest'),
      },
      log,
    });
    const isServed = async () => {
      const authorization = `Bearer ${bearer({ scope: 'customer:read customer:any', merchant_id: 'globex' })}`;
      assert.equal((await ask(gateway, read, { authorization })).text, '{"data":{"customer":{"id":"u7"}}}');
      assert.equal(provider.calls.at(-1)?.key, 'g-1');
    };
    replace(path(name), content);
    await until(unusable);
    await isServed();
    // Restore the previous content first, then write new content.
    replace(path(name), valid[name] ?? '');
    await until(/usable again/);
    replace(path(name), `${valid[name]}\n`);
    await until(applied(setting));
    await isServed();
    const logged = lines.filter((line) => /"setting":/.test(line));
    assert.deepEqual(
      logged.map((line) => (JSON.parse(line) as { level: string; setting: string }).setting),
      [setting, setting, setting],
    );
    assert.doesNotMatch(lines.join(''), new RegExp(canary));
  });
}

test('a missing file, a link loop or a directory MUST NOT stop the gateway, and a restored file MUST be read', async (context) => {
  const folder = folderOf(context);
  const path = join(folder, 'keys.json');
  writeFileSync(path, keyFile('key-0'));
  const run = start([], { PORT: '0', METRICS_PORT: '0', AUTH_MODE: 'api-key', AUTH_API_KEYS_FILE: path });
  context.after(() => run.child.kill('SIGKILL'));
  const [, url = ''] = await run.waitFor(/GraphiQL {2}(http:\S+)/);
  const [, metrics = ''] = await run.waitFor(/Metrics {3}(\S+)/);
  const usable = async () =>
    /file_usable\{file="AUTH_API_KEYS_FILE"\} (\d)/.exec(await (await fetch(metrics)).text())?.[1];
  const status = async (key: string) => {
    const headers = { 'content-type': 'application/json', 'x-api-key': key };
    return (await fetch(url, { method: 'POST', headers, body: '{"query":"{ __typename }"}' })).status;
  };
  assert.equal(await usable(), '1');
  for (const [index, damage] of [
    () => unlinkSync(path),
    () => symlinkSync('keys.json', path),
    () => mkdirSync(path),
  ].entries()) {
    if (index > 0) rmSync(path, { recursive: true, force: true });
    damage();
    const code = ['ENOENT', 'ELOOP', 'EINVAL'][index];
    await run.waitFor(new RegExp(`AUTH_API_KEYS_FILE names a file that cannot be read \\(${code}\\)`));
    assert.equal(await usable(), '0');
    assert.equal(await status(`key-${index}`), 200);
    rmSync(path, { recursive: true, force: true });
    writeFileSync(path, keyFile(`key-${index + 1}`));
    while ((await status(`key-${index + 1}`)) !== 200);
    assert.equal(await status(`key-${index}`), 401);
    assert.equal(await usable(), '1');
  }
  assert.match(await (await fetch(metrics)).text(), /file_reload_failures_total\{file="AUTH_API_KEYS_FILE"\} [1-9]/);
  assert.equal((await askProgram(url, '{ __typename }')).status, 401);
  run.child.kill('SIGTERM');
  assert.equal(await run.exit, 0);
});

test('rejected content MUST be retried until it is accepted, since another file may have to change first', async (context) => {
  const path = join(folderOf(context), 'file');
  writeFileSync(path, 'one');
  const { log, lines, until } = createLines();
  const registry = createMetrics('0');
  const { promise: accepted, resolve } = Promise.withResolvers<string>();
  let tries = 0;
  const close = watchFile(
    {
      setting: 'MERCHANTS_FILE',
      paths: [path],
      initial: ['one'],
      accept([content]) {
        tries += 1;
        if (tries < 3) throw new Error('MERCHANTS_FILE is not yet usable.');
        resolve(String(content));
      },
    },
    { log, metrics: registry },
  );
  context.after(close);
  writeFileSync(path, 'two');
  assert.equal(await accepted, 'two');
  await until(/usable again/);
  assert.equal(lines.filter((line) => unusable.test(line)).length, 1);
  assert.match(await registry.read(), /file_reload_failures_total\{file="MERCHANTS_FILE"\} 2/);
});

for (const first of ['JUSPAY_API_KEY_FILE', 'MERCHANTS_FILE'] as const) {
  test(`the key of a merchant that two files describe MUST change with both files, ${first} first`, async (context) => {
    const folder = folderOf(context);
    const provider = await startProvider(context);
    const { log, until } = createLines();
    const paths = { JUSPAY_API_KEY_FILE: join(folder, 'key'), MERCHANTS_FILE: join(folder, 'merchants.json') };
    const contentsWith = (key: string) => ({
      JUSPAY_API_KEY_FILE: key,
      MERCHANTS_FILE: JSON.stringify({ m: { apiKey: key, baseUrl: provider.url } }),
    });
    const second = first === 'MERCHANTS_FILE' ? 'JUSPAY_API_KEY_FILE' : 'MERCHANTS_FILE';
    for (const setting of [first, second] as const) writeFileSync(paths[setting], contentsWith('old')[setting]);
    const environment = {
      ...{ JUSPAY_MERCHANT_ID: 'm', JUSPAY_BASE_URL: provider.url, AUTH_MODE: 'none' },
      ...{ ...paths, ...patient },
    };
    const gateway = open(context, { environment, log });
    await ask(gateway, read);
    replace(paths[first], contentsWith('new')[first]);
    await until(unusable);
    await ask(gateway, read);
    replace(paths[second], contentsWith('new')[second]);
    await until(applied(first));
    await until(applied(second));
    await ask(gateway, read);
    assert.deepEqual(
      provider.calls.map(({ key }) => key),
      ['old', 'old', 'new'],
    );
  });
}

test('a change between startup and the first poll MUST NOT be missed', async (context) => {
  const path = join(folderOf(context), 'key');
  const provider = await startProvider(context);
  writeFileSync(path, 'key-1');
  const { log, until } = createLines();
  const gateway = open(context, {
    juspay: { merchantId: 'acme', baseUrl: provider.url },
    auth: { mode: 'none' },
    environment: { JUSPAY_API_KEY_FILE: path },
    log,
  });
  // Same length, written in place and synchronously.
  writeFileSync(path, 'key-2');
  await until(applied('JUSPAY_API_KEY_FILE'));
  await ask(gateway, read);
  assert.deepEqual(
    provider.calls.map(({ key }) => key),
    ['key-2'],
  );
});

test('an API key entry of a removed merchant MUST be accepted, and one of an unknown merchant MUST be rejected', async (context) => {
  const folder = folderOf(context);
  const provider = await startProvider(context);
  const [keys, merchants] = [join(folder, 'keys'), join(folder, 'merchants')];
  const entry = (merchant: string, key = merchant) => ({
    name: key,
    sha256: sha256(key),
    scopes: ['customer:read'],
    merchant,
  });
  const of = (...names: string[]) =>
    JSON.stringify(Object.fromEntries(names.map((name) => [name, { apiKey: 'k', baseUrl: provider.url }])));
  writeFileSync(keys, JSON.stringify([entry('acme'), entry('globex')]));
  writeFileSync(merchants, of('acme', 'globex'));
  const { log, until } = createLines();
  const environment = { MERCHANTS_FILE: merchants, AUTH_MODE: 'api-key', AUTH_API_KEYS_FILE: keys };
  const gateway = open(context, { environment, log });
  replace(merchants, of('acme'));
  await until(applied('MERCHANTS_FILE'));
  const removed = await ask(gateway, read, { 'x-api-key': 'globex' });
  assert.deepEqual([removed.status, /FORBIDDEN/.test(removed.text)], [200, true]);
  replace(keys, JSON.stringify([entry('acme', 'other'), entry('globex')]));
  await until(applied('AUTH_API_KEYS_FILE'));
  assert.equal((await ask(gateway, read, { 'x-api-key': 'acme' })).status, 401);

  replace(keys, JSON.stringify([entry('initech')]));
  await until(/AUTH_API_KEYS_FILE names a merchant/);
  assert.equal((await ask(gateway, read, { 'x-api-key': 'other' })).status, 200);
  // Add the merchant that the key file names.
  replace(merchants, of('acme', 'initech'));
  await until(applied('AUTH_API_KEYS_FILE'), 2);
  assert.equal((await ask(gateway, read, { 'x-api-key': 'initech' })).text, '{"data":{"customer":{"id":"u7"}}}');
});

/** Runs a script in another process. The script may import files of `src`, given from this folder. */
function runScript(context: TestContext, script: string, { shell = 'exec "$0" "$@"', env = {} } = {}) {
  const node = [process.execPath, '--input-type=module', '-e', script];
  const child = spawn('sh', ['-c', shell, ...node], { env: { ...process.env, ...env } });
  context.after(() => child.kill('SIGKILL'));
  const exit = once(child, 'close');
  let output = '';
  let read = 0;
  child.stderr.on('data', (data) => {
    output += String(data);
  });
  return {
    child,
    exit,
    /** Waits for output that matches, after the output that matched before. */
    async waitFor(pattern: RegExp) {
      let match = pattern.exec(output.slice(read));
      while (!match) {
        const ended = await Promise.race([once(child.stdout, 'data'), exit.then(() => undefined)]);
        assert.ok(ended, `the process ended before its output matched ${pattern}: ${output}`);
        output += String(ended[0]);
        match = pattern.exec(output.slice(read));
      }
      read += match.index + match[0].length;
    },
  };
}

const moduleOf = (path: string) => JSON.stringify(import.meta.resolve(`../../src/${path}`));

test('a file without permission to read MUST NOT stop the gateway, and its next readable content MUST be applied', async (context) => {
  const folder = folderOf(context);
  const path = join(folder, 'keys.json');
  writeFileSync(path, keyFile('key-0'));
  chmodSync(folder, 0o755);
  // Files are readable for root whatever their mode, so the process becomes another user.
  const script = `
    import { createGateway } from ${moduleOf('index.ts')};
    const say = (message, { problem = '' } = {}) => process.stdout.write(message + ' ' + problem + '\\n');
    const gateway = createGateway({
      juspay: { merchantId: 'acme', apiKey: 'k', baseUrl: 'http://127.0.0.1:9' },
      auth: { mode: 'api-key' },
      environment: { AUTH_API_KEYS_FILE: ${JSON.stringify(path)} },
      log: { debug: say, info: say, warn: say, error: say },
    });
    if (process.getuid() === 0) {
      process.setgroups([]);
      process.setgid(65534);
      process.setuid(65534);
    }
    process.stdin.on('data', async (key) => {
      const headers = { 'content-type': 'application/json', 'x-api-key': String(key).trim() };
      const init = { method: 'POST', headers, body: '{"query":"{ __typename }"}' };
      const { status } = await gateway.fetch(new Request('http://app.test/graphql', init));
      say('status ' + status);
    });
    process.stdin.once('end', () => gateway.dispose());`;
  const run = runScript(context, script);
  const expectStatus = async (key: string, status: number) => {
    run.child.stdin.write(`${key}\n`);
    await run.waitFor(new RegExp(`status ${status}`));
  };
  await expectStatus('key-0', 200);
  for (const [index, hidden] of [folder, path].entries()) {
    chmodSync(hidden, 0);
    await run.waitFor(/last valid content stays in use.*cannot be read \(EACCES\)/);
    await expectStatus(`key-${index}`, 200);
    chmodSync(hidden, 0o755);
    await run.waitFor(/usable again/);
    writeFileSync(path, keyFile(`key-${index + 1}`));
    await run.waitFor(/changed file applied/);
    await expectStatus(`key-${index}`, 401);
    await expectStatus(`key-${index + 1}`, 200);
  }
  run.child.stdin.end();
  assert.deepEqual(await run.exit, [0, null]);
});

/** Watches a file with the content `one`, and prints the log. */
const watchScript = (path: string) => `
  import { watchFile } from ${moduleOf('config/watched-file.ts')};
  const say = (message, { problem = '' } = {}) => process.stdout.write(message + ' ' + problem + '\\n');
  const close = watchFile(
    { setting: 'JUSPAY_API_KEY_FILE', paths: [${JSON.stringify(path)}], initial: ['one'], accept: () => undefined },
    { log: { debug: say, info: say, warn: say, error: say } },
  );
  process.stdin.once('end', close).resume();`;

test('a change that cannot be read for lack of file descriptors MUST be applied later', async (context) => {
  const path = join(folderOf(context), 'file');
  writeFileSync(path, 'one');
  const script = `
    import { closeSync, openSync } from 'node:fs';
    ${watchScript(path)}
    const taken = [];
    try { for (;;) taken.push(openSync('/dev/null')); } catch { say('full'); }
    process.stdin.once('data', () => { for (const descriptor of taken) closeSync(descriptor); });`;
  const run = runScript(context, script, { shell: 'ulimit -n 64; exec "$0" "$@"' });
  await run.waitFor(/full/);
  replace(path, 'two');
  await run.waitFor(/cannot be read \(EMFILE\)/);
  run.child.stdin.write('go\n');
  await run.waitFor(/changed file applied[\s\S]*usable again/);
  run.child.stdin.end();
  assert.deepEqual(await run.exit, [0, null]);
});

test('a file system that does not respond MUST be reported, and the change MUST be applied when it responds', async (context) => {
  const folder = folderOf(context);
  const [path, pipe] = [join(folder, 'file'), join(folder, 'pipe')];
  writeFileSync(path, 'one');
  execFileSync('mkfifo', [pipe]);
  // Opening a pipe without a writer blocks the only thread that could read the file.
  const script = `
    import { open } from 'node:fs';
    ${watchScript(path)}
    open(${JSON.stringify(pipe)}, 'r', () => say('responds'));`;
  const run = runScript(context, script, { env: { UV_THREADPOOL_SIZE: '1' } });
  replace(path, 'two');
  await run.waitFor(/cannot be read \(ETIMEDOUT\)/);
  writeFileSync(pipe, '');
  await run.waitFor(/responds[\s\S]*changed file applied[\s\S]*usable again/);
  run.child.stdin.end();
  assert.deepEqual(await run.exit, [0, null]);
});
