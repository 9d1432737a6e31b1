import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ConfigError, loadConfig } from '../../src/config/config.ts';
import { settings } from '../../src/config/settings.ts';
import { createGateway } from '../../src/index.ts';
import { start } from '../program.ts';
import { jwtSettings, withHarness } from '../support.ts';

const real = { JUSPAY_API_KEY: 'key', JUSPAY_MERCHANT_ID: 'merchant', AUTH_MODE: 'none' };
const { AUTH_JWT_SECRET: secret, ...jwt } = jwtSettings;
const production = { ...real, NODE_ENV: 'production', JUSPAY_BASE_URL: 'https://api.juspay.in' };

function problemsOf(act: () => unknown): readonly string[] {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems;
  }
  return [];
}

/** Writes files and returns their paths. */
function writeFiles<Name extends string>(context: TestContext, files: Record<Name, string | Buffer>) {
  const folder = mkdtempSync(join(tmpdir(), 'settings-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const paths = {} as Record<Name, string>;
  for (const [name, content] of Object.entries(files) as [Name, string | Buffer][]) {
    paths[name] = join(folder, name);
    writeFileSync(paths[name], content);
  }
  return paths;
}

const keyEntry = (more: object = {}) => ({ name: 'bff', sha256: '0'.repeat(64), scopes: [], ...more });

/** Every setting that names a file, with valid content and the other settings that it requires. */
const fileSettings: readonly [string, string, Record<string, string>][] = [
  ['JUSPAY_API_KEY_FILE', 'key-canary', { JUSPAY_MERCHANT_ID: 'm', AUTH_MODE: 'none' }],
  ['AUTH_JWT_SECRET_FILE', 'a canary of a secret of more than thirty-two bytes', { ...real, ...jwt }],
  ['REDIS_URL_FILE', 'redis://canary.example', { RATE_LIMIT_PER_MINUTE: '5' }],
  ['MERCHANTS_FILE', '{"canary":{"apiKey":"canary"}}', { AUTH_MODE: 'none' }],
  ['AUTH_API_KEYS_FILE', JSON.stringify([keyEntry()]), { ...real, AUTH_MODE: 'api-key' }],
  ['PERSISTED_DOCUMENTS_FILE', '{"canary":"{ canary: __typename }"}', {}],
];

for (const [setting, content, more] of fileSettings) {
  test(`a byte order mark and one newline in ${setting} MUST be removed; UTF-16 and quotes MUST be errors`, (context) => {
    const utf16 = Buffer.from(content, 'utf16le');
    const paths = writeFiles(context, {
      plain: content,
      marked: `\uFEFF${content}\n`,
      windows: `\uFEFF${content}\r\n`,
      utf16le: Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]),
      utf16be: Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(utf16).swap16()]),
      utf16bare: utf16,
      latin1: Buffer.from(`${content}\xe9`, 'latin1'),
      doubleQuoted: `"${content.replaceAll('"', '\\"')}"\n`,
      singleQuoted: `'${content}'\n`,
    });
    const load = (path: string) => loadConfig({ ...more, [setting]: path });
    const shapeOf = (path: string) => {
      const { provider, merchants, auth, rateLimit } = load(path);
      const keys = provider === 'sandbox' ? [] : [provider, ...merchants].map((access) => access?.apiKey.reveal());
      const shared = auth.jwt && 'secret' in auth.jwt.keys ? auth.jwt.keys.secret.reveal() : undefined;
      return [keys, shared, rateLimit?.redisUrl?.reveal()];
    };
    for (const path of [paths.marked, paths.windows]) assert.deepEqual(shapeOf(path), shapeOf(paths.plain));
    for (const [path, sentence] of [
      [paths.utf16le, 'names a file in UTF-16: save it in UTF-8.'],
      [paths.utf16be, 'names a file in UTF-16: save it in UTF-8.'],
      [paths.utf16bare, 'names a file in UTF-16: save it in UTF-8.'],
      [paths.latin1, 'names a file that is not in UTF-8.'],
      [paths.doubleQuoted, 'names a file whose content is in quotes: remove them.'],
      [paths.singleQuoted, 'names a file whose content is in quotes: remove them.'],
    ] as const) {
      const problems = problemsOf(() => load(path));
      assert.ok(problems.includes(`${setting} ${sentence}`), `${path}: ${problems.join()}`);
      assert.doesNotMatch(problems.join(), /canary/);
    }
  });
}

