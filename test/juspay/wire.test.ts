import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseExactJson } from '../../src/customers/exact-json.ts';
import { isPathId } from '../../src/customers/identity.ts';
import { customerPath, decodeCustomer, encodeForm } from '../../src/juspay/wire.ts';
import { codesOf, newCustomer, withHarness, withScriptedProvider } from '../support.ts';

/** Ids that are used in path traversal attacks. */
const hostileIds = [
  '../orders',
  '..%2forders',
  '%2e%2e',
  '%2E%2e%2f',
  '..;/orders',
  '\\..\\orders',
  '/',
  '//evil.example/',
  'a/b',
  'a%2Fb',
  'a%252Fb',
  'a?options.get_client_auth_token=true',
  'a#x',
  'a&b',
  'a;b=c',
  ' leading',
  'trailing ',
  '＠',
  '．．',
  '\u202Eabc',
  'e\u0301',
  '😀',
  '@host',
  'https://evil',
  'constructor',
  '__proto__',
  'x'.repeat(128),
  '😀'.repeat(128),
];
const impossibleIds = [
  '',
  ' ',
  '\u00a0',
  '.',
  '..',
  'a\rb',
  'a\nb',
  'a\r\nx-merchantid: evil',
  'a\0b',
  'a\tb',
  '\ud800',
  'a\udfff',
  'x'.repeat(129),
  'x'.repeat(9000),
  '😀'.repeat(129),
];

test('any id MUST become exactly one segment of the path', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary', maxLength: 140 }), fc.constantFrom(...hostileIds, ...impossibleIds)),
      (id) => {
        if (!isPathId(id)) return;
        const path = customerPath(encodeURIComponent(id));
        assert.match(path, /^\/customers\/[A-Za-z0-9\-_.!~*'()%]+$/);
        const url = new URL(path, 'https://provider.test');
        assert.equal(url.origin, 'https://provider.test');
        assert.equal(url.pathname, path);
        assert.equal(url.search, '');
        assert.equal(decodeURIComponent(path.slice('/customers/'.length)), id);
      },
    ),
    { numRuns: 20_000 },
  );
});

test('the provider MUST receive each hostile id unchanged, and none of the impossible ones', () =>
  withHarness(async (harness) => {
    const read = 'query ($id: ID!) { customer(id: $id) { id } }';
    for (const id of hostileIds) {
      const answer = await harness.ask(read, { id });
      assert.deepEqual(answer.data, { customer: null }, JSON.stringify(id));
      assert.equal(harness.sandbox.calls.at(-1)?.pathId, id);
    }
    assert.equal(harness.sandbox.calls.length, hostileIds.length);
    for (const id of impossibleIds) {
      assert.deepEqual(codesOf(await harness.ask(read, { id })), { customer: 'BAD_USER_INPUT' }, JSON.stringify(id));
    }
    assert.equal(harness.sandbox.calls.length, hostileIds.length);
  }));

test('a form MUST decode to the given fields and no others', () => {
  const names = {
    objectReferenceId: 'object_reference_id',
    mobileNumber: 'mobile_number',
    emailAddress: 'email_address',
    firstName: 'first_name',
    lastName: 'last_name',
    mobileCountryCode: 'mobile_country_code',
  };
  const value = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom('a&b=c', 'x&options.get_client_auth_token=true', '+', '%', ';', '\r\n', '='),
  );
  fc.assert(
    fc.property(
      fc.record(
        {
          objectReferenceId: value,
          mobileNumber: value,
          emailAddress: value,
          firstName: value,
          lastName: value,
          mobileCountryCode: value,
        },
        { requiredKeys: [] },
      ),
      fc.boolean(),
      (fields, withToken) => {
        const decoded: [string, string][] = encodeForm(fields, withToken)
          .split('&')
          .filter(Boolean)
          .map(
            (pair) => pair.split('=').map((part) => decodeURIComponent(part.replaceAll('+', ' '))) as [string, string],
          );
        const expected = Object.entries(names)
          .filter(([ours]) => ours in fields)
          .map(([ours, theirs]) => [theirs, fields[ours as keyof typeof names]]);
        if (withToken) expected.push(['options.get_client_auth_token', 'true']);
        assert.deepEqual(decoded, expected);
      },
    ),
    { numRuns: 5000 },
  );
});

