import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { ask, type Run, start } from '../program.ts';

const canary = process.env['CANARY'] ?? 'canary-of-its-own';

/**
 * A module that is loaded before the program: each SIGHUP causes `fault`. The code of the fault is passed in the environment because a
 * stack trace contains the whole URL of a `data:` module.
 */
const preload = (fault: string) =>
  `data:text/javascript,${encodeURIComponent(`process.on('SIGHUP', () => { ${fault} });`)}`;

const error = `new TypeError(process.env.FAULT_MESSAGE, { cause: Object.assign(new Error(process.env.FAULT_MESSAGE), { code: 'EFAULT' }) })`;

function startFaulty(
  context: TestContext,
  args: readonly string[],
  fault: string,
  environment: Record<string, string> = {},
): Run {
  const run = start(args, { PORT: '0', FAULT_MESSAGE: canary, ...environment }, ['--import', preload(fault)]);
  context.after(() => run.child.kill('SIGKILL'));
  return run;
}

/** A provider that delays each create until it is released. */
async function startSlowProvider(context: TestContext) {
  const server = createServer((request, response) => {
    request.resume().once('end', () => held.resolve(response));
  });
  const held = Promise.withResolvers<ServerResponse>();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, create: held.promise };
}

const create =
  'mutation { createCustomer(input: { objectReferenceId: "order-00001", mobileNumber: "9000000001", emailAddress: "a@example.com" }) { __typename } }';

const created = JSON.stringify({
  id: 'cst_abcdefghijklmnop',
  object_reference_id: 'order-00001',
  mobile_number: '9000000001',
});

/** Real credentials, and timeouts for a busy machine. */
const settingsFor = (baseUrl: string) => ({
  JUSPAY_API_KEY: 'key',
  JUSPAY_MERCHANT_ID: 'acme',
  JUSPAY_BASE_URL: baseUrl,
  AUTH_MODE: 'none',
  JUSPAY_TIMEOUT_MS: '60000',
  OPERATION_TIMEOUT_MS: '60000',
  SHUTDOWN_GRACE_MS: '60000',
});

const jsonLines = (text: string) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

for (const [name, fault, count] of [
  ['an unhandled rejection', `Promise.reject(${error})`, 1],
  ['an uncaught exception', `setImmediate(() => { throw ${error}; })`, 1],
  ['a rejection with a value that is not an error', `Promise.reject(process.env.FAULT_MESSAGE)`, 1],
  ['many of both', `setInterval(() => { Promise.reject(${error}); throw ${error}; }, 1)`, undefined],
] as const) {
  test(`${name} MUST be logged once; in-flight writes MUST finish and be audited before exit code 1`, async (context) => {
    const provider = await startSlowProvider(context);
    const program = startFaulty(context, ['serve'], fault, settingsFor(provider.url));
    const [, url = ''] = await program.waitFor(/"url":"([^"]+)"/);
    const answer = ask(`${url}/graphql`, create);
    const held = await Promise.race([provider.create, answer.then((early) => assert.fail(JSON.stringify(early)))]);
    program.child.kill('SIGHUP');
    while ((await fetch(`${url}/ready`)).status !== 503) await program.waitFor(/unhandled error/);
    if (count === undefined) program.child.kill('SIGHUP');
    assert.equal((await fetch(`${url}/health`)).status, 200);
    held.end(created);
    assert.deepEqual((await answer).body, { data: { createCustomer: { __typename: 'CreateCustomerSuccess' } } });
    assert.equal(await program.exit, 1);

    const lines = jsonLines(program.output());
    const of = (message: string) => lines.filter((line) => line['message'] === message);
    assert.deepEqual(
      of('audit').map(({ field, outcome }) => [field, outcome]),
      [['createCustomer', 'CREATED']],
    );
    const [first, ...more] = of('unhandled error: draining, then exit code 1');
    assert.ok(first);
    assert.deepEqual([first['level'], more.length, of('stopped').length], ['error', 0, 1]);
    const further = of('further unhandled errors');
    assert.equal(further.length, count === undefined ? 1 : 0);
    assert.ok(count === undefined ? Number(further[0]?.['count']) >= 1 : true);
    assert.doesNotMatch(program.output(), new RegExp(canary));
    if (name !== 'a rejection with a value that is not an error') {
      const cause = first['cause'] as { name: string; stack: string[]; cause: { code: string } };
      assert.deepEqual([cause.name, cause.cause.code], ['TypeError', 'EFAULT']);
      assert.ok(cause.stack.length > 0);
    }
  });
}

test('an unhandled error MUST NOT interrupt a drain, and MUST change its exit code to 1', async (context) => {
  const provider = await startSlowProvider(context);
  const program = startFaulty(context, [], `Promise.reject(${error})`, settingsFor(provider.url));
  const [, url = ''] = await program.waitFor(/"url":"([^"]+)"/);
  const answer = ask(`${url}/graphql`, create);
  const held = await Promise.race([provider.create, answer.then((early) => assert.fail(JSON.stringify(early)))]);
  program.child.kill('SIGTERM');
  while ((await fetch(`${url}/ready`)).status !== 503);
  program.child.kill('SIGHUP');
  await program.waitFor(/unhandled error/);
  held.end(created);
  assert.deepEqual((await answer).body, { data: { createCustomer: { __typename: 'CreateCustomerSuccess' } } });
  assert.equal(await program.exit, 1);
  assert.match(program.output(), /"message":"audit"/);
});

for (const args of [[], ['sandbox']]) {
  test(`customer-gateway ${args.join(' ')} on the sandbox MUST log an unhandled error and exit with 1`, async (context) => {
    const program = startFaulty(context, args, `Promise.reject(${error})`);
    await program.waitFor(/Ctrl-C stops/);
    program.child.kill('SIGHUP');
    assert.equal(await program.exit, 1);
    assert.equal(jsonLines(program.output()).filter(({ level }) => level === 'error').length, 1);
    assert.doesNotMatch(program.output(), new RegExp(canary));
  });
}