test('inner newlines and a second trailing newline MUST remain part of a secret', (context) => {
  const { path } = writeFiles(context, { path: `${secret}\nmore\n\n` });
  const { auth } = loadConfig({ ...real, ...jwt, AUTH_JWT_SECRET_FILE: path });
  assert.equal(auth.jwt && 'secret' in auth.jwt.keys && auth.jwt.keys.secret.reveal(), `${secret}\nmore\n`);
});

test('a quoted value MUST be an error for every setting, with a message without the value', () => {
  const named = [...settings.map(({ name }) => name), 'NODE_ENV', 'JUSPAY_API_KEY_FILE'];
  for (const name of named) {
    for (const quote of ['"', "'"]) {
      const problems = problemsOf(() => loadConfig({ ...real, [name]: `${quote}canary${quote}` }));
      const sentence = new RegExp(`^${name} is in quotes: remove them`);
      assert.equal(problems.filter((problem) => sentence.test(problem)).length, 1, `${name}: ${problems.join()}`);
      assert.doesNotMatch(problems.join(), /canary/);
    }
  }
  assert.deepEqual(
    problemsOf(() => loadConfig({ PORT: '"4000"' })).map((problem) => problem.split(':')[0]),
    ['PORT is in quotes'],
  );
  assert.match(
    problemsOf(() => createGateway({ juspay: { apiKey: '"k"', merchantId: 'm' } })).join(),
    /juspay\.apiKey is in/,
  );
  assert.match(
    problemsOf(() => createGateway({ environment: { NODE_ENV: '"production"' } })).join(),
    /NODE_ENV is in quotes/,
  );
});

test('ports that Kubernetes injects MUST count as unset, and its other variables MUST be ignored', async () => {
  const injected = {
    METRICS_PORT: 'tcp://10.96.0.12:9090',
    PORT: 'tcp://[fd00::1]:4000',
    ...Object.fromEntries(
      ['JUSPAY', 'AUTH', 'LIMIT', 'AUTH_MODE', 'JUSPAY_MOCK'].flatMap((service) => [
        [`${service}_SERVICE_HOST`, '10.0.0.1'],
        [`${service}_SERVICE_PORT`, '80'],
        [`${service}_SERVICE_PORT_HTTP`, '80'],
        [`${service}_PORT`, 'tcp://10.0.0.1:80'],
        [`${service}_PORT_80_TCP`, 'tcp://10.0.0.1:80'],
        [`${service}_PORT_80_TCP_PROTO`, 'tcp'],
        [`${service}_PORT_80_TCP_PORT`, '80'],
        [`${service}_PORT_80_TCP_ADDR`, '10.0.0.1'],
      ]),
    ),
  };
  const { port, metricsPort, provider } = loadConfig(injected);
  assert.deepEqual([port, metricsPort, provider], [4000, undefined, 'sandbox']);
  assert.match(problemsOf(() => loadConfig({ METRICS_PORT: 'tcp://canary' })).join(), /^METRICS_PORT must be a whole/);
  const run = start(['config'], injected);
  assert.equal(await run.exit, 0);
  assert.match(run.output(), /^METRICS_PORT=unset: off {2}\(default\)$/m);
  const sandbox = start(['sandbox'], { ...injected, HOST: '127.0.0.1' });
  await sandbox.waitFor(/JUSPAY_BASE_URL|EADDRINUSE|address is already in use/);
  sandbox.child.kill('SIGTERM');
  await sandbox.exit;
});

