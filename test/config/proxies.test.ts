import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyOf } from '../../src/config/proxies.ts';

const url = { reveal: () => 'http://user:secret@proxy.example:3128' };
const isProxied = (address: string, noProxy: string) =>
  proxyOf(address, { url, exceptions: noProxy.split(',').filter(Boolean) }) !== undefined;

const name = 'https://api.provider.test';
for (const [noProxy, address, proxied] of [
  ['', name, true],
  ['*', name, false],
  ['*:443', name, false],
  ['*:8443', name, true],
  ['api.provider.test', name, false],
  ['API.Provider.TEST', name, false],
  ['api.provider.test.', name, false],
  ['api.provider.test', 'https://api.provider.test.', false],
  ['api.provider.test:443', name, false],
  ['api.provider.test:8443', name, true],
  ['api.provider.test:8443', `${name}:8443`, false],
  ['api.provider.test', `${name}:8443`, false],
  ['provider.test', name, false],
  ['.provider.test', name, false],
  ['.provider.test', 'https://provider.test', false],
  ['*.provider.test', name, false],
  ['*.provider.test', 'https://provider.test', true],
  ['provider.test:443', name, false],
  ['vider.test', name, true],
  ['other.api.provider.test', name, true],
  ['test', name, false],
  ['other.example,.provider.test', name, false],
  ['bücher.example', 'https://xn--bcher-kva.example', false],
  ['10.1.2.3', 'https://10.1.2.3', false],
  ['10.1.2.3:8443', 'https://10.1.2.3', true],
  ['1.2.3', 'https://10.1.2.3', true],
  ['2.3', 'https://10.1.2.3', true],
  ['10.0.0.0/8', 'https://10.1.2.3', false],
  ['10.0.0.0/8:8443', 'https://10.1.2.3', true],
  ['10.0.0.0/8', 'https://11.1.2.3', true],
  ['10.0.0.0/8', name, true],
  ['10.0.0.0/99', 'https://10.1.2.3', true],
  ['::1', 'https://[::1]', false],
  ['[::1]', 'https://[::1]', false],
  ['[::1]:443', 'https://[::1]', false],
  ['[::1]:8443', 'https://[::1]', true],
  ['0:0:0:0:0:0:0:1', 'https://[::1]', false],
  ['FD00::1', 'https://[fd00::1]', false],
  ['fd00::/8', 'https://[fd12::1]', false],
  ['fd00::/8', 'https://[fe12::1]', true],
  ['localhost', 'https://localhost:8443', false],
  ['http://%', name, true],
  ['.', name, true],
] as const) {
  test(`with NO_PROXY=${noProxy} ${address} MUST ${proxied ? 'have a proxy' : 'be called directly'}`, () =>
    assert.equal(isProxied(address, noProxy), proxied));
}

test('http URLs, which are allowed for loopback hosts only, MUST NOT use a proxy', () => {
  assert.equal(isProxied('http://127.0.0.1:4010', ''), false);
  assert.equal(isProxied('http://localhost:4010', ''), false);
});