test('any JSON MUST decode to a customer with an id or to none, without an exception', () => {
  const field = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.jsonValue());
  const body = fc.oneof(
    fc.jsonValue(),
    fc.record(
      {
        id: field,
        customer_id: field,
        object_reference_id: field,
        first_name: field,
        date_created: field,
        last_updated: field,
        last_udpated: field,
        juspay: field,
        ['__proto__']: field,
      },
      { requiredKeys: [] },
    ),
  );
  fc.assert(
    fc.property(body, fc.boolean(), (json, withToken) => {
      const customer = decodeCustomer(json, withToken, () => undefined);
      if (customer === undefined) return;
      assert.ok(customer.id.length > 0);
      assert.equal('clientAuthToken' in customer, withToken);
      assert.ok(customer.dateCreated === null || !Number.isNaN(customer.dateCreated.getTime()));
      assert.equal(Object.getPrototypeOf(customer), Object.prototype);
    }),
    { numRuns: 5000 },
  );
});

for (const [text, iso] of [
  ['2020-03-17T14:13:37Z', '2020-03-17T14:13:37.000Z'],
  ['2016-08-02T08:07:52+0000', '2016-08-02T08:07:52.000Z'],
  ['2016-08-02T13:37:52+0530', '2016-08-02T08:07:52.000Z'],
  ['2023-12-15T15:26:03.084947Z', '2023-12-15T15:26:03.084Z'],
  ['2023-12-15T15:26:03.123456789012Z', '2023-12-15T15:26:03.123Z'],
  ['2023-12-15T15:26:03.1Z', '2023-12-15T15:26:03.100Z'],
  [`2023-12-15T15:26:03.${'9'.repeat(400)}+05:30`, '2023-12-15T09:56:03.999Z'],
  ['2023-12-15T15:26:03+05', '2023-12-15T10:26:03.000Z'],
  ['2023-12-15T15:26:03.5-0330', '2023-12-15T18:56:03.500Z'],
  ['2023-12-15t15:26:03z', '2023-12-15T15:26:03.000Z'],
  ['9999-12-31T23:59:59-12:00', '9999-12-31T23:59:59.999Z'],
  ['0000-01-01T00:00:00+12:00', '0000-01-01T00:00:00.000Z'],
  ['1969-07-20T20:17:40Z', '1969-07-20T20:17:40.000Z'],
  ['2023-12-15T15:26:03.Z', undefined],
  ['2023-12-15T15:26:03+5', undefined],
  ['2023-12-15T15:26:03', undefined],
  ['2023-99-15T15:26:03Z', undefined],
  ['2023-13-15T15:26:03Z', undefined],
  ['2023-02-30T15:26:03Z', undefined],
  ['yesterday', undefined],
] as const) {
  test(`the date ${text} MUST be decoded as ${iso ?? 'null, with a log entry'}`, () => {
    const odd: string[] = [];
    const customer = decodeCustomer({ id: 'cth_1', date_created: text }, false, (field) => odd.push(field));
    assert.equal(customer?.dateCreated?.toISOString(), iso);
    assert.deepEqual(odd, iso === undefined ? ['date_created'] : []);
  });
}

test('a token MUST be decoded for every precision and offset of its expiry', () => {
  for (const expiry of ['2030-01-01T00:00:00.000000000000Z', '2030-01-01T05:00:00+05']) {
    const juspay = { client_auth_token: 'tkn_1', client_auth_token_expiry: expiry };
    const customer = decodeCustomer({ id: 'cth_1', juspay }, true, () => undefined);
    assert.deepEqual(customer?.clientAuthToken, { token: 'tkn_1', expiresAt: new Date('2030-01-01T00:00:00Z') });
  }
});

for (const [name, body, expected] of [
  ['a number as id', '{"id":1234567}', ['1234567', null]],
  ['a number as customer_id', '{"customer_id":1234567,"id":null}', ['1234567', null]],
  ['both spellings of one id', '{"customer_id":1234567,"id":"1234567"}', ['1234567', null]],
  ['two ids', '{"customer_id":1234567,"id":"1234568"}', undefined],
  ['zero', '{"id":0}', ['0', null]],
  ['the largest exact number', '{"id":9007199254740991}', ['9007199254740991', null]],
  ['a rounded id', '{"id":1234567890123456789}', undefined],
  ['the first number that may be rounded', '{"id":9007199254740993}', undefined],
  ['a fraction', '{"id":1.5}', undefined],
  ['a boolean', '{"id":true}', undefined],
  ['a number as reference', '{"id":"cth_1","object_reference_id":12345678}', ['cth_1', '12345678']],
  ['a rounded fraction', '{"id":9007199254740991.4}', undefined],
  ['a number that is exact with its fraction', '{"id":1e3,"object_reference_id":12345678.0}', ['1000', '12345678']],
  ['a reference that is a rounded fraction', '{"id":"cth_1","object_reference_id":1.0000000000000000001}', undefined],
  ['a rounded reference', '{"id":"cth_1","object_reference_id":1234567890123456789}', undefined],
  ['the longest id', `{"id":"${'😀'.repeat(256)}"}`, ['😀'.repeat(256), null]],
  ['a longer id', `{"id":"${'😀'.repeat(257)}"}`, undefined],
  ['the longest reference', `{"id":"a","object_reference_id":"${'r'.repeat(256)}"}`, ['a', 'r'.repeat(256)]],
  ['a longer reference', `{"id":"a","object_reference_id":"${'r'.repeat(257)}"}`, undefined],
] as const) {
  test(`${name} MUST be decoded as ${expected === undefined ? 'no customer' : expected[0]}`, () => {
    const customer = decodeCustomer(parseExactJson(body), false, () => undefined);
    assert.deepEqual(customer && [customer.id, customer.objectReferenceId], expected);
  });
}