test('in the environment of another program, an AUTH_ name MUST be rejected only if it resembles a setting', async () => {
  const ofAuthJs = {
    AUTH_SECRET: 'x',
    AUTH_URL: 'x',
    AUTH_TRUST_HOST: 'true',
    AUTH_GITHUB_ID: 'x',
    AUTH_GITHUB_SECRET: 'x',
  };
  const gateway = createGateway({ environment: ofAuthJs, logLevel: 'silent' });
  await gateway.dispose();
  const mounted = (environment: Record<string, string>) => problemsOf(() => createGateway({ environment }));
  assert.deepEqual(mounted({ ...ofAuthJs, AUTH_MOED: 'jwt' }), ['AUTH_MOED is not a setting. Did you mean AUTH_MODE?']);
  assert.deepEqual(mounted({ AUTH_JWT_SECRETS: 'x' }), [
    'AUTH_JWT_SECRETS is not a setting. Did you mean AUTH_JWT_SECRET?',
  ]);
  assert.equal(mounted({ JUSPAY_SOMETHING_ELSE: 'x', LIMIT_SOMETHING_ELSE: 'x' }).length, 2);
  // The command rejects every unknown AUTH_ name.
  assert.equal(problemsOf(() => loadConfig({ AUTH_SECRET: 'x' })).length, 1);
});

test('production MUST reject a short shared secret and disabled certificate checks', (context) => {
  const short = 'é'.repeat(15);
  const { file, enough } = writeFiles(context, { file: `${short}\n`, enough: 'é'.repeat(16) });
  const load = (more: Record<string, string>) => () => loadConfig({ ...production, ...jwt, ...more });
  const sentence = 'AUTH_JWT_SECRET (or AUTH_JWT_SECRET_FILE) must have at least 32 bytes in production.';
  assert.deepEqual(problemsOf(load({ AUTH_JWT_SECRET: 'x' })), [sentence]);
  assert.deepEqual(problemsOf(load({ AUTH_JWT_SECRET_FILE: file })), [sentence]);
  assert.deepEqual(problemsOf(load({ AUTH_JWT_SECRET_FILE: enough })), []);
  assert.deepEqual(problemsOf(load({ AUTH_JWT_SECRET: 'x', NODE_ENV: 'development' })), []);
  assert.match(
    problemsOf(load({ AUTH_JWT_SECRET: secret, NODE_TLS_REJECT_UNAUTHORIZED: '0' })).join(),
    /^NODE_TLS_REJECT_/,
  );
  const options = {
    juspay: { apiKey: 'k', merchantId: 'm', baseUrl: 'https://api.juspay.in' },
    production: true,
  } as const;
  const mounted = { ...options, auth: { mode: 'jwt', jwtIssuer: 'i', jwtAudience: 'a', jwtSecret: 'x' } } as const;
  assert.deepEqual(
    problemsOf(() => createGateway(mounted)),
    ['auth.jwtSecret must have at least 32 bytes in production.'],
  );
  const environment = { NODE_TLS_REJECT_UNAUTHORIZED: '0' };
  assert.match(
    problemsOf(() => createGateway({ ...options, auth: { mode: 'none' }, environment })).join(),
    /^NODE_TLS_REJECT_UNAUTHORIZED must not be 0/,
  );
});

