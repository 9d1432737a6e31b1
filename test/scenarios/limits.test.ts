import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { addressOf } from '../../src/auth/address.ts';
import { anonymous, type Caller } from '../../src/auth/caller.ts';
import { createRateLimit, type RateLimit } from '../../src/auth/rate-limit.ts';
import { RequestError } from '../../src/errors.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { type Answer, askAs, codesOf, type Harness, jwtSettings, withHarness } from '../support.ts';

const silent = createLog('silent', () => undefined);
const bound = (name: string, customer: string): Caller => ({
  ...anonymous,
  name,
  credentialKeys: [name],
  customers: [customer],
});

/** Returns the number of admitted operations. */
async function admitted(limit: RateLimit, caller: Caller, attempts: number, address?: string): Promise<number> {
  let count = 0;
  for (let n = 0; n < attempts; n += 1) {
    try {
      await limit.admit(caller, address);
      count += 1;
    } catch (error) {
      assert.ok(error instanceof RequestError && error.code === 'RATE_LIMITED' && error.status === 429);
      assert.ok((error.retryAfterSeconds ?? 0) >= 1 && (error.retryAfterSeconds ?? 0) <= 60);
    }
  }
  return count;
}

test('each caller MUST have its own limit, and anonymous callers one for each address', async () => {
  const limit = createRateLimit({ perMinute: 5 }, silent);
  assert.equal(await admitted(limit, bound('a', 'reference-1'), 8), 5);
  assert.equal(await admitted(limit, bound('b', 'reference-2'), 8), 5);
  assert.equal(await admitted(limit, anonymous, 8, '10.0.0.1'), 5);
  assert.equal(await admitted(limit, anonymous, 8, '10.0.0.2'), 5);
  assert.equal(await admitted(limit, anonymous, 8, '10.0.0.1'), 0);
});

test('all tokens of one customer MUST share one limit', async () => {
  const limit = createRateLimit({ perMinute: 5 }, silent);
  let count = 0;
  for (const name of ['a', 'b', 'c']) count += await admitted(limit, bound(name, 'reference-1'), 3);
  assert.equal(count, 5);
});

test('a caller with the name `anonymous`, or the name of another kind of caller, MUST have its own limit', async () => {
  const limit = createRateLimit({ perMinute: 5 }, silent);
  const plain: Caller = { ...anonymous, customers: 'any' };
  assert.equal(await admitted(limit, plain, 8, '10.0.0.1'), 5);
  for (const who of ['subject anonymous', 'subject a', 'key a']) {
    assert.equal(await admitted(limit, { ...plain, name: 'anonymous', credentialKeys: [who] }, 8, '10.0.0.1'), 5);
  }
  // A request with two credentials counts for both.
  assert.equal(await admitted(limit, { ...plain, credentialKeys: ['key a', 'subject b'] }, 8), 0);
  assert.equal(await admitted(limit, { ...plain, credentialKeys: ['key c', 'subject c'] }, 3), 3);
  assert.equal(await admitted(limit, { ...plain, credentialKeys: ['key c'] }, 8), 2);
});

test('an operation beyond the limit MUST return 429 with Retry-After without execution; rejected documents MUST count', () =>
  withHarness(
    async (harness) => {
      await harness.ask('{ nothing }');
      assert.equal((await harness.ask('{ customer(id: "u7") { id } }')).status, 200);
      const answer = await harness.ask('{ customer(id: "u7") { id } }');
      assert.equal(answer.status, 429);
      assert.match(answer.headers.get('retry-after') ?? '', /^\d+$/);
      assert.deepEqual(codesOf(answer), { '': 'RATE_LIMITED' });
      assert.equal(harness.sandbox.calls.length, 1);
    },
    { RATE_LIMIT_PER_MINUTE: '2' },
  ));

