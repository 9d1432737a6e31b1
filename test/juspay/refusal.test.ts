import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { retryAfterMs } from '../../src/juspay/refusal.ts';
import {
  codesOf,
  createOperation,
  newCustomer,
  resultOf,
  type ScriptedResponse,
  startRaw,
  updateOperation,
  withHarness,
  withScriptedProvider,
} from '../support.ts';

/** The result of each operation: an error code, `null` for no customer, `ok` for a customer. */
type Codes = readonly [read: string | null, create: string, update: string];

const misconfigured: Codes = ['UPSTREAM_MISCONFIGURED', 'UPSTREAM_MISCONFIGURED', 'UPSTREAM_MISCONFIGURED'];
const rejected: Codes = ['UPSTREAM_REJECTED', 'UPSTREAM_REJECTED', 'UPSTREAM_REJECTED'];
const invalid: Codes = ['UPSTREAM_REJECTED', 'VALIDATION_FAILED', 'VALIDATION_FAILED'];
const exists: Codes = ['UPSTREAM_REJECTED', 'ALREADY_EXISTS', 'UPSTREAM_REJECTED'];
const absent: Codes = [null, 'UPSTREAM_MISCONFIGURED', 'NOT_FOUND'];
const unavailable: Codes = ['UPSTREAM_UNAVAILABLE', 'OUTCOME_UNKNOWN', 'OUTCOME_UNKNOWN'];
const malformed: Codes = ['UPSTREAM_MALFORMED', 'OUTCOME_UNKNOWN', 'OUTCOME_UNKNOWN'];
const fine: Codes = ['ok', 'ok', 'ok'];

const customer = { id: 'cth_1', object_reference_id: 'reference-1' };
const oversized = { filler: 'x'.repeat(1024 * 1024) };
const info = (code: string, more: object = {}) => ({ error_info: { code, category: 'USER_ERROR', ...more } });

/** Responses that the sandbox does not have: the precedence of codes, codes in unusual fields, and values that are not codes. */
const answers: readonly (readonly [name: string, response: ScriptedResponse, codes: Codes])[] = [
  ['a 404 with error_code only', { status: 404, body: { error_code: 'object_not_found' } }, absent],
  ['a 404 with error_code in capitals', { status: 404, body: { error_code: 'OBJECT_NOT_FOUND' } }, absent],
  [
    'a 404 with the code of error_info in error_code',
    { status: 404, body: { error_code: 'RESOURCE_NOT_FOUND' } },
    absent,
  ],
  ['a 404 with errorInfo in camelCase', { status: 404, body: { errorInfo: { code: 'RESOURCE_NOT_FOUND' } } }, absent],
  [
    'a 404 of an intermediate server',
    { status: 404, body: { status: 'NOT_FOUND', message: 'no handler' } },
    misconfigured,
  ],
  ['a 404 with the code of another refusal', { status: 404, body: info('INVALID_INPUT') }, misconfigured],
  ['a 404 with a generic code', { status: 404, body: { error_code: 'invalid_request' } }, misconfigured],
  ['a 404 that is too long to read', { status: 404, body: { ...oversized, error_code: 'unique' } }, misconfigured],
  ['a 403 with the code of a missing customer', { status: 403, body: info('RESOURCE_NOT_FOUND') }, misconfigured],
  [
    'a 400 of the CONFIG_ERROR category',
    { status: 400, body: info('ANY', { category: 'CONFIG_ERROR' }) },
    misconfigured,
  ],
  ['a 400 CONFIG_ERROR', { status: 400, body: info('CONFIG_ERROR') }, misconfigured],
  ['a 400 LOCKER_NOT_CONFIGURED', { status: 400, body: info('LOCKER_NOT_CONFIGURED') }, misconfigured],
  ['a 400 missing without error_info', { status: 400, body: { error_code: 'missing' } }, misconfigured],
  [
    'a 400 missing with error_info',
    { status: 400, body: { error_code: 'missing', ...info('UNKNOWN_ERROR') } },
    rejected,
  ],
  ['a 400 with error_code in capitals', { status: 400, body: { error_code: 'UNIQUE' } }, exists],
  ['a 400 with the code of error_info in error_code', { status: 400, body: { error_code: 'ALREADY_EXISTS' } }, exists],
  ['error_info before error_code', { status: 400, body: { error_code: 'unique', ...info('INVALID_INPUT') } }, invalid],
  ['error_code after an unknown error_info', { status: 400, body: { error_code: 'unique', ...info('NEW') } }, exists],
  ['a code that is a name of Object.prototype', { status: 400, body: { error_code: 'constructor' } }, rejected],
  ['a 400 without a body', { status: 400, body: '' }, rejected],
  ['a 503 with the code of an existing reference', { status: 503, body: { error_code: 'unique' } }, unavailable],
  ['a 503 that is too long to read', { status: 503, body: oversized }, unavailable],
  ['a 200 with an error_code', { status: 200, body: { error_code: 'unique' } }, exists],
  ['a 200 with an error_info', { status: 200, body: info('RESOURCE_NOT_FOUND') }, absent],
  ['a 200 with an unknown error', { status: 200, body: { status: 'ERROR', status_id: -1 } }, malformed],
  ['a 200 with an internal error', { status: 200, body: { error_code: 'INTERNAL_ERROR' } }, unavailable],
  ['a 200 with the status of an internal error', { status: 200, body: { status: 'internal_error' } }, unavailable],
  ['a 200 of the SERVER_ERROR category', { status: 200, body: info('ANY', { category: 'SERVER_ERROR' }) }, unavailable],
  ['a 400 of the SERVER_ERROR category', { status: 400, body: info('ANY', { category: 'SERVER_ERROR' }) }, rejected],
  [
    'a 404 of the SERVER_ERROR category for a missing customer',
    { status: 404, body: { error_code: 'object_not_found', ...info('ANY', { category: 'SERVER_ERROR' }) } },
    absent,
  ],
  ['a 204', { status: 204, body: '' }, malformed],
  [
    'a compressed 404',
    { status: 404, body: gzipSync('{"error_code":"object_not_found"}'), headers: { 'content-encoding': 'gzip' } },
    malformed,
  ],
  ...['utf-8', 'UTF-8', 'binary', 'none', '', ' ', 'identity', 'Identity, utf-8'].map(
    (coding) =>
      [
        `a content coding that compresses nothing, "${coding}",`,
        { status: 200, body: customer, headers: { 'content-encoding': coding } },
        fine,
      ] as const,
  ),
  ...['gzip', 'X-GZIP', 'br', 'deflate', 'zstd', 'compress', 'identity, gzip'].map(
    (coding) =>
      [
        `a response with Content-Encoding: ${coding}`,
        { status: 200, body: customer, headers: { 'content-encoding': coding } },
        malformed,
      ] as const,
  ),
  ['a 201', { status: 201, body: customer }, fine],
  ['a customer with an empty error_info', { status: 200, body: { ...customer, error_info: {} } }, fine],
  ['a customer with another status field', { status: 200, body: { ...customer, status: 'ACTIVE' } }, fine],
];

