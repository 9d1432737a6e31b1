import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faults, readMagic } from '../../src/sandbox/faults.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/server.ts';

/** One call to a sandbox, by default with its key. */
async function call(sandbox: Sandbox, path: string, init: RequestInit = {}) {
  const authorization = `Basic ${Buffer.from(`${sandbox.apiKey}:`).toString('base64')}`;
  const response = await fetch(`${sandbox.url}${path}`, { ...init, headers: { authorization, ...init.headers } });
  const text = await response.text();
  const isJson = response.headers.get('content-type') === 'application/json';
  return { status: response.status, body: isJson ? (JSON.parse(text) as Record<string, unknown>) : text };
}

async function inSandbox(test: (sandbox: Sandbox) => Promise<void>, options: SandboxOptions = {}): Promise<void> {
  const sandbox = await startSandbox(options);
  try {
    await test(sandbox);
  } finally {
    await sandbox.close();
  }
}

const post = (fields: Record<string, string>) => ({ method: 'POST', body: new URLSearchParams(fields) });

test('every row of the error catalogue MUST have a fault, by magic id and by name', () => {
  const rows = new Set(Object.values(faults).flatMap((fault) => ('row' in fault ? [fault.row] : [])));
  assert.deepEqual(
    Array.from({ length: 19 }, (_, n) => `E${n + 1}`).filter((row) => !rows.has(row as 'E1')),
    [],
  );
  for (const name of Object.keys(faults)) {
    assert.deepEqual(readMagic(`fault_${name}`), { fault: name, once: false, afterCommit: false });
    assert.deepEqual(readMagic(`fault_${name}_once_after_commit_x7`), { fault: name, once: true, afterCommit: true });
  }
});

test('the key MUST be accepted with and without a trailing colon, and other credentials MUST be rejected with the statuses of the provider', () =>
  inSandbox(async (sandbox) => {
    const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
    for (const [authorization, status] of [
      [basic(`${sandbox.apiKey}:`), 200],
      [basic(sandbox.apiKey), 200],
      [basic('another:'), 401],
      ['Basic !!!', 403],
      ['Basic', 403],
      ['', 403],
    ] as const) {
      assert.equal((await call(sandbox, '/customers/u7', { headers: { authorization } })).status, status);
    }
  }));

test('a token MUST be created for the exact option only, be unique, and expire after 15 minutes', () =>
  inSandbox(
    async (sandbox) => {
      const option = 'options.get_client_auth_token';
      const tokens = new Set<unknown>();
      for (const { body } of [
        await call(sandbox, `/customers/u7?${option}=true`),
        await call(sandbox, `/customers/u7?${option}=true`),
        await call(sandbox, '/customers', post({ object_reference_id: 'r', mobile_number: '1', [option]: 'true' })),
      ]) {
        const { juspay } = body as { juspay: Record<string, string> };
        assert.match(juspay['client_auth_token'] ?? '', /^tkn_[0-9a-f]{32}$/);
        assert.equal(juspay['client_auth_token_expiry'], '2026-01-31T09:45:00Z');
        tokens.add(juspay['client_auth_token']);
      }
      assert.equal(tokens.size, 3);
      for (const { body } of [
        await call(sandbox, '/customers/u7'),
        await call(sandbox, `/customers/u7?${option}=1`),
        await call(sandbox, '/customers/u7', post({ first_name: 'A', [option]: 'true' })),
      ]) {
        assert.equal('juspay' in (body as object), false);
      }
    },
    { now: () => new Date('2026-01-31T09:30:00Z') },
  ));

test('the same calls MUST create the same customers, and a reset MUST delete them', () =>
  inSandbox(async (sandbox) => {
    const create = () => call(sandbox, '/customers', post({ object_reference_id: 'r-1', mobile_number: '1' }));
    const first = (await create()).body as Record<string, unknown>;
    assert.equal(first['mobile_country_code'], '91');
    assert.equal(first['last_name'], null);
    assert.equal((await create()).status, 400);
    await call(sandbox, '/__admin/reset', { method: 'POST' });
    assert.equal(((await create()).body as Record<string, unknown>)['id'], first['id']);
  }));

