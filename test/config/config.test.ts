import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { ConfigError, loadConfig } from '../../src/config/config.ts';

const real = { JUSPAY_API_KEY: 'key-canary', JUSPAY_MERCHANT_ID: 'merchant', AUTH_MODE: 'none' };

/** Invalid environments, and the names that the problems must contain. */
const refused: readonly [string, Record<string, string>, RegExp[]][] = [
  [
    'production without credentials',
    { NODE_ENV: 'production', JUSPAY_BASE_URL: 'https://api.juspay.in' },
    [/JUSPAY_API_KEY and JUSPAY_MERCHANT_ID/],
  ],
  ['production without a base URL', { NODE_ENV: 'production', ...real }, [/JUSPAY_BASE_URL/]],
  ['a key without a merchant', { JUSPAY_API_KEY: 'canary' }, [/JUSPAY_MERCHANT_ID/]],
  ['a merchant without a key', { JUSPAY_MERCHANT_ID: 'canary' }, [/JUSPAY_API_KEY/]],
  ['real credentials without AUTH_MODE', { JUSPAY_API_KEY: 'canary', JUSPAY_MERCHANT_ID: 'm' }, [/AUTH_MODE/]],
  ['an invalid AUTH_MODE', { ...real, AUTH_MODE: 'none,canary' }, [/AUTH_MODE/]],
  [
    'jwt without keys, issuer and audience',
    { ...real, AUTH_MODE: 'jwt' },
    [/AUTH_JWKS_URL/, /AUTH_JWT_ISSUER/, /AUTH_JWT_AUDIENCE/],
  ],
  ['api-key without a file', { ...real, AUTH_MODE: 'api-key' }, [/AUTH_API_KEYS_FILE/]],
  [
    'merchants without a default one and without authentication',
    { MERCHANTS_FILE: '/run/merchants', AUTH_MODE: 'none' },
    [/AUTH_MODE=none/],
  ],
  [
    'one merchant with two descriptions',
    { ...real, MERCHANTS_FILE: '/run/same-merchant' },
    [/MERCHANTS_FILE and JUSPAY/],
  ],
  ['a file without merchants', { MERCHANTS_FILE: '/run/empty', AUTH_MODE: 'none' }, [/MERCHANTS_FILE lists no/]],
  [
    'a file without merchants in production',
    {
      NODE_ENV: 'production',
      JUSPAY_BASE_URL: 'https://api.juspay.in',
      MERCHANTS_FILE: '/run/empty',
      AUTH_MODE: 'none',
    },
    [/MERCHANTS_FILE lists no/],
  ],
  [
    'invalid files of API keys and documents, with other problems',
    {
      ...real,
      AUTH_MODE: 'api-key',
      AUTH_API_KEYS_FILE: '/run/empty',
      PERSISTED_DOCUMENTS_FILE: '/run/key, /run/merchants',
      LIMIT_DEEP: '1',
      AUTH_JWKS_URL: 'https://a.example',
      AUTH_JWT_SECRET: 'canary',
    },
    [
      /LIMIT_DEEP/,
      /AUTH_JWKS_URL and AUTH_JWT_SECRET/,
      /AUTH_API_KEYS_FILE is not/,
      /PERSISTED_DOCUMENTS_FILE names/,
      /PERSISTED_DOCUMENTS_FILE is not/,
    ],
  ],
  [
    'an API key of an unknown merchant',
    { ...real, MERCHANTS_FILE: '/run/merchants', AUTH_MODE: 'api-key', AUTH_API_KEYS_FILE: '/run/callers' },
    [/AUTH_API_KEYS_FILE names a merchant/],
  ],
  ['an invalid file of merchants', { MERCHANTS_FILE: '/run/key', AUTH_MODE: 'none' }, [/MERCHANTS_FILE/]],
  ['one port for requests and metrics', { PORT: '9000', METRICS_PORT: '9000' }, [/METRICS_PORT and PORT must differ/]],
  ['the default port for metrics', { METRICS_PORT: '4000' }, [/METRICS_PORT and PORT must differ/]],
  ['a base URL without credentials', { JUSPAY_BASE_URL: 'https://canary.example' }, [/JUSPAY_BASE_URL/]],
  ['a base URL with a password', { ...real, JUSPAY_BASE_URL: 'https://canary:canary@a.example' }, [/JUSPAY_BASE_URL/]],
  ['a merchant id with a line break', { ...real, JUSPAY_MERCHANT_ID: 'canary\r\nx: y' }, [/JUSPAY_MERCHANT_ID/]],
  ['a key that is not ASCII', { ...real, JUSPAY_API_KEY: 'canaryé' }, [/JUSPAY_API_KEY/]],
  ['a misspelt name of a setting', { JUSPAY_API_KY: 'canary' }, [/JUSPAY_API_KY.*Did you mean JUSPAY_API_KEY\?/]],
  ['a misspelt name of a limit', { LIMIT_DEEP: '3' }, [/LIMIT_DEEP.*Did you mean LIMIT_DEPTH\?/]],
  [
    'several invalid values',
    {
      PORT: '70000',
      LIMIT_TOKENS: 'canary',
      LOG_LEVEL: 'canary',
      GRAPHIQL: 'canary',
      CORS_ORIGINS: 'https://a.example/canary',
      JUSPAY_VERSION: 'canary',
    },
    [/PORT/, /LIMIT_TOKENS/, /LOG_LEVEL/, /GRAPHIQL/, /CORS_ORIGINS/, /JUSPAY_VERSION/],
  ],
  [
    'both a secret and its file',
    { ...real, JUSPAY_API_KEY_FILE: '/run/key' },
    [/JUSPAY_API_KEY and JUSPAY_API_KEY_FILE/],
  ],
  [
    'a missing file',
    { JUSPAY_MERCHANT_ID: 'm', AUTH_MODE: 'none', JUSPAY_API_KEY_FILE: '/canary' },
    [/JUSPAY_API_KEY_FILE/],
  ],
];