test('a token that names the default merchant and one that names none MUST share the counters of their customer and subject', () =>
  withHarness(
    async (harness) => {
      const send = (claims: object) =>
        askAs(harness, { scope: 'customer:read', ...claims }, '{ customer(id: "u7") { id } }');
      const merchant_id = harness.sandbox.merchantId;
      const bySubject = { sub: 'subject', scope: 'customer:read customer:any' };
      for (const [first, second] of [
        [
          { sub: 'a', customer: 'u7' },
          { sub: 'b', customer: 'u7', merchant_id },
        ],
        [bySubject, { ...bySubject, merchant_id }],
      ] as const) {
        assert.equal((await send(first)).status, 200);
        assert.equal((await send(second)).status, 200);
        const callsBefore = harness.upstream().length;
        assert.deepEqual(codesOf(await send(first)), { '': 'RATE_LIMITED' });
        assert.deepEqual(codesOf(await send(second)), { '': 'RATE_LIMITED' });
        assert.equal(harness.upstream().length, callsBefore);
      }
    },
    { ...jwtSettings, RATE_LIMIT_PER_MINUTE: '2' },
  ));

test('only the entries of X-Forwarded-For that trusted proxies added MUST be used', () => {
  const chain = 'spoofed, 203.0.113.7, 10.0.0.1';
  assert.equal(addressOf('10.0.0.2', chain, 0), '10.0.0.2');
  assert.equal(addressOf('10.0.0.2', chain, 1), '10.0.0.1');
  assert.equal(addressOf('10.0.0.2', chain, 2), '203.0.113.7');
  assert.equal(addressOf('10.0.0.2', undefined, 2), '10.0.0.2');
});

test('documents MUST be found by id, in `documentId` and in the extension of Apollo', async () => {
  const path = new URL('../../schema/generated/persisted-documents.json', import.meta.url);
  const documents: string[] = Object.values(JSON.parse(readFileSync(path, 'utf8')));
  const text = documents.find((document) => document.startsWith('query Customer(')) ?? '';
  const hash = createHash('sha256').update(text).digest('hex');
  const withId = [
    { documentId: `sha256:${hash}` },
    { documentId: hash },
    { extensions: { persistedQuery: { version: 1, sha256Hash: hash } } },
  ];
  const send = (harness: Harness, body: object, headers: object = {}) =>
    harness.fetch({
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ variables: { id: 'u7' }, ...body }),
    });
  const assertRead = (answer: Answer) => {
    assert.equal(answer.errors, undefined, answer.text);
    assert.match(JSON.stringify(answer.data), /"id":"cst_0123456789abcdef"/);
  };
  for (const PERSISTED_ONLY of ['on', 'off']) {
    await withHarness(
      async (harness) => {
        for (const body of withId) assertRead(await send(harness, body));
        const query = new URLSearchParams({ documentId: hash, variables: '{"id":"u7"}' });
        assertRead(await harness.fetch({ path: `/graphql?${query}`, headers: { 'apollo-require-preflight': '1' } }));
        for (const body of [{ documentId: 'sha256:00' }, { documentId: '__proto__' }]) {
          assert.deepEqual(codesOf(await send(harness, body)), { '': 'PERSISTED_QUERY_NOT_FOUND' });
        }
        assert.deepEqual(codesOf(await send(harness, {})), { '': 'BAD_USER_INPUT' });
        assert.equal(harness.sandbox.calls.length, 4);
        if (PERSISTED_ONLY === 'on') {
          for (const body of [{ query: '{ __typename }' }, ...withId.map((id) => ({ query: text, ...id }))]) {
            assert.deepEqual(codesOf(await send(harness, body)), { '': 'PERSISTED_QUERY_ONLY' });
          }
        } else {
          for (const id of withId) assertRead(await send(harness, { query: text, ...id }));
          assert.deepEqual(codesOf(await send(harness, { query: '{ __typename }', ...withId[0] })), {
            '': 'BAD_USER_INPUT',
          });
        }
      },
      { PERSISTED_ONLY },
    );
  }
});

test('with PERSISTED_ONLY, only a key entry with `documents: any` MUST be able to send other documents', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'routers-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'keys.json');
  const entry = (name: string, more: object = {}) => ({
    name,
    sha256: createHash('sha256').update(name).digest('hex'),
    scopes: ['customer:read'],
    ...more,
  });
  writeFileSync(file, JSON.stringify([entry('router', { documents: 'any' }), entry('app')]));
  await withHarness(
    async (harness) => {
      const send = (key: string) =>
        harness.fetch({
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-api-key': key },
          body: '{"query":"{ customer(id: \\"u7\\") { id } }"}',
        });
      assert.deepEqual((await send('router')).data, { customer: { id: 'cst_0123456789abcdef' } });
      assert.deepEqual(codesOf(await send('app')), { '': 'PERSISTED_QUERY_ONLY' });
      assert.equal(harness.sandbox.calls.length, 1);
    },
    { PERSISTED_ONLY: 'on', AUTH_MODE: 'api-key', AUTH_API_KEYS_FILE: file },
  );
});

