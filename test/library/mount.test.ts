import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { buildHTTPExecutor } from '@graphql-tools/executor-http';
import { stitchSchemas } from '@graphql-tools/stitch';
import { graphql } from 'graphql';
import { settings } from '../../src/config/settings.ts';
import { ConfigError, createGateway, type Gateway, type GatewayOptions, type LogFields } from '../../src/index.ts';
import { settingsByOption } from '../../src/library/options.ts';
import { createNodeGateway, startServer } from '../../src/node.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { buildSchema } from '../../src/schema.ts';

const canary = process.env['CANARY'] ?? 'canary';
const read = '{ customer(id: "u7") { id } }';

async function ask(gateway: Gateway, query: string, peer?: { clientAddress?: string }, headers: object = {}) {
  const request = new Request('http://app.test/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
  });
  const response = await gateway.fetch(request, peer);
  const text = await response.text();
  const { data, errors } = JSON.parse(text) as { data?: unknown; errors?: { extensions: { code: string } }[] };
  return { status: response.status, text, data, codes: (errors ?? []).map(({ extensions }) => extensions.code) };
}

/** Options for the sandbox of the test, without log output. */
function optionsFor({ url, apiKey, merchantId }: Sandbox): GatewayOptions {
  return { juspay: { baseUrl: url, apiKey, merchantId }, auth: { mode: 'none' }, logLevel: 'silent' };
}

async function onSandbox(run: (options: GatewayOptions, sandbox: Sandbox) => Promise<void>): Promise<void> {
  const sandbox = await startSandbox();
  try {
    await run(optionsFor(sandbox), sandbox);
  } finally {
    await sandbox.close();
  }
}