for (const [name, response, [read, create, update]] of answers) {
  test(`${name} MUST be ${read} for a read, ${create} for a create, ${update} for an update`, () =>
    withScriptedProvider(
      () => response,
      async (harness) => {
        const answer = await harness.ask('{ customer(id: "reference-1") { id } }');
        const found = answer.data?.['customer'] === null ? null : 'ok';
        assert.equal(codesOf(answer)['customer'] ?? found, read);
        const input = newCustomer('reference-1');
        const created = resultOf(await harness.ask(createOperation, { input }), 'createCustomer');
        assert.equal(created['code'] ?? 'ok', create);
        const changes = { id: 'reference-1', input: { mobileNumber: '1' } };
        const updated = resultOf(await harness.ask(updateOperation, changes), 'updateCustomer');
        assert.equal(updated['code'] ?? 'ok', update);
      },
      // Ambiguous writes are settled until the deadline.
      create === 'OUTCOME_UNKNOWN' ? { OPERATION_TIMEOUT_MS: '1000' } : {},
    ));
}

const dayMs = 86_400_000;
const soon = new Date(Date.now() + 3_600_000);
const [, weekday = '', day = '', month = '', year = '', time = ''] =
  /^(\w+), (\d+) (\w+) (\d+) ([\d:]+) GMT$/.exec(soon.toUTCString()) ?? [];
const longWeekday = soon.toLocaleDateString('en', { weekday: 'long', timeZone: 'UTC' });
for (const [text, fromMs, toMs] of [
  ['0', 0, 0],
  ['007', 7000, 7000],
  ['86400', dayMs, dayMs],
  ['86401', dayMs, dayMs],
  ['1234567890', dayMs, dayMs],
  ['9'.repeat(400), dayMs, dayMs],
  [soon.toUTCString(), 3_000_000, 3_600_000],
  [`${longWeekday}, ${day}-${month}-${year.slice(2)} ${time} GMT`, 3_000_000, 3_600_000],
  [`${weekday} ${month} ${day.replace(/^0/, ' ')} ${time} ${year}`, 3_000_000, 3_600_000],
  ['Fri, 31 Dec 9999 23:59:59 GMT', dayMs, dayMs],
  ['Thu, 01 Jan 1970 00:00:00 GMT', 0, 0],
  ['Sun, 06 Nov 1960 08:49:37 GMT', 0, 0],
] as const) {
  test(`Retry-After: ${text.slice(0, 40)} MUST be parsed, and be at most a day`, (context) => {
    const zone = process.env['TZ'];
    context.after(() => {
      if (zone === undefined) delete process.env['TZ'];
      else process.env['TZ'] = zone;
    });
    // A date without a time zone is in GMT, wherever the gateway runs.
    process.env['TZ'] = 'Asia/Kolkata';
    const ms = retryAfterMs({ status: 429, headers: { 'retry-after': text } });
    assert.ok(ms !== undefined && ms >= fromMs && ms <= toMs, `${ms}`);
  });
}

