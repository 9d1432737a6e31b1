import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createAuthority, selfSigned, trust } from '../certificates.ts';
import {
  codesOf,
  createOperation,
  type Harness,
  newCustomer,
  nowhere,
  resultOf,
  updateOperation,
  withHarness,
} from '../support.ts';
import { type Behaviour, type ForwardProxy, withProxy, withTls } from '../tunnels.ts';

const authority = createAuthority();
trust(authority);
const certificate = authority.issue('DNS:provider.test,DNS:keys.test,IP:127.0.0.1');
const provider = { baseUrl: 'https://provider.test' };
const isPost = (received: string) => received.startsWith('POST');

/** Runs the gateway, a proxy, and the sandbox behind TLS. */
async function throughTunnel(
  run: (harness: Harness, proxy: ForwardProxy, received: readonly string[]) => Promise<void>,
  options: {
    environment?: Readonly<Record<string, string>>;
    behave?: (number: number) => Behaviour | undefined;
    passes?: (received: string) => boolean;
    certificate?: typeof certificate;
    proxyCertificate?: typeof certificate;
  } = {},
): Promise<void> {
  let sandboxPort = 0;
  const onward = { port: () => sandboxPort, ...(options.passes && { passes: options.passes }) };
  await withTls(options.certificate ?? certificate, onward, async (port, received) => {
    let number = 0;
    const behave = () => {
      number += 1;
      return options.behave?.(number) ?? { port };
    };
    const runWithProxy = async (proxy: ForwardProxy) => {
      const scheme = options.proxyCertificate ? 'https' : 'http';
      const environment = { HTTPS_PROXY: `${scheme}://user:p%40ss@${proxy.address}`, ...options.environment };
      await withHarness(
        async (harness) => {
          sandboxPort = Number(new URL(harness.sandbox.url).port);
          await run(harness, proxy, received);
          assert.ok(!/p@ss|p%40ss|dXNlcjpwQHNz/.test(harness.log.join('')));
        },
        environment,
        { provider },
      );
      await proxy.closed();
    };
    await withProxy(behave, runWithProxy, options.proxyCertificate);
  });
}

const credentials = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
const read = (harness: Harness, id = 'u7') =>
  harness.ask('query ($id: ID!) { customer(id: $id) { objectReferenceId } }', { id });

for (const [scheme, more] of [
  ['http', {}],
  ['https', { proxyCertificate: certificate }],
] as const) {
  test(`reads and writes MUST use tunnels of an ${scheme} proxy, and only the proxy MUST receive its credentials`, () =>
    throughTunnel(async (harness, proxy, received) => {
      assert.deepEqual((await read(harness)).data, { customer: { objectReferenceId: 'u7' } });
      const created = resultOf(
        await harness.ask(createOperation, { input: newCustomer('reference-1') }),
        'createCustomer',
      );
      assert.equal(created['__typename'], 'CreateCustomerSuccess');
      const input = { mobileNumber: '9000000078' };
      const updated = resultOf(await harness.ask(updateOperation, { id: 'u7', input }), 'updateCustomer');
      assert.equal(updated['__typename'], 'UpdateCustomerSuccess');
      assert.deepEqual(harness.upstream(), ['GET /customers/u7', 'POST /customers', 'POST /customers/u7']);
      assert.deepEqual([...new Set(proxy.requested)], [`provider.test:443 ${credentials}`]);
      assert.ok(!/proxy-/i.test(received.join('')));
      assert.equal(harness.log.filter((line) => line.includes('"setting":"HTTPS_PROXY"')).length, 1);
    }, more));
}

test('the number of tunnels MUST NOT exceed JUSPAY_CONNECTIONS', () =>
  throughTunnel(
    async (harness, proxy) => {
      const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => read(harness, `unknown-${n}`)));
      for (const answer of answers) assert.deepEqual(answer.data, { customer: null });
      assert.equal(harness.upstream().length, 12);
      assert.equal(proxy.requested.length, 2);
    },
    { environment: { JUSPAY_CONNECTIONS: '2' } },
  ));

test('a connection that is reset in the tunnel after a write was sent MUST be an ambiguous outcome', () =>
  throughTunnel(
    async (harness, _proxy, received) => {
      const created = await harness.ask(createOperation, { input: newCustomer('reference-1') });
      assert.equal(resultOf(created, 'createCustomer')['code'], 'OUTCOME_UNKNOWN');
      assert.ok(received.filter(isPost).length >= 1);
    },
    { passes: (text) => !isPost(text), environment: { OPERATION_TIMEOUT_MS: '3000' } },
  ));

test('a write whose tunnel cannot be opened MUST be sent through the next tunnel', () =>
  throughTunnel(
    async (harness, proxy) => {
      const created = await harness.ask(createOperation, { input: newCustomer('reference-1') });
      assert.equal(resultOf(created, 'createCustomer')['origin'], 'CREATED');
      assert.deepEqual(harness.upstream(), ['POST /customers']);
      assert.equal(proxy.requested.length, 3);
    },
    { behave: (number) => ([{ status: 502 }, 'close'] as const)[number - 1] },
  ));

