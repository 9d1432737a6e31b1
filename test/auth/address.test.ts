import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressOf, canonicalAddress } from '../../src/auth/address.ts';
import { codesOf, jwtSettings, withHarness } from '../support.ts';

test('all spellings of an address MUST be counted as one', () => {
  const same: readonly (readonly [string, readonly string[]])[] = [
    ['203.0.113.7', ['203.0.113.7', ' 203.0.113.7 ', '203.0.113.7:1', '203.0.113.7:65535']],
    ['203.0.113.7', ['::ffff:203.0.113.7', '[::FFFF:203.0.113.7]:443', '0:0:0:0:0:ffff:cb00:7107', '::ffff:cb00:7107']],
    [
      '2001:db8:0:1::/64',
      ['2001:db8:0:1::1', '2001:DB8:0:1:a:b:c:d', '[2001:db8:0:1::2]', '[2001:0db8::0001:0:0:0:3]:8'],
    ],
    ['fe80:0:0:0::/64', ['fe80::1', 'fe80::1%eth0', '[FE80::2%25eth1]:80']],
    ['0:0:0:0::/64', ['::1', '::', '0:0:0:0:0:0:0:1']],
  ];
  for (const [expected, spellings] of same) {
    for (const spelling of spellings) assert.equal(canonicalAddress(spelling), expected, spelling);
  }
  assert.notEqual(canonicalAddress('2001:db8:0:1::1'), canonicalAddress('2001:db8:0:2::1'));
});

test('an invalid address MUST NOT create a key: the address of the socket MUST be counted', () => {
  for (const garbage of [
    'unknown',
    '_hidden',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.4:x',
    ':::',
    '[::1',
    'x'.repeat(10_000),
  ]) {
    assert.equal(canonicalAddress(garbage), undefined, garbage);
    assert.equal(addressOf('::ffff:10.0.0.2', garbage, 1), '10.0.0.2');
  }
  assert.equal(addressOf(undefined, undefined, 0), undefined);
});

test('without a proxy, the addresses of one IPv6 network MUST share a limit, and a mapped IPv4 address MUST count as IPv4', () =>
  withHarness(
    async (harness) => {
      const statusOf = async (clientAddress: string) => {
        const init = {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-forwarded-for': '203.0.113.99' },
          body: '{"query":"{ __typename }"}',
        };
        return (await harness.gateway.fetch(new Request('http://a/graphql', init), { clientAddress })).status;
      };
      const statuses: number[] = [];
      for (let n = 1; n <= 8; n += 1) statuses.push(await statusOf(`2001:db8::${n}`));
      assert.deepEqual(statuses, [200, 200, 200, 429, 429, 429, 429, 429]);
      assert.equal(await statusOf('2001:db8:0:1::1'), 200);
      for (const address of ['::ffff:203.0.113.7', '203.0.113.7', '::ffff:cb00:7107'])
        assert.equal(await statusOf(address), 200);
      assert.equal(await statusOf('203.0.113.7'), 429);
    },
    { RATE_LIMIT_PER_MINUTE: '3' },
  ));

test('refused credentials MUST count against the address, with 429 when its limit is exceeded', () =>
  withHarness(
    async (harness) => {
      const send = (address: string, headers: Record<string, string> = { authorization: 'Bearer x' }) =>
        harness.fetch({
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-forwarded-for': address, ...headers },
          body: '{"query":"{ customer(id: \\"u7\\") { id } }"}',
        });
      const spellings = ['2001:db8::1', '[2001:db8::2]:80', '2001:DB8::3', '2001:db8:0:0:f::'];
      const answers = [];
      for (const address of spellings) answers.push(await send(address));
      assert.deepEqual(
        answers.map(({ status }) => status),
        [401, 401, 401, 429],
      );
      const last = await send('2001:db8::5', {});
      assert.equal(last.status, 429);
      assert.match(last.headers.get('retry-after') ?? '', /^\d+$/);
      assert.deepEqual(codesOf(last), { '': 'RATE_LIMITED' });
      assert.equal((await send('2001:db8:1::1')).status, 401);
      assert.deepEqual(harness.upstream(), []);
    },
    { ...jwtSettings, RATE_LIMIT_PER_MINUTE: '3', TRUST_PROXY: '1' },
  ));