test('the first of two Retry-After headers MUST be used', () => {
  assert.equal(retryAfterMs({ status: 429, headers: { 'retry-after': ['20', '30'] } }), 20_000);
});

for (const text of ['', '-1', '1.5', '1e3', 'soon', '1,2', '2030-01-01T00:00:00Z']) {
  test(`Retry-After: "${text}" MUST be ignored`, () => {
    assert.equal(retryAfterMs({ status: 503, headers: { 'retry-after': text } }), undefined);
  });
}

for (const text of ['9999999999', 'Fri, 31 Dec 9999 23:59:59 GMT']) {
  const answer = () => ({ status: 429, body: '', headers: { 'retry-after': text } });

  test(`retryAfterSeconds of a read after Retry-After: ${text} MUST be a day`, () =>
    withScriptedProvider(answer, async (harness) => {
      const [error] = (await harness.ask('{ customer(id: "a") { id } }')).errors ?? [];
      assert.deepEqual([error?.extensions['code'], error?.extensions['retryAfterSeconds']], ['RATE_LIMITED', 86_400]);
    }));

  // The field is an Int: a larger number would make the result of the write null.
  test(`retryAfterSeconds of a create after Retry-After: ${text} MUST be a day`, () =>
    withScriptedProvider(answer, async (harness) => {
      const created = resultOf(
        await harness.ask(createOperation, { input: newCustomer('reference-1') }),
        'createCustomer',
      );
      assert.deepEqual(
        [created['__typename'], created['code'], created['retryAfterSeconds']],
        ['CustomerUpstreamError', 'RATE_LIMITED', 86_400],
      );
    }));
}

for (const status of [302, 401, 403]) {
  test(`a ${status} whose body ends early MUST be as definite as a whole one`, async () => {
    let calls = 0;
    const provider = await startRaw((socket) => {
      calls += 1;
      socket.end(`HTTP/1.1 ${status} X\r\nlocation: /\r\ncontent-length: 9\r\n\r\n{`);
    });
    try {
      await withHarness(
        async (harness) => {
          const read = await harness.ask('{ customer(id: "reference-1") { id } }');
          assert.deepEqual(codesOf(read), { customer: 'UPSTREAM_MISCONFIGURED' });
          const input = newCustomer('reference-1');
          const created = resultOf(await harness.ask(createOperation, { input }), 'createCustomer');
          assert.equal(created['code'], 'UPSTREAM_MISCONFIGURED');
          assert.equal(calls, 2);
        },
        {},
        { provider: { baseUrl: provider.url } },
      );
    } finally {
      await provider.close();
    }
  });
}

const whole = { status: 200, body: customer };
const internal = { status: 500, body: {} };
const page = { status: 200, body: '<html>' };
const busy = { status: 400, body: info('DUPLICATE_REQUEST') };
for (const [name, responses, code] of [
  ['a 500 and a 2xx without a customer', [internal, page, whole], undefined],
  ['a 2xx without a customer and a 500', [page, internal, whole], undefined],
  ['DUPLICATE_REQUEST and a 500', [busy, internal, whole], undefined],
  ['a 500 and a 500', [internal, internal, whole], 'UPSTREAM_UNAVAILABLE'],
  ['a 2xx without a customer, twice', [page, page, whole], 'UPSTREAM_MALFORMED'],
] as const) {
  test(`a read after ${name} MUST ${code === undefined ? 'be sent a third time' : `fail with ${code}`}`, () => {
    const left: ScriptedResponse[] = [...responses];
    return withScriptedProvider(
      () => left.shift() ?? whole,
      async (harness, calls) => {
        const answer = await harness.ask('{ customer(id: "reference-1") { id } }');
        assert.deepEqual(codesOf(answer), code === undefined ? {} : { customer: code });
        assert.equal(calls.length, code === undefined ? 3 : 2);
      },
    );
  });
}