const readFile = (path: string) => {
  if (path === '/run/key') return 'key-from-file\n';
  if (path === '/run/merchants')
    return '{"a":{"apiKey":"canary"},"b":{"apiKey":["canary","old"],"baseUrl":"https://b.example"}}';
  if (path === '/run/empty') return '{}';
  if (path === '/run/callers')
    return `[{"name":"canary","sha256":"${'0'.repeat(64)}","scopes":[],"merchant":"a"},{"name":"x","sha256":"${'1'.repeat(64)}","scopes":[],"merchant":"canary"}]`;
  if (path === '/run/rotating') return '{"merchant":{"apiKey":["key-canary","older-canary"]}}';
  if (path === '/run/same-merchant') return '{"merchant":{"apiKey":"canary"}}';
  throw new Error(`no ${path}`);
};

for (const [name, environment, named] of refused) {
  test(`${name} MUST be rejected, with a problem that holds the name and no value`, () => {
    assert.throws(
      () => loadConfig(environment, readFile),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError);
        for (const pattern of named) assert.match(error.message, pattern);
        assert.equal(error.problems.length, named.length, error.message);
        assert.doesNotMatch(error.message, /canary/);
        return true;
      },
    );
  });
}

test('without settings, the gateway MUST use the sandbox and the documented defaults', () => {
  assert.deepEqual(loadConfig({ PORT: '' }), {
    production: false,
    host: '127.0.0.1',
    port: 4000,
    endpoint: '/graphql',
    keepAliveTimeoutMs: 65_000,
    workers: 1,
    metricsPort: undefined,
    provider: 'sandbox',
    isSandbox: true,
    juspay: { version: undefined, timeoutMs: 5000, connections: 64 },
    operationTimeoutMs: 20_000,
    merchants: [],
    auth: { modes: [], jwt: undefined, apiKeysFile: undefined },
    limits: {
      bodyBytes: 65_536,
      depth: 10,
      tokens: 2000,
      aliases: 60,
      rootMutations: 10,
      items: 2000,
      responseBytes: 4_194_304,
      upstreamReads: 100,
    },
    rateLimit: undefined,
    redisUrl: undefined,
    persisted: { only: false, files: [] },
    trustedProxies: 0,
    shutdownDelayMs: 0,
    shutdownGraceMs: 10_000,
    proxies: { url: undefined, setting: 'HTTPS_PROXY', exceptions: [] },
    tracing: {
      isOn: false,
      url: 'http://localhost:4318/v1/traces',
      urlSetting: 'OTEL_EXPORTER_OTLP_ENDPOINT',
      headers: undefined,
      resource: { 'service.name': 'customer-gateway' },
      sampler: 'parentbased_always_on',
      samplerRatio: 1,
      continuesTraces: true,
      batch: { delayMs: 5000, timeoutMs: 30_000, maxQueueSize: 2048, maxBatchSize: 512 },
    },
    introspection: true,
    graphiql: true,
    corsOrigins: 'loopback',
    logLevel: 'info',
    auditFile: undefined,
  });
});