test('a mounted gateway MUST apply the rules of production if only the process has the variables', (context) => {
  const kept = ['NODE_ENV', 'NODE_TLS_REJECT_UNAUTHORIZED'].map((name) => [name, process.env[name]] as const);
  context.after(() => {
    for (const [name, value] of kept) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  process.env['NODE_ENV'] = 'production';
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
  const juspay = { apiKey: 'k', merchantId: 'm', baseUrl: 'https://api.juspay.in' };
  const problems = problemsOf(() => createGateway({ juspay, auth: { mode: 'none' } }));
  assert.deepEqual(problems, [
    'NODE_TLS_REJECT_UNAUTHORIZED must not be 0 in production: it disables certificate checks.',
  ]);
  delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
  assert.match(problemsOf(() => createGateway({})).join(), /the sandbox is for development only/);
});

test('in production every merchant MUST have an explicit base URL', (context) => {
  const { bare, named } = writeFiles(context, {
    bare: '{"acme":{"apiKey":"k"},"globex":{"apiKey":"k","baseUrl":"https://api.juspay.in"}}',
    named: '{"acme":{"apiKey":"k","baseUrl":"https://sandbox.juspay.in"}}',
  });
  const environment = { NODE_ENV: 'production', AUTH_MODE: 'none' };
  const load = (more: Record<string, string>) => problemsOf(() => loadConfig({ ...environment, ...more }));
  assert.match(load({ MERCHANTS_FILE: bare, ...jwt, AUTH_JWT_SECRET: secret }).join(), /^JUSPAY_BASE_URL must be set/);
  // The URL of the provider's sandbox is allowed if it is explicit.
  assert.deepEqual(load({ MERCHANTS_FILE: named }), []);
  assert.deepEqual(load({ MERCHANTS_FILE: named, JUSPAY_BASE_URL: 'https://api.juspay.in' }), []);
});

test('a URL MUST use https, or http with a loopback host', () => {
  const load = (name: string, url: string) =>
    problemsOf(() => loadConfig({ ...real, ...jwt, AUTH_JWKS_URL: 'https://a.example', [name]: url }));
  for (const name of ['JUSPAY_BASE_URL', 'AUTH_JWKS_URL']) {
    for (const url of [
      'http://localhost:1',
      'http://127.0.0.1',
      'http://127.9.9.9:80/x',
      'http://[::1]:1',
      'https://a.example',
    ])
      assert.deepEqual(load(name, url), [], url);
    for (const url of [
      'http://a.example',
      'http://10.0.0.1',
      'http://localhost.a.example',
      'http://127.0.0.1.a.example',
      'ftp://localhost',
    ])
      assert.deepEqual(load(name, url), [`${name} must begin with https:// (http:// only for a loopback host).`], url);
  }
});

test('identifiers given as JSON numbers MUST be rejected with an explanation', (context) => {
  const { keys, merchants } = writeFiles(context, {
    keys: JSON.stringify([keyEntry({ customer: 1 })]).replace(':1}', ':1234567890123456789}'),
    merchants: '{"acme":{"apiKey":1234567890123456789}}',
  });
  const why = '(write numbers in quotes: long ones would be rounded)';
  assert.deepEqual(
    problemsOf(() => loadConfig({ ...real, AUTH_MODE: 'api-key', AUTH_API_KEYS_FILE: keys })),
    [
      `AUTH_API_KEYS_FILE is not a list of { name, sha256, scopes, merchant?, customer?, documents? }: see 0.customer ${why}.`,
    ],
  );
  assert.deepEqual(
    problemsOf(() => loadConfig({ AUTH_MODE: 'none', MERCHANTS_FILE: merchants })),
    [`MERCHANTS_FILE is not \`{ "<merchant id>": { "apiKey", "baseUrl"? } }\`: see apiKey ${why}.`],
  );
});

const text = 'query Find($id: ID!) { customer(id: $id) { id } }';
const hash = createHash('sha256').update(text).digest('hex');
const apollo = (id: string) => ({
  format: 'apollo-persisted-query-manifest',
  version: 1,
  operations: [{ id, name: 'Find', type: 'query', body: text }],
});

test('manifests of Apollo, Relay and GraphQL Code Generator MUST be accepted', async (context) => {
  const relayId = '0123456789abcdef0123456789abcdef';
  const taken: readonly [object, string][] = [
    [apollo(hash), hash],
    [apollo('find-1'), 'find-1'],
    [{ [relayId]: text }, relayId],
    [{ [hash]: text }, hash],
    [{ [`sha256:${hash}`]: text }, hash],
    [{ [hash]: `# a comment\n\n${text}` }, hash],
    [{ [hash]: `fragment F on Customer { id }\n${text.replace('{ id }', '{ ...F }')}` }, hash],
  ];
  for (const [manifest, id] of taken) {
    const { path } = writeFiles(context, { path: JSON.stringify(manifest) });
    await withHarness(
      async (harness) => {
        for (const body of [{ documentId: id }, { extensions: { persistedQuery: { version: 1, sha256Hash: id } } }]) {
          const answer = await harness.fetch({
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ ...body, variables: { id: 'u7' } }),
          });
          assert.equal(answer.text, '{"data":{"customer":{"id":"cst_0123456789abcdef"}}}');
        }
        assert.deepEqual(harness.upstream(), ['GET /customers/u7', 'GET /customers/u7']);
      },
      { PERSISTED_ONLY: 'on', PERSISTED_DOCUMENTS_FILE: path },
    );
  }
});