test('a rounded number in any field MUST be decoded as null, with a log entry, and an exact one as its digits', () => {
  const fields = ['first_name', 'last_name', 'email_address', 'mobile_number', 'mobile_country_code'];
  const decoded = (number: string) => {
    const unreadable: string[] = [];
    const text = `{"id":"cth_1",${fields.map((name) => `"${name}":${number}`).join()},"juspay":{"client_auth_token":${number},"client_auth_token_expiry":"2030-01-01T00:00:00Z"}}`;
    const customer = decodeCustomer(parseExactJson(text), true, (field) => unreadable.push(field));
    const { firstName, lastName, emailAddress, mobileNumber, mobileCountryCode, clientAuthToken } = customer ?? {};
    const token = clientAuthToken && 'token' in clientAuthToken ? clientAuthToken.token : undefined;
    return { values: [firstName, lastName, emailAddress, mobileNumber, mobileCountryCode, token], unreadable };
  };
  for (const number of ['12345678901234567890', '9007199254740993', '9007199254740991.4', '1.5', '1e400']) {
    const { values, unreadable } = decoded(number);
    assert.deepEqual(values, [null, null, null, null, null, undefined], number);
    assert.deepEqual(unreadable, [...fields, 'juspay'], number);
  }
  const digits = '9007199254740991';
  assert.deepEqual(decoded(digits), { values: Array(6).fill(digits), unreadable: [] });
});

test('a rounded id in a response MUST NOT match the requested id', () =>
  withScriptedProvider(
    () => ({ status: 200, body: '{"id":9007199254740991.4,"mobile_number":1.0000000000000000001}' }),
    async (harness, calls) => {
      const answer = await harness.ask('{ customer(id: "9007199254740991") { id mobileNumber } }');
      assert.deepEqual(codesOf(answer), { customer: 'UPSTREAM_MALFORMED' });
      assert.equal(calls.length, 2);
    },
  ));

test('a numeric id MUST match its digits, and a rounded id MUST match no request', () =>
  withScriptedProvider(
    ({ target }) => ({
      status: 200,
      body: `{"id":${target.split('/').at(-1)},"object_reference_id":null,"mobile_number":9000000001}`,
    }),
    async (harness, calls) => {
      const read = 'query ($id: ID!) { customer(id: $id) { id mobileNumber } }';
      const exact = await harness.ask(read, { id: '1234567' });
      assert.deepEqual(exact.data, { customer: { id: '1234567', mobileNumber: '9000000001' } });
      // The result of JSON.parse for 1234567890123456789.
      const rounded = await harness.ask(read, { id: '1234567890123456800' });
      assert.deepEqual(codesOf(rounded), { customer: 'UPSTREAM_MALFORMED' });
      assert.equal(calls.filter((call) => call === 'GET /customers/1234567890123456800').length, 2);
    },
  ));

test('a customer with an id of 1 MiB MUST be UPSTREAM_MALFORMED, and its create MUST be OUTCOME_UNKNOWN', () =>
  withScriptedProvider(
    ({ target }) => {
      const reference = target === '/customers' ? 'reference-1' : target.split('/').at(-1);
      return { status: 200, body: { id: 'x'.repeat(1_000_000), object_reference_id: reference } };
    },
    async (harness, calls) => {
      assert.deepEqual(codesOf(await harness.ask('{ customer(id: "a") { id } }')), { customer: 'UPSTREAM_MALFORMED' });
      assert.deepEqual(calls, ['GET /customers/a', 'GET /customers/a']);
      const aliases = Array.from({ length: 50 }, (_, n) => `a${n}: id`).join(' ');
      const created = await harness.ask(
        `mutation ($input: CreateCustomerInput!) {
          createCustomer(input: $input) {
            ... on CreateCustomerSuccess { customer { ${aliases} } }
            ... on CustomerError { code }
          }
        }`,
        { input: newCustomer('reference-1') },
      );
      assert.deepEqual(created.data, { createCustomer: { code: 'OUTCOME_UNKNOWN' } });
    },
    { OPERATION_TIMEOUT_MS: '3000' },
  ));