test('every write MUST write one audit line without values, whatever its outcome', () =>
  withHarness(async (harness) => {
    await harness.ask(
      'mutation Register { createCustomer(input: { objectReferenceId: "canary-0001", mobileNumber: "9000000055", emailAddress: "canary@example.com" }) { __typename } }',
    );
    await harness.ask(
      'mutation Rename { updateCustomer(id: "fault_unauthorized", input: { firstName: "Canary" }) { __typename } }',
    );
    await harness.ask(
      'mutation { createCustomer(input: { objectReferenceId: "canary", mobileNumber: "+", emailAddress: "canary" }) { __typename } }',
    );
    const lines = harness.log
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ message }) => message === 'audit');
    assert.deepEqual(
      lines.map(({ field, operationName, merchant, changed, outcome }) => ({
        field,
        operationName,
        merchant,
        changed,
        outcome,
      })),
      [
        {
          field: 'createCustomer',
          operationName: 'Register',
          merchant: 'sandbox_merchant',
          changed: ['emailAddress', 'mobileNumber', 'objectReferenceId'],
          outcome: 'CREATED',
        },
        {
          field: 'updateCustomer',
          operationName: 'Rename',
          merchant: 'sandbox_merchant',
          changed: ['firstName'],
          outcome: 'UPSTREAM_MISCONFIGURED',
        },
        {
          field: 'createCustomer',
          operationName: undefined,
          merchant: 'sandbox_merchant',
          changed: ['emailAddress', 'mobileNumber', 'objectReferenceId'],
          outcome: 'VALIDATION_FAILED',
        },
      ],
    );
    assert.match(String(lines[0]?.['providerRequestId']), /^req_\d+$/);
    assert.match(String(lines[0]?.['customer']), /^[0-9a-f]{16}$/);
    assert.doesNotMatch(harness.log.join('\n'), /canary|9000000055|fault_unauthorized/i);
  }));

test('1,100 distinct documents of maximum size MUST use less than 64 MB of heap', (context) =>
  withHarness(async (harness) => {
    const collect = globalThis.gc ?? assert.fail('run with --expose-gc');
    // The maximum number of tokens, in the shapes that need most memory. All documents are valid.
    const id = (n: number, i: number) => `"document-${n}-${String(i).padStart(12, '0')}"`;
    const list = (length: number, item: (i: number) => string) => Array.from({ length }, (_, i) => item(i)).join(' ');
    const shapes: readonly ((n: number) => string)[] = [
      (n) => `{ customers(ids: [${list(1900, (i) => id(n, i))}]) { id } }`,
      (n) => `{ customers(ids: [${list(1900, (i) => id(n, i))}]) { id } } # not shared`,
      (n) => `query Q${n} { customers(ids: [${list(1900, () => '""')}]) { id } }`,
      (n) => `query Q${n} { customers(ids: [${list(1900, () => '1')}]) { id } }`,
      (n) => `query Q${n} { customers(ids: []) { ${list(1900, () => 'id')} } }`,
      (n) => `query Q${n} { ${list(58, (i) => `a${i}: customers(ids: []) { ${list(20, () => 'id')} }`)} }`,
    ];
    const largest = (n: number) => shapes[n % shapes.length]?.(n) ?? '';
    for (const [n] of shapes.entries()) await harness.ask(largest(n));
    collect();
    const beforeBytes = process.memoryUsage().heapUsed;
    for (let n = shapes.length; n < 1100; n += 1) assert.ok((await harness.ask(largest(n))).data);
    collect();
    const heldBytes = process.memoryUsage().heapUsed - beforeBytes;
    context.diagnostic(`${Math.round(heldBytes / 1024 / 1024)} MB held`);
    assert.ok(heldBytes < 64 * 1024 * 1024, `${Math.round(heldBytes / 1024 / 1024)} MB`);
  }));