test('manifests of another format MUST be rejected with a message that lists the accepted formats', (context) => {
  for (const manifest of [
    { ...apollo(hash), version: 2 },
    { ...apollo(hash), format: 'apollo-persisted-queries' },
    { ...apollo(hash), operations: [{ id: hash, document: text }] },
    { ...apollo(hash), operations: [{ id: 1, body: text }] },
    { ...apollo(hash), operations: [{ id: hash, body: 'no document' }] },
    { version: 2, operations: [{ signature: hash, document: text }] },
    { [text]: hash },
    { [text]: 1 },
    { name: 'package', version: '1.0.0' },
    [text],
    [[hash, text]],
    text,
    null,
  ]) {
    const { path } = writeFiles(context, { path: JSON.stringify(manifest) });
    const problems = problemsOf(() => loadConfig({ PERSISTED_DOCUMENTS_FILE: path }));
    assert.equal(problems.length, 1, JSON.stringify(manifest));
    if (typeof manifest === 'string') continue;
    for (const name of [
      /^PERSISTED_DOCUMENTS_FILE is not a manifest of Apollo/,
      /apollo-persisted-query-manifest/,
      /Relay/,
      /GraphQL Code Generator/,
    ])
      assert.match(problems.join(), name);
  }
});

test('an unknown id MUST return PersistedQueryNotFound, and the following request with the document MUST be executed', () =>
  withHarness(async (harness) => {
    const document = '{ customer(id: "u7") { id } }';
    const extensions = {
      persistedQuery: { version: 1, sha256Hash: createHash('sha256').update(document).digest('hex') },
    };
    const send = (accept: string, body: object) =>
      harness.fetch({
        method: 'POST',
        headers: { 'content-type': 'application/json', accept },
        body: JSON.stringify({ operationName: null, variables: {}, extensions, ...body }),
      });
    for (const [accept, status] of [
      ['*/*', 200],
      ['application/json', 200],
      ['application/graphql-response+json,application/json;q=0.9', 400],
    ] as const) {
      const unknown = await send(accept, {});
      assert.equal(unknown.status, status, accept);
      assert.equal(unknown.errors?.length, 1);
      assert.equal(unknown.errors?.[0]?.message, 'PersistedQueryNotFound');
      assert.equal(unknown.errors?.[0]?.extensions['code'], 'PERSISTED_QUERY_NOT_FOUND');
      assert.equal(harness.upstream().length, 0);
      const known = await send(accept, { query: document });
      assert.equal(known.text, '{"data":{"customer":{"id":"cst_0123456789abcdef"}}}');
      harness.sandbox.clearCalls();
    }
  }));

test('a REDIS_URL that no client can use MUST be a problem without its value', () => {
  const problemOf = (url: string) => {
    try {
      loadConfig({ REDIS_URL: url });
      return undefined;
    } catch (error) {
      assert.ok(error instanceof ConfigError && !error.problems.join().includes('canary'));
      return error.problems.join();
    }
  };
  const usable = ['redis://canary:6379/0', 'rediss://user:p%40ss@canary', 'redis://:canary@[::1]:6379', 'redis://'];
  for (const url of usable) assert.equal(problemOf(url), undefined, url);
  for (const url of ['redis://canary:99999', 'redis://[canary', 'redis://canary:a%zz@host', 'redis://%:canary@host']) {
    assert.match(problemOf(url) ?? '', /^REDIS_URL must be a URL whose user and password are percent-encoded\.?$/, url);
  }
});