for (const [behaviour, code, tunnels] of [
  [{ status: 401 }, 'UPSTREAM_MISCONFIGURED', 2],
  [{ status: 403 }, 'UPSTREAM_MISCONFIGURED', 2],
  [{ status: 407 }, 'UPSTREAM_MISCONFIGURED', 2],
  [{ status: 404 }, 'UPSTREAM_UNAVAILABLE', 6],
  [{ status: 502 }, 'UPSTREAM_UNAVAILABLE', 6],
  ['close', 'UPSTREAM_UNAVAILABLE', 6],
] as const) {
  test(`a proxy with the behaviour ${JSON.stringify(behaviour)} MUST be ${code}, and a write MUST NOT be sent`, () =>
    throughTunnel(
      async (harness, proxy) => {
        assert.deepEqual(codesOf(await read(harness)), { customer: code });
        const created = await harness.ask(createOperation, { input: newCustomer('reference-1') });
        assert.equal(resultOf(created, 'createCustomer')['code'], code);
        assert.equal(proxy.requested.length, tunnels);
        assert.deepEqual(harness.upstream(), []);
      },
      { behave: () => behaviour },
    ));
}

test('a proxy that does not respond MUST be UPSTREAM_TIMEOUT, a write MUST NOT be sent, and the connections MUST be closed', () =>
  throughTunnel(
    async (harness, proxy) => {
      assert.deepEqual(codesOf(await read(harness)), { customer: 'UPSTREAM_TIMEOUT' });
      const created = await harness.ask(createOperation, { input: newCustomer('reference-1') });
      assert.equal(resultOf(created, 'createCustomer')['code'], 'UPSTREAM_TIMEOUT');
      assert.ok(proxy.requested.length >= 2);
      await proxy.closed();
    },
    { behave: () => 'hang', environment: { JUSPAY_TIMEOUT_MS: '200', OPERATION_TIMEOUT_MS: '2000' } },
  ));

test('a tunnel that is being opened MUST be closed with the gateway', async () => {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  await throughTunnel(
    async (harness) => {
      const answer = read(harness).catch(() => undefined);
      await asked;
      await harness.gateway.dispose();
      await answer;
    },
    {
      behave() {
        resolve();
        return 'hang';
      },
      environment: { JUSPAY_TIMEOUT_MS: '600000', OPERATION_TIMEOUT_MS: '2000' },
    },
  );
});

test('an unreachable proxy MUST be UPSTREAM_UNAVAILABLE, and a write MUST NOT be sent', async () => {
  await withHarness(
    async (harness) => {
      assert.deepEqual(codesOf(await read(harness)), { customer: 'UPSTREAM_UNAVAILABLE' });
      const created = await harness.ask(createOperation, { input: newCustomer('reference-1') });
      assert.equal(resultOf(created, 'createCustomer')['code'], 'UPSTREAM_UNAVAILABLE');
    },
    { HTTPS_PROXY: nowhere },
    { provider },
  );
});

for (const [name, more] of [
  ['the provider in the tunnel that is self-signed', { certificate: selfSigned() }],
  ['the provider in the tunnel of another host', { certificate: authority.issue('DNS:elsewhere.test') }],
  ['the provider in the tunnel that is expired', { certificate: authority.issue('DNS:provider.test', 'expired') }],
  ['the proxy that is self-signed', { proxyCertificate: selfSigned() }],
  ['the proxy of another host', { proxyCertificate: authority.issue('DNS:elsewhere.test') }],
] as const) {
  test(`a certificate of ${name} MUST be UPSTREAM_MISCONFIGURED, and a write MUST NOT be sent`, () =>
    throughTunnel(async (harness, proxy) => {
      assert.deepEqual(codesOf(await read(harness)), { customer: 'UPSTREAM_MISCONFIGURED' });
      const created = await harness.ask(createOperation, { input: newCustomer('reference-1') });
      assert.equal(resultOf(created, 'createCustomer')['code'], 'UPSTREAM_MISCONFIGURED');
      assert.equal(proxy.requested.length, 'certificate' in more ? 2 : 0);
      assert.deepEqual(harness.upstream(), []);
    }, more));
}

test('the key set MUST be fetched through the proxy', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = createServer((_request, response) => {
    response.end(JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { iss: 'i', aud: 'a', sub: 's', exp: Math.floor(Date.now() / 1000) + 600, scope: 'customer:read' };
  const input = `${encode({ alg: 'ES256', kid: 'k' })}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const behind = { port: () => (server.address() as AddressInfo).port };
  try {
    await withTls(certificate, behind, (port, received) =>
      withProxy(
        () => ({ port }),
        async (proxy) => {
          await withHarness(
            async (harness) => {
              const answer = await harness.fetch({
                method: 'POST',
                headers: {
                  'content-type': 'application/json',
                  authorization: `Bearer ${input}.${signature.toString('base64url')}`,
                },
                body: JSON.stringify({ query: '{ __typename }' }),
              });
              assert.equal(answer.status, 200);
              assert.deepEqual(proxy.requested, [`keys.test:443 ${credentials}`]);
              assert.ok(received.join('').startsWith('GET /jwks ') && !/proxy-/i.test(received.join('')));
              await proxy.closed();
            },
            {
              HTTPS_PROXY: `http://user:p%40ss@${proxy.address}`,
              AUTH_MODE: 'jwt',
              AUTH_JWKS_URL: 'https://keys.test/jwks',
              AUTH_JWT_ISSUER: 'i',
              AUTH_JWT_AUDIENCE: 'a',
            },
          );
        },
      ),
    );
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
