import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseEnv } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { loadConfig } from '../../src/config/config.ts';
import { Environment, type SettingName, settings } from '../../src/config/settings.ts';
import { exampleEnvironment, settingsSchema } from '../../tools/settings-files.ts';
import { start } from '../program.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const example = read('.env.example');
/** The example with every setting active. `NO_PROXY` and the proxies are read from the lower-case names too. */
const allActive = parseEnv(example.replace(/^#(?=[A-Z])/gm, '')) as Record<string, string>;
const schema = JSON.parse(read('schema/settings.schema.json')) as {
  properties: Record<string, { description: string; anyOf: { minimum?: number; maximum?: number }[] }>;
};
const accepts = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(schema);

/** Content of the files that the example names. */
const files: Record<string, string> = {
  MERCHANTS_FILE: '{"acme":{"apiKey":"key","baseUrl":"https://api.juspay.in"}}',
  AUTH_API_KEYS_FILE: '[]',
  PERSISTED_DOCUMENTS_FILE: '{"1":"{ __typename }"}',
};
const readExample = (path: string) => {
  const [, content] = Object.entries(files).find(([setting]) => allActive[setting] === path) ?? [];
  if (content === undefined) throw new Error(`no content for ${path}`);
  return content;
};

test('.env.example and the JSON Schema MUST match the settings', () => {
  assert.equal(example, exampleEnvironment());
  assert.equal(read('schema/settings.schema.json'), settingsSchema());
});

test('.env.example MUST name every setting once, with a value without quotes and blanks', () => {
  const names = [...example.matchAll(/^#([A-Z][A-Z_]*)=/gm)].map(([, name]) => name);
  assert.deepEqual(names, [...settings.map(({ name }) => name), 'NODE_ENV']);
  for (const [name, value] of Object.entries(allActive)) assert.match(value, /^[^\s"'#]+$/, name);
});

test('.env.example MUST load as a configuration: unchanged, and with its settings active', () => {
  assert.deepEqual(loadConfig(parseEnv(example)), loadConfig({}));
  // A gateway has one kind of keys for JWTs.
  for (const left of ['AUTH_JWT_SECRET', 'AUTH_JWKS_URL']) {
    const { [left]: _, ...environment } = allActive;
    // The folder of the example exists on few machines.
    const config = loadConfig({ ...environment, AUDIT_FILE: join(tmpdir(), 'audit.log') }, readExample);
    assert.equal(config.production, true);
    assert.deepEqual(config.auth.modes, ['jwt', 'api-key']);
    assert.equal(config.merchants.length, 1);
    assert.equal(accepts(environment), true, JSON.stringify(accepts.errors));
  }
});

test('every setting that .env.example activates alone MUST be one that the schema and the settings accept', () => {
  for (const [name, value] of Object.entries(allActive)) {
    if (name !== 'NODE_ENV') Environment.parse({ [name]: value });
    assert.equal(accepts({ [name]: value }), true, name);
  }
});

test('the JSON Schema MUST describe every setting and every file of a secret', () => {
  const names = settings.flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name]));
  assert.deepEqual(Object.keys(schema.properties), [...names, 'NODE_ENV']);
  for (const { name, meaning } of settings) assert.ok(schema.properties[name]?.description.startsWith(meaning), name);
});

test('the JSON Schema MUST accept exactly the whole numbers that a setting accepts', () => {
  const bounded = settings.flatMap(({ name }) => {
    const [{ minimum, maximum } = {}] = schema.properties[name]?.anyOf ?? [];
    return minimum === undefined || maximum === undefined ? [] : [{ name, minimum, maximum }];
  });
  assert.ok(bounded.length > 15);
  for (const { name, minimum, maximum } of bounded) {
    const type = Environment.shape[name as SettingName];
    const near = [minimum - 1, minimum, maximum, maximum + 1].filter((number) => number >= 0).map(String);
    const written = fc.oneof(
      fc.integer({ min: 0, max: 2 * maximum }).map(String),
      fc.constantFrom(
        ...near,
        ...near.map((text) => `0${text}`),
        '-1',
        '1e3',
        '0x10',
        ' 1',
        '1.5',
        '4000\n',
        '9'.repeat(11),
      ),
    );
    fc.assert(
      fc.property(written, (text) => {
        assert.equal(accepts({ [name]: text }), type.safeParse(text).success, `${name}=${JSON.stringify(text)}`);
      }),
    );
    assert.equal(accepts({ [name]: minimum - 1 }), false);
    assert.equal(accepts({ [name]: minimum }) && accepts({ [name]: maximum }), true);
    assert.equal(accepts({ [name]: maximum + 1 }), false);
  }
});

for (const [what, environment, isValid] of [
  ['an unknown setting', { JUSPAY_API_KY: 'x' }, false],
  ['an unknown limit', { LIMIT_DEPHT: '5' }, false],
  ['a variable of a Kubernetes Service', { JUSPAY_SERVICE_HOST: '10.0.0.1', JUSPAY_PORT: 'tcp://10.0.0.1:80' }, true],
  ['a port that Kubernetes injected', { METRICS_PORT: 'tcp://10.0.0.1:9090' }, true],
  ['a variable of another program', { PATH: '/bin', TERM: 'x' }, true],
  ['an empty setting', { PORT: '', AUTH_MODE: '', LOG_LEVEL: '' }, true],
  ['a switch that is neither on nor off', { GRAPHIQL: 'yes' }, false],
  ['an unknown authentication', { AUTH_MODE: 'jwt,basic' }, false],
  ['none together with another authentication', { AUTH_MODE: 'none,jwt' }, false],
  ['a list of authentications with blanks', { AUTH_MODE: 'jwt , api-key' }, true],
  ['a base URL without a scheme', { JUSPAY_BASE_URL: 'api.juspay.in' }, false],
  ['a base URL in capitals', { JUSPAY_BASE_URL: 'HTTPS://API.JUSPAY.IN' }, true],
  ['a date that does not exist', { JUSPAY_VERSION: '2024-02-30' }, false],
] as const) {
  test(`the JSON Schema MUST ${isValid ? 'accept' : 'reject'} ${what}, as the gateway does`, () => {
    assert.equal(accepts(environment), isValid);
    const problems: string[] = [];
    try {
      loadConfig(environment);
    } catch (error) {
      problems.push(...(error as { problems: string[] }).problems);
    }
    // The rules between several settings are not in the schema.
    const own = problems.filter((problem) => !/must be set|needs/.test(problem));
    assert.equal(own.length === 0, isValid, own.join('\n'));
  });
}

test('config --check MUST succeed for valid settings, and print no setting', async () => {
  const run = start(['config', '--check'], {
    JUSPAY_API_KEY: 'canary',
    JUSPAY_MERCHANT_ID: 'canary',
    AUTH_MODE: 'none',
  });
  assert.equal(await run.exit, 0);
  assert.equal(run.output(), 'The settings are valid.\n');
});

test('config --check MUST fail with every problem by name, and never with a value', async () => {
  const run = start(['config', '--check'], {
    JUSPAY_API_KEY: 'canary',
    JUSPAY_BASE_URL: 'ftp://canary.example',
    PORT: 'canary',
    LIMIT_DEPHT: 'canary',
    AUTH_MODE: 'api-key',
    AUTH_API_KEYS_FILE: '/nowhere/canary',
  });
  assert.equal(await run.exit, 1);
  for (const name of ['JUSPAY_MERCHANT_ID', 'JUSPAY_BASE_URL', 'PORT', 'LIMIT_DEPHT', 'AUTH_API_KEYS_FILE']) {
    assert.match(run.output(), new RegExp(`^ {2}- ${name} `, 'm'));
  }
  assert.doesNotMatch(run.output(), /canary/);
});

test('config MUST refuse every other option with the exit code of wrong usage', async () => {
  const runs = [['--chek'], ['--check', '--json'], ['x']].map((options) => start(['config', ...options]));
  for (const run of runs) {
    assert.equal(await run.exit, 2);
    assert.match(run.output(), /--check/);
  }
});
