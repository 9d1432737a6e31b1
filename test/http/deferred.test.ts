import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deferred } from '../../src/http/deferred.ts';
import { ask, start } from '../program.ts';

test('a deferred part MUST be opened once, on the first use', async () => {
  let opened = 0;
  const own = {};
  const part = deferred(async () => {
    opened += 1;
    return own;
  });
  assert.equal(opened, 0);
  assert.deepEqual(await Promise.all([part.get(), part.get()]), [own, own]);
  assert.equal(part.get(), own);
  assert.equal(opened, 1);
});

test('a deferred part MUST be opened a second after the start without a use, unless it is disposed', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let opened = 0;
  const open = async () => {
    opened += 1;
    return {};
  };
  deferred(open);
  deferred(open).dispose();
  context.mock.timers.tick(999);
  assert.equal(opened, 0);
  context.mock.timers.tick(1);
  assert.equal(opened, 1);
});

test('a deferred part that cannot be opened MUST be opened again by the next use', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let opened = 0;
  const own = {};
  const part = deferred(async () => {
    opened += 1;
    if (opened < 3) throw new Error(`failure ${opened}`);
    return own;
  });
  context.mock.timers.tick(1_000);
  await assert.rejects(async () => part.get(), /failure 1/);
  await assert.rejects(async () => part.get(), /failure 2/);
  assert.equal(await part.get(), own);
});

/** Simulates a package that cannot be loaded. */
const without = (...names: readonly string[]): readonly string[] => [
  '--import',
  `data:text/javascript,${encodeURIComponent(`
    import { registerHooks } from 'node:module';
    registerHooks({
      resolve(name, context, next) {
        if (${JSON.stringify(names)}.includes(name)) throw new Error(name + ' is missing');
        return next(name, context);
      },
    });`)}`,
];

test('plain requests and probes MUST NOT need graphql-yoga or jose, and other requests MUST get an error without them', async () => {
  const settings = { JUSPAY_BASE_URL: 'http://127.0.0.1:9', JUSPAY_API_KEY: 'key', JUSPAY_MERCHANT_ID: 'm' };
  const environment = { PORT: '0', AUTH_MODE: 'none', ...settings };
  const run = start(['serve'], environment, without('graphql-yoga', 'jose'));
  try {
    const [, url = ''] = await run.waitFor(/"url":"(http:[^"]+)"/);
    const plain = await ask(`${url}/graphql`, '{ __typename }');
    assert.deepEqual(plain.body, { data: { __typename: 'Query' } });
    for (const path of ['/health', '/ready']) assert.equal((await fetch(url + path)).status, 200, path);
    const response = await fetch(`${url}/graphql?query={__typename}`, { headers: { 'apollo-require-preflight': '1' } });
    const { errors } = (await response.json()) as { errors: readonly { extensions: { code: string } }[] };
    assert.equal(response.status, 500);
    assert.equal(errors[0]?.extensions.code, 'INTERNAL_SERVER_ERROR');
    await run.waitFor(/"message":"unexpected error"/);
  } finally {
    run.child.kill('SIGKILL');
    await run.exit;
  }
});