function problemsOf(options: object): readonly string[] {
  try {
    createGateway(options);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  throw new Error('the options were taken');
}

test('without options, the gateway MUST use an embedded sandbox, log a warning, and close the sandbox in dispose', async () => {
  const lines: [string, LogFields | undefined][] = [];
  const note = (message: string, fields?: LogFields) => void lines.push([message, fields]);
  const gateway = createGateway({ log: { debug: () => undefined, info: note, warn: note, error: note } });
  assert.equal(lines.length, 0);
  const { data } = await ask(gateway, '{ customer(id: "u7") { id clientAuthToken { __typename } } }');
  assert.deepEqual(data, {
    customer: { id: 'cst_0123456789abcdef', clientAuthToken: { __typename: 'ClientAuthToken' } },
  });
  assert.deepEqual(
    lines.map(([message]) => message),
    ['no credentials: using an embedded sandbox instead of the provider', 'operation'],
  );
  await gateway.dispose();
  await assert.rejects(fetch(lines[0]?.[1]?.url ?? ''));
});

test('fetch MUST return a Response of the platform, and `schema` MUST be the served schema', async () => {
  const gateway = createGateway({ logLevel: 'silent' });
  const request = new Request('http://app.test/graphql', { headers: { accept: 'text/html' } });
  const page = await gateway.fetch(request);
  assert.ok(page instanceof Response);
  assert.match(await page.text(), /<html/);
  assert.deepEqual(Object.keys(gateway).toSorted(), ['dispose', 'fetch', 'schema']);
  assert.ok(gateway.schema.getType('Customer') && gateway.schema.getQueryType()?.getFields()['_entities']);
  await gateway.dispose();
});

test('a response without a body, such as that of a preflight, MUST keep a null body', async () => {
  const gateway = createGateway({ corsOrigins: ['https://shop.example'], logLevel: 'silent' });
  const headers = { origin: 'https://shop.example', 'access-control-request-method': 'POST' };
  const answer = await gateway.fetch(new Request('http://app.test/graphql', { method: 'OPTIONS', headers }));
  assert.equal(answer.status, 204);
  assert.equal(answer.headers.get('access-control-allow-origin'), 'https://shop.example');
  assert.equal(await answer.text(), '');
  await gateway.dispose();
});

test('every setting MUST be an option, except those of the listener and of the OpenTelemetry SDK', () => {
  const ofTheSocket = [
    'HOST',
    'PORT',
    'KEEP_ALIVE_TIMEOUT_MS',
    'METRICS_PORT',
    'SHUTDOWN_DELAY_MS',
    'SHUTDOWN_GRACE_MS',
    'WORKERS',
  ];
  const options = Object.values<string>(settingsByOption);
  const names = settings.map(({ name }) => name);
  assert.deepEqual(
    names.filter((name) => !options.includes(name) && !ofTheSocket.includes(name) && !name.startsWith('OTEL_')),
    [],
  );
  assert.deepEqual(
    options.filter((name) => !names.includes(name)),
    [],
  );
});

test('all problems of the options MUST be reported at once, by option name and without values', () => {
  const problems = problemsOf({
    juspay: { apiKey: `${canary} key`, timeoutMs: 0 },
    limits: { depht: 3, tokens: canary },
    introspection: canary,
    auth: null,
    endpoint: canary,
    log: canary,
  });
  assert.deepEqual(problems, [
    'limits.depht is not an option. Did you mean limits.depth?',
    'auth must be an object.',
    'log must have the methods debug, info, warn and error.',
    'endpoint must be a path such as /graphql.',
    'juspay.apiKey must be printable ASCII without spaces and commas.',
    'juspay.timeoutMs must be at least 1.',
    'limits.tokens must be a whole number from 1 to 100000.',
    'introspection must be true or false.',
    'juspay.merchantId must be set together with juspay.apiKey.',
  ]);
});

test('production MUST reject the sandbox, and real credentials MUST require auth.mode', () => {
  assert.match(problemsOf({ production: true }).join(), /juspay\.apiKey and juspay\.merchantId must be set/);
  assert.match(problemsOf({ environment: { NODE_ENV: 'production' } }).join(), /the sandbox is for development only/);
  assert.match(problemsOf({ juspay: { apiKey: 'k', merchantId: 'm' } }).join(), /^auth\.mode must be set/);
  const files = { auth: { mode: 'api-key', apiKeysFile: '/none' }, juspay: { apiKey: 'k', merchantId: 'm' } };
  assert.deepEqual(problemsOf(files), ['auth.apiKeysFile names a file that cannot be read, or that is no JSON.']);
});

test('settings of the option `environment` MUST apply, keep their names in problems, and be overridden by options', () =>
  onSandbox(async (options, sandbox) => {
    assert.deepEqual(problemsOf({ environment: { LIMIT_DEPTH: 'x', JUSPAY_FOO: '1' }, graphiql: 'x' }), [
      'JUSPAY_FOO is not a setting. Did you mean JUSPAY_VERSION?',
      'LIMIT_DEPTH must be a whole number from 1 to 1000.',
      'graphiql must be true or false.',
    ]);
    const environment = { LIMIT_DEPTH: '1', JUSPAY_API_KEY_FILE: '/none', JUSPAY_MERCHANT_ID: 'other' };
    const gateway = createGateway({ ...options, environment });
    assert.deepEqual((await ask(gateway, read)).codes, ['OPERATION_TOO_COMPLEX']);
    assert.equal(sandbox.calls.length, 0);
    await gateway.dispose();
    const wider = createGateway({ ...options, environment, limits: { depth: 2 } });
    assert.deepEqual((await ask(wider, read)).codes, []);
    assert.equal(sandbox.calls[0]?.headers['x-merchantid'], sandbox.merchantId);
    await wider.dispose();
  }));

test('the option `merchants` MUST configure several merchants with their own keys', async () => {
  const sandbox = await startSandbox({ apiKey: 'of-acme' });
  const { url: baseUrl } = sandbox;
  const merchants = { acme: { apiKey: ['new', 'of-acme'], baseUrl } } as const;
  const gateway = createGateway({ merchants, auth: { mode: 'none' }, logLevel: 'silent' });
  assert.deepEqual((await ask(gateway, read)).data, { customer: { id: 'cst_0123456789abcdef' } });
  // The new key is tried first. This sandbox rejects it.
  assert.deepEqual(
    sandbox.calls.map(({ headers }) => headers['x-merchantid']),
    ['acme', 'acme'],
  );
  await gateway.dispose();
  await sandbox.close();
});

test('`endpoint` MUST be the full path, and other paths MUST NOT be served', async () => {
  const gateway = createGateway({ endpoint: '/shop/api/graphql', logLevel: 'silent' });
  const send = (path: string) =>
    gateway.fetch(
      new Request(`http://app.test${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: '{ __typename }' }),
      }),
    );
  assert.deepEqual(await (await send('/shop/api/graphql')).json(), { data: { __typename: 'Query' } });
  assert.equal((await send('/graphql')).status, 404);
  await gateway.dispose();
});

test('two gateways in one process MUST NOT share in-flight reads, counters or backoff', () =>
  onSandbox(async (options, sandbox) => {
    const open = () => createGateway({ ...options, rateLimit: { perMinute: 2 } });
    const [one, other] = [open(), open()];
    const answers = await Promise.all([ask(one, read), ask(one, read), ask(other, read), ask(other, read)]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 200],
    );
    // Within one gateway, concurrent reads of a customer share a call.
    assert.equal(sandbox.calls.length, 2);
    assert.deepEqual((await ask(one, read)).codes, ['RATE_LIMITED']);
    await Promise.all([one.dispose(), other.dispose()]);

    const [held, free] = [createGateway(options), createGateway(options)];
    sandbox.arm({ fault: '429', retryAfter: '30' });
    assert.deepEqual((await ask(held, read)).codes, ['RATE_LIMITED']);
    sandbox.clearCalls();
    assert.deepEqual((await ask(held, read)).codes, ['RATE_LIMITED']);
    assert.equal(sandbox.calls.length, 0);
    assert.deepEqual((await ask(free, read)).codes, []);
    await Promise.all([held.dispose(), free.dispose()]);
  }));

test('disposing of one gateway MUST NOT stop another one from watching its files', () =>
  onSandbox(async ({ juspay = {} }) => {
    const folder = mkdtempSync(join(tmpdir(), 'gateway-'));
    const apiKeysFile = join(folder, 'keys.json');
    const list = (key: string) =>
      JSON.stringify([
        { name: 'bff', sha256: createHash('sha256').update(key).digest('hex'), scopes: ['customer:read'] },
      ]);
    writeFileSync(apiKeysFile, list('first'));
    const readAnew = Promise.withResolvers<void>();
    const silent = () => undefined;
    const log = { debug: silent, warn: silent, error: silent, info: () => readAnew.resolve() };
    const options = { juspay, auth: { mode: 'api-key', apiKeysFile }, log } as const;
    const [one, other] = [createGateway({ ...options, log: { ...log, info: silent } }), createGateway(options)];
    await one.dispose();
    writeFileSync(apiKeysFile, `${list('second')}\n`);
    await readAnew.promise;
    assert.equal((await ask(other, read, {}, { 'x-api-key': 'first' })).status, 401);
    assert.equal((await ask(other, read, {}, { 'x-api-key': 'second' })).status, 200);
    await other.dispose();
    rmSync(folder, { recursive: true });
  }));

test('callers MUST be counted by the passed address, or by the address that a trusted proxy reports', () =>
  onSandbox(async (options) => {
    const limited = createGateway({ ...options, rateLimit: { perMinute: 1 } });
    const from = async (clientAddress?: string, headers?: object) =>
      (await ask(limited, read, clientAddress === undefined ? {} : { clientAddress }, headers)).status;
    assert.deepEqual([await from('192.0.2.1'), await from('192.0.2.2'), await from('192.0.2.1')], [200, 200, 429]);
    // Without an address and without trusted proxies, all anonymous callers share one limit.
    assert.deepEqual([await from(), await from(undefined, { 'x-forwarded-for': '192.0.2.9' })], [200, 429]);
    await limited.dispose();

    const behindProxy = createGateway({ ...options, rateLimit: { perMinute: 1 }, trustProxy: 1 });
    const through = async (address: string) =>
      (await ask(behindProxy, read, {}, { 'x-forwarded-for': `10.0.0.1, ${address}` })).status;
    assert.deepEqual(
      [await through('192.0.2.1'), await through('192.0.2.2'), await through('192.0.2.1')],
      [200, 200, 429],
    );
    await behindProxy.dispose();
  }));

test('after dispose, operations MUST be rejected without upstream calls', () =>
  onSandbox(async (options, sandbox) => {
    const gateway = createGateway(options);
    await gateway.dispose();
    const { status, codes } = await ask(gateway, read);
    assert.deepEqual({ status, codes }, { status: 503, codes: ['OVERLOADED'] });
    assert.equal(sandbox.calls.length, 0);
  }));

test('createNodeGateway MUST serve node:http, drain in-flight operations, and reject new ones', () =>
  onSandbox(async (options, sandbox) => {
    const gateway = createNodeGateway(options);
    const server = await startServer(gateway, { host: '127.0.0.1', port: 0 });
    const post = (query: string) =>
      fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query }),
      });
    const slow = post('{ customer(id: "fault_slow") { id } }');
    await sandbox.whenCalled(({ pathId }) => pathId === 'fault_slow');
    const stopped = server.stop(10_000);
    assert.equal((await fetch(`${server.url}/ready`)).status, 503);
    assert.equal((await post(read)).status, 503);
    assert.equal((await slow).status, 200);
    await stopped;
    await gateway.dispose();
    await assert.rejects(fetch(`${server.url}/ready`));
  }));

test('schema stitching with `schema` and `fetch` as executor MUST resolve every field', () =>
  onSandbox(async (options, sandbox) => {
    const gateway = createGateway(options);
    const executor = buildHTTPExecutor({
      endpoint: 'http://app.test/graphql',
      fetch: (url, init) => gateway.fetch(new Request(url, init as RequestInit)),
    });
    const schema = stitchSchemas({
      subschemas: [{ schema: buildSchema(), executor }],
      typeDefs: 'extend type Query { shop: String }',
      resolvers: { Query: { shop: () => 'open' } },
    });
    const source = '{ shop customer(id: "u7") { clientAuthToken { __typename } } }';
    const { data, errors } = await graphql({ schema, source });
    assert.equal(errors, undefined);
    assert.deepEqual(JSON.parse(JSON.stringify(data)), {
      shop: 'open',
      customer: { clientAuthToken: { __typename: 'ClientAuthToken' } },
    });
    assert.deepEqual(
      sandbox.calls.map(({ target }) => target),
      ['/customers/u7?options.get_client_auth_token=true'],
    );
    await gateway.dispose();
  }));

const tell = "(await import('node:fs')).writeSync(1, JSON.stringify(process.getActiveResourcesInfo()));";

/** Runs a script and returns the resources that are still active at its end. The process must exit by itself. */
async function leftBy(script: string, environment: Record<string, string> = {}): Promise<string[]> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', `${script}\n${tell}`],
    { env: { ...process.env, ...environment } },
  );
  // stdout is such a resource: a package has accessed it.
  return (JSON.parse(stdout) as string[]).filter((kind) => kind !== 'PipeWrap');
}

test('importing the entry points MUST have no side effects', async () => {
  const entryPoints = ['index.ts', 'node.ts', 'schema.ts', 'sandbox/server.ts'];
  const imports = entryPoints.map(
    (path) => `await import(${JSON.stringify(import.meta.resolve(`../../src/${path}`))});`,
  );
  assert.deepEqual(await leftBy(imports.join('\n')), []);
});

test('the process MUST exit by itself, with and without dispose', () =>
  onSandbox(async ({ juspay }) => {
    const folder = mkdtempSync(join(tmpdir(), 'gateway-'));
    const apiKeysFile = join(folder, 'keys.json');
    writeFileSync(apiKeysFile, '[]');
    const script = (options: object, end: string) => `
      import { createGateway } from ${JSON.stringify(import.meta.resolve('../../src/index.ts'))};
      const gateway = createGateway(${JSON.stringify(options)});
      const body = JSON.stringify({ query: ${JSON.stringify(read)} });
      const headers = { 'content-type': 'application/json' };
      await (await gateway.fetch(new Request('http://app.test/graphql', { method: 'POST', headers, body }))).text();
      ${end}`;
    const common = { juspay, logLevel: 'silent', rateLimit: { perMinute: 5 } };
    const turn = 'await gateway.dispose(); await new Promise((resolve) => setImmediate(resolve));';
    const everything = { ...common, auth: { mode: 'api-key', apiKeysFile } };
    assert.deepEqual(await leftBy(script(everything, turn)), []);
    const withRedis = {
      ...common,
      auth: { mode: 'none' },
      rateLimit: { perMinute: 5, redisUrl: 'redis://127.0.0.1:1' },
    };
    // A timer of 250 ms may still be active; it destroys sockets that do not close.
    assert.deepEqual(
      (await leftBy(script(withRedis, turn))).filter((kind) => kind !== 'Timeout'),
      [],
    );
    assert.deepEqual(await leftBy(script({ logLevel: 'silent' }, turn)), []);
    await leftBy(script({ logLevel: 'silent' }, ''));
    rmSync(folder, { recursive: true });
  }));