test('an update MUST change the sent fields, and never the reference', () =>
  inSandbox(async (sandbox) => {
    const fields = { first_name: 'A', object_reference_id: 'another' };
    const { body } = await call(sandbox, '/customers/u7', post(fields));
    const updated = body as Record<string, unknown>;
    assert.deepEqual([updated['first_name'], updated['object_reference_id']], ['A', 'u7']);
    assert.notEqual(updated['last_updated'], updated['date_created']);
    assert.equal((await call(sandbox, '/customers/u7', post({ mobile_number: '' }))).status, 400);
  }));

test('a reference MUST have 1 to 128 characters of any kind', () =>
  inSandbox(async (sandbox) => {
    const create = async (object_reference_id: string) =>
      (await call(sandbox, '/customers', post({ object_reference_id, mobile_number: '1' }))).status;
    assert.deepEqual(
      await Promise.all(['', 'r', '💥'.repeat(128), '💥'.repeat(129)].map(create)),
      [400, 200, 200, 400],
    );
  }));

const json = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: '{"object_reference_id":"r-1","mobile_number":1,"options.get_client_auth_token":true}',
};

test('JSON MUST be rejected, unless the option `json` is set', async () => {
  await inSandbox(async (sandbox) => assert.equal((await call(sandbox, '/customers', json)).status, 400));
  await inSandbox(
    async (sandbox) => {
      const { status, body } = await call(sandbox, '/customers', json);
      assert.equal(status, 200);
      assert.equal((body as Record<string, unknown>)['mobile_number'], '1');
      assert.equal('juspay' in (body as object), true);
    },
    { json: true },
  );
});

test('a strict sandbox MUST reject requests that the API document forbids', () =>
  inSandbox(
    async (sandbox) => {
      const merchant = { 'x-merchantid': sandbox.merchantId };
      const fields = { object_reference_id: 'reference-1', mobile_number: '1', email_address: 'a@b.c' };
      const create = async (more: object, headers: Record<string, string> = merchant) =>
        (await call(sandbox, '/customers', { ...post({ ...fields, ...more }), headers })).status;
      assert.equal(await create({}, {}), 400);
      assert.equal(await create({ object_reference_id: 'short' }), 400);
      assert.equal(await create({ email_address: '' }), 400);
      assert.equal(await create({}), 200);
      assert.equal((await call(sandbox, '/customers/reference-1')).status, 400);
      assert.equal((await call(sandbox, '/customers/reference-1', { headers: merchant })).status, 200);
      assert.equal((await call(sandbox, '/customers/reference-1', post({}))).status, 400);
      assert.equal((await call(sandbox, '/customers/reference-1', post({ first_name: 'A' }))).status, 200);
    },
    { strict: true },
  ));

test('the option `faultOf` MUST choose the fault of each call that no armed fault matches', () =>
  inSandbox(
    async (sandbox) => {
      sandbox.arm({ fault: '503' });
      const statuses = [];
      for (const path of ['/customers/u7', '/customers/u7', '/customers/customer-10002']) {
        statuses.push((await call(sandbox, path)).status);
      }
      assert.deepEqual(statuses, [503, 502, 200]);
    },
    { faultOf: ({ pathId }) => (pathId === 'u7' ? { fault: '502' } : undefined) },
  ));

test('an invalid fault MUST fail its own call only, without an unhandled rejection', () =>
  inSandbox(async (sandbox) => {
    sandbox.arm({ fault: '429', retryAfter: 'a\nb' });
    await assert.rejects(call(sandbox, '/customers/u7'));
    assert.equal((await call(sandbox, '/customers/u7')).status, 200);
  }));