test('production MUST disable introspection, GraphiQL and loopback origins', () => {
  const config = loadConfig({ NODE_ENV: 'production', ...real, JUSPAY_BASE_URL: 'https://api.juspay.in/' });
  assert.deepEqual([config.introspection, config.graphiql, config.corsOrigins], [false, false, []]);
  assert.equal(config.provider !== 'sandbox' && config.provider?.baseUrl, 'https://api.juspay.in');
});

test('a secret MUST be read from its file, and MUST print as [secret]', () => {
  const { provider } = loadConfig(
    { JUSPAY_API_KEY_FILE: '/run/key', JUSPAY_MERCHANT_ID: 'm', AUTH_MODE: 'none' },
    readFile,
  );
  assert.ok(provider !== 'sandbox' && provider !== undefined);
  assert.equal(provider.apiKey.reveal(), 'key-from-file');
  const prints = [
    `${provider.apiKey}`,
    JSON.stringify(provider),
    inspect(provider, { depth: 9, showHidden: true }),
    String(provider.apiKey),
  ];
  assert.doesNotMatch(prints.join(), /key-from-file/);
});

test('a merchant with equal entries in the file and the variables MUST keep the older key of the file', () => {
  const { provider, merchants } = loadConfig({ ...real, MERCHANTS_FILE: '/run/rotating' }, readFile);
  assert.ok(provider !== 'sandbox' && provider !== undefined);
  assert.deepEqual([provider.merchantId, provider.olderApiKey?.reveal()], ['merchant', 'older-canary']);
  assert.deepEqual(merchants, []);
});

test('CORS_ORIGINS MUST accept exact origins of any scheme, and nothing else', () => {
  const origins = [
    'https://shop.example',
    'http://localhost:8100',
    'https://[::1]:1',
    'capacitor://localhost',
    'ionic://localhost',
    'tauri://localhost',
    'chrome-extension://abcdefghijklmnopabcdefghijklmnop',
    'moz-extension://0d1e2f3a-0000-4000-8000-000000000000',
    'file://',
  ];
  assert.deepEqual(loadConfig({ CORS_ORIGINS: origins.join(', ') }).corsOrigins, origins);
  for (const none of [
    '*',
    'null',
    'shop.example',
    'https://shop.example/',
    'https://shop.example/path',
    'https://Shop.example',
    'https://shop.example:443',
    'https://*.shop.example',
    'https://user@shop.example',
    'capacitor://',
    'capacitor://localhost/',
    'capacitor://localhost?x',
    'capacitor:localhost',
    'CAPACITOR://localhost',
    'blob:https://shop.example',
    'javascript:alert(1)',
  ]) {
    assert.throws(
      () => loadConfig({ CORS_ORIGINS: `https://shop.example,${none}` }),
      ({ problems }: ConfigError) => /^CORS_ORIGINS must be/.test(problems.join()) && problems.length === 1,
      none,
    );
  }
});

test('GRAPHQL_PATH MUST be a normalized path other than /health and /ready', () => {
  for (const path of ['/', '/graphql', '/shop/api/graphql', '/v1.0/~customers'])
    assert.equal(loadConfig({ GRAPHQL_PATH: path }).endpoint, path);
  for (const path of [
    'graphql',
    '/graphql/',
    '//graphql',
    '/a/../graphql',
    '/./graphql',
    '/%67',
    '/a?b',
    '/health',
    '/ready',
  ])
    assert.throws(
      () => loadConfig({ GRAPHQL_PATH: path }),
      /^Error: GRAPHQL_PATH must be a path|GRAPHQL_PATH must/,
      path,
    );
});
