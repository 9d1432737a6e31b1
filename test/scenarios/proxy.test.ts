import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configText } from '../../src/cli/help.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createGateway } from '../../src/index.ts';
import type { GatewayOptions } from '../../src/library/options.ts';
import { codesOf, withHarness } from '../support.ts';
import { withProxy } from '../tunnels.ts';

const provider = { provider: { baseUrl: 'https://127.0.0.1:1' } };
const refusing = () => ({ status: 502 });

for (const [exception, tunnels] of [
  ['127.0.0.1', 0],
  ['127.0.0.0/8', 0],
  ['*', 0],
  ['other.example, 127.0.0.1:1', 0],
  ['127.0.0.1:443', 3],
] as const) {
  test(`with NO_PROXY=${exception} a read MUST request ${tunnels} tunnels`, () =>
    withProxy(refusing, (proxy) =>
      withHarness(
        async (harness) => {
          const read = await harness.ask('{ customer(id: "a") { id } }');
          assert.deepEqual(codesOf(read), { customer: 'UPSTREAM_UNAVAILABLE' });
          assert.equal(proxy.requested.length, tunnels);
        },
        { HTTPS_PROXY: proxy.address, NO_PROXY: exception },
        provider,
      ),
    ));
}

test('a local provider over plain http MUST be called directly', () =>
  withProxy(refusing, (proxy) =>
    withHarness(
      async (harness) => {
        assert.deepEqual((await harness.ask('{ customer(id: "u7") { objectReferenceId } }')).data, {
          customer: { objectReferenceId: 'u7' },
        });
        assert.deepEqual(proxy.requested, []);
      },
      { HTTPS_PROXY: proxy.address, HTTP_PROXY: proxy.address },
    ),
  ));

test('lower-case names MUST take precedence, and HTTP_PROXY MUST be used if HTTPS_PROXY is unset', () => {
  const named = (environment: Record<string, string>) => loadConfig(environment).proxies;
  const urlOf = (environment: Record<string, string>) => named(environment).url?.reveal();
  assert.equal(urlOf({ HTTPS_PROXY: 'http://upper:1', https_proxy: 'http://lower:1' }), 'http://lower:1');
  assert.equal(urlOf({ HTTPS_PROXY: 'http://upper:1', https_proxy: '' }), 'http://upper:1');
  assert.equal(urlOf({ HTTPS_PROXY: 'http://secure:1', HTTP_PROXY: 'http://plain:1' }), 'http://secure:1');
  assert.equal(urlOf({ http_proxy: 'plain:1' }), 'http://plain:1');
  assert.equal(urlOf({ HTTPS_PROXY: '' }), undefined);
  const { exceptions } = named({ NO_PROXY: 'upper', no_proxy: ' one ,, two\tthree' });
  assert.deepEqual(exceptions, ['one', 'two', 'three']);
});

test('credentials of a proxy MUST NOT be printed, neither with the settings nor in an error', () => {
  const environment = { https_proxy: 'http://user:pa55@proxy.example:3128', NO_PROXY: 'localhost' };
  const text = configText(loadConfig(environment), environment).join('\n');
  assert.match(text, /^HTTPS_PROXY=\[secret\] {2}\(environment\)$/m);
  assert.match(text, /^HTTP_PROXY=not used {2}\(default\)$/m);
  assert.match(text, /^NO_PROXY=localhost {2}\(environment\)$/m);
  assert.ok(!text.includes('pa55'));
  for (const url of ['socks5://user:pa55@proxy.example', 'http://user:pa55@', 'ftp://pa55']) {
    assert.throws(
      () => loadConfig({ HTTPS_PROXY: url }),
      (error: Error) => /^HTTPS_PROXY must be/.test(error.message) && !error.message.includes('pa55'),
    );
  }
});

const juspay = { apiKey: 'key', merchantId: 'merchant', baseUrl: 'https://provider.test' };
for (const [name, optionsFor] of [
  ['its environment', (address: string): GatewayOptions => ({ environment: { https_proxy: address } })],
  [
    'its options, which take precedence over the environment',
    (address: string): GatewayOptions => ({
      environment: { https_proxy: 'http://127.0.0.1:1', NO_PROXY: '*' },
      proxy: { httpsUrl: `http://${address}`, exceptions: ['other.example'] },
    }),
  ],
] as const) {
  test(`a mounted gateway MUST use the proxy of ${name}`, () =>
    withProxy(
      () => ({ status: 407 }),
      async (proxy) => {
        const gateway = createGateway({
          juspay,
          auth: { mode: 'none' },
          logLevel: 'silent',
          ...optionsFor(proxy.address),
        });
        try {
          const response = await gateway.fetch(
            new Request('http://gateway.test/graphql', {
              method: 'POST',
              headers: { 'content-type': 'application/json' },
              body: JSON.stringify({ query: '{ customer(id: "a") { id } }' }),
            }),
          );
          assert.match(await response.text(), /UPSTREAM_MISCONFIGURED/);
          assert.deepEqual(proxy.requested, ['provider.test:443']);
        } finally {
          await gateway.dispose();
        }
      },
    ));
}
