import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isPathId } from '../../src/customer.ts';
import { customerPath, decodeCustomer, encodeForm } from '../../src/juspay/wire.ts';
import { codesOf, inWorld } from '../support.ts';

/** Ids that others have used to get out of a path. */
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

test('an id MUST land in exactly one segment of the path, whatever it holds', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary', maxLength: 140 }), fc.constantFrom(...hostileIds, ...impossibleIds)),
      (id) => {
        if (!isPathId(id)) return;
        const path = customerPath(id);
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

test('the provider MUST see each hostile id as it is, and none of the impossible ones', () =>
  inWorld(async (world) => {
    const read = 'query ($id: ID!) { customer(id: $id) { id } }';
    for (const id of hostileIds) {
      const answer = await world.ask(read, { id });
      assert.deepEqual(answer.data, { customer: null }, JSON.stringify(id));
      assert.equal(world.sandbox.calls.at(-1)?.pathId, id);
    }
    assert.equal(world.sandbox.calls.length, hostileIds.length);
    for (const id of impossibleIds) {
      assert.deepEqual(codesOf(await world.ask(read, { id })), { customer: 'BAD_USER_INPUT' }, JSON.stringify(id));
    }
    assert.equal(world.sandbox.calls.length, hostileIds.length);
  }, {}));

test('a form MUST decode to the fields that were given, and no others', () => {
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

test('whatever JSON comes back MUST be a customer with an id, or none; never an exception', () => {
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
  ['2023-13-15T15:26:03Z', undefined],
  ['2023-02-30T15:26:03Z', undefined],
  ['yesterday', undefined],
] as const) {
  test(`the date ${text} MUST read as ${iso ?? 'null, with a line in the log'}`, () => {
    const odd: string[] = [];
    const customer = decodeCustomer({ id: 'cth_1', date_created: text }, false, (field) => odd.push(field));
    assert.equal(customer?.dateCreated?.toISOString(), iso);
    assert.deepEqual(odd, iso === undefined ? ['date_created'] : []);
  });
}
