import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, type TestContext, test } from 'node:test';
import { startSandbox } from '../../src/sandbox/server.ts';
import { type Certificate, createAuthority, selfSigned } from '../certificates.ts';
import { type Behaviour, withProxy, withTls } from '../tunnels.ts';
import { diagnose, type Expected, expectFindings } from './doctor.ts';

const sandbox = await startSandbox({ apiKey: 'canary-key', merchantId: 'canary-merchant' });
beforeEach(() => sandbox.reset());

const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
after(async () => {
  rmSync(folder, { recursive: true });
  await sandbox.close();
});
const authority = createAuthority();
const authorityFile = join(folder, 'authority.pem');
writeFileSync(authorityFile, authority.cert, { mode: 0o600 });
const trusted = { NODE_EXTRA_CA_CERTS: authorityFile };

const credentials = { JUSPAY_API_KEY: 'canary-key', JUSPAY_MERCHANT_ID: 'canary-merchant', AUTH_MODE: 'none' };
/** Some faults are found by their silence only. */
const shortTimeout = { JUSPAY_TIMEOUT_MS: '1500' };

const targets = () => sandbox.calls.map(({ method, target }) => `${method} ${target}`);
const plainRead = 'GET /customers/customer-gateway-doctor';

/** A server that handles each connection with `behave`. */
async function listen(context: TestContext, behave: (socket: Socket) => unknown): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createTcpServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    behave(socket);
  });
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const good = authority.issue('DNS:localhost,DNS:provider.test');

const certificates: readonly [what: string, Certificate, Record<string, string>, ...Expected[]][] = [
  ['a valid certificate', good, trusted],
  [
    'a valid certificate of an unknown authority',
    good,
    {},
    ['tls', 'problem', /authority that Node does not trust \(UNABLE_TO_\w+\): set NODE_EXTRA_CA_CERTS/],
  ],
  [
    'a self-signed certificate',
    selfSigned('-addext', 'subjectAltName=DNS:localhost'),
    {},
    ['tls', 'problem', /does not trust \(DEPTH_ZERO_SELF_SIGNED_CERT\)/],
  ],
  [
    'an expired certificate',
    authority.issue('DNS:localhost', 'expired'),
    trusted,
    ['tls', 'problem', /has expired: renew it, or correct the clock/],
  ],
  [
    'a certificate of another host',
    authority.issue('DNS:canary.test'),
    trusted,
    ['tls', 'problem', /is for another host: correct the host name/],
  ],
];

for (const [what, certificate, environment, ...expected] of certificates) {
  test(`doctor MUST report ${expected.length === 0 ? 'nothing' : 'tls'} for ${what}, and call through an accepted one only`, () =>
    withTls(certificate, { port: () => sandbox.port }, async (port) => {
      const findings = await expectFindings(
        { ...credentials, ...environment, JUSPAY_BASE_URL: `https://localhost:${port}` },
        ...expected,
      );
      const isGood = expected.length === 0;
      assert.equal(
        findings.some(({ check, status }) => check === 'tls' && status === 'ok'),
        isGood,
      );
      assert.deepEqual(targets(), isGood ? [plainRead] : []);
    }));
}

test('doctor MUST report an invalid certificate even if NODE_TLS_REJECT_UNAUTHORIZED is 0', () =>
  withTls(good, { port: () => sandbox.port }, async (port) => {
    await expectFindings(
      { ...credentials, NODE_TLS_REJECT_UNAUTHORIZED: '0', JUSPAY_BASE_URL: `https://localhost:${port}` },
      ['tls', 'warning', /disables certificate checks: remove it/],
      ['tls', 'problem', /does not trust/],
    );
    assert.deepEqual(targets(), []);
  }));

for (const [what, behave, message] of [
  ['plain HTTP', (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), /does not speak TLS/],
  ['a closed connection', (socket: Socket) => socket.once('data', () => socket.destroy()), /does not finish \(ECONN/],
  ['silence', () => undefined, /does not finish \(ETIMEDOUT\)/],
] as const) {
  test(`doctor MUST report tls for a port that answers the handshake with ${what}`, async (context) => {
    const port = await listen(context, behave);
    await expectFindings({ ...credentials, ...shortTimeout, JUSPAY_BASE_URL: `https://localhost:${port}` }, [
      'tls',
      'problem',
      message,
    ]);
  });
}

const proxies: readonly [what: string, Behaviour, ...Expected[]][] = [
  ['rejects the credentials', { status: 407 }, ['proxy', 'problem', /rejects the credentials \(407\)/]],
  ['denies the host', { status: 403 }, ['proxy', 'problem', /\(403\): allow the host in the proxy, or list it in NO_/]],
  ['cannot reach the host', { status: 502 }, ['proxy', 'problem', /\(502\)/]],
  ['does not answer', 'hang', ['proxy', 'problem', /does not answer CONNECT \(ETIMEDOUT\)/]],
  ['closes the connection', 'close', ['proxy', 'problem', /does not answer CONNECT \(ECONNRESET\)/]],
];

for (const [what, behaviour, ...expected] of proxies) {
  test(`doctor MUST report proxy for a proxy that ${what}`, () =>
    withProxy(
      () => behaviour,
      async ({ address, requested }) => {
        const environment = { HTTPS_PROXY: `http://canary-user:canary-password@${address}` };
        const base = { JUSPAY_BASE_URL: 'https://provider.test' };
        await expectFindings({ ...credentials, ...shortTimeout, ...base, ...environment }, ...expected);
        const sent = Buffer.from('canary-user:canary-password').toString('base64');
        assert.deepEqual(requested, [`provider.test:443 Basic ${sent}`]);
      },
    ));
}

test('doctor MUST check certificate and key through a proxy, and name the proxy in advice about the allow-list', () =>
  withTls(good, { port: () => sandbox.port }, (port) =>
    withProxy(
      () => ({ port }),
      async ({ address, requested }) => {
        const environment = { ...credentials, ...trusted, JUSPAY_BASE_URL: 'https://provider.test' };
        const { exit, findings } = await diagnose({ ...environment, HTTP_PROXY: `http://${address}` });
        assert.equal(exit, 0);
        assert.deepEqual(
          findings.slice(-6).map(({ check, setting }) => `${check} ${setting}`),
          [
            'proxy HTTP_PROXY',
            'tls JUSPAY_BASE_URL',
            'key JUSPAY_API_KEY',
            'merchant JUSPAY_MERCHANT_ID',
            'ip-allow-list JUSPAY_MERCHANT_ID',
            'clock JUSPAY_BASE_URL',
          ],
        );
        sandbox.arm({ fault: 'bad_origin' });
        await expectFindings({ ...environment, https_proxy: address }, [
          'ip-allow-list',
          'problem',
          /outbound IP address of the proxy/,
        ]);
        assert.deepEqual(targets(), [plainRead, plainRead]);
        assert.deepEqual(new Set(requested), new Set(['provider.test:443']));
      },
    ),
  ));

test('doctor MUST report proxy for a closed port, a name without an address and an unknown certificate', async (context) => {
  const base = { ...credentials, ...shortTimeout, JUSPAY_BASE_URL: 'https://provider.test' };
  await expectFindings({ ...base, HTTPS_PROXY: 'http://127.0.0.1:9' }, [
    'proxy',
    'problem',
    /Nothing listens at the host and port of HTTPS_PROXY/,
  ]);
  await expectFindings({ ...base, HTTPS_PROXY: 'canary.invalid:3128' }, ['proxy', 'problem', /host of HTTPS_PROXY/]);
  const port = await listen(context, (socket) => socket.end('SSH-2.0-canary\r\n'));
  await expectFindings({ ...base, HTTPS_PROXY: `127.0.0.1:${port}` }, ['proxy', 'problem', /does not answer CONNECT/]);
  await withProxy(
    () => 'close',
    async ({ address, requested }) => {
      await expectFindings({ ...base, HTTPS_PROXY: `https://${address}` }, [
        'proxy',
        'problem',
        /certificate of HTTPS_PROXY is from an authority that Node does not trust/,
      ]);
      assert.deepEqual(requested, []);
    },
    authority.issue('IP:127.0.0.1'),
  );
});

test('doctor MUST check each key of MERCHANTS_FILE: one accepted key of two is enough', async () => {
  const path = join(folder, 'merchants.json');
  const write = (merchants: object) => writeFileSync(path, JSON.stringify(merchants), { mode: 0o600 });
  const environment = { MERCHANTS_FILE: path, AUTH_MODE: 'jwt', AUTH_JWT_SECRET: 'x'.repeat(40) };
  const jwt = { AUTH_JWT_ISSUER: 'canary-issuer', AUTH_JWT_AUDIENCE: 'canary-audience' };
  const baseUrl = sandbox.url;
  write({
    'canary-a': { apiKey: ['canary-new', 'canary-key'], baseUrl },
    'canary-b': { apiKey: ['canary-key', 'canary-old'], baseUrl },
  });
  await expectFindings(
    { ...environment, ...jwt },
    ['key', 'warning', /rejects the key in MERCHANTS_FILE \(entry 1\) \(401\)/],
    ['key', 'warning', /rejects the older key in MERCHANTS_FILE \(entry 2\) \(401\)/],
  );
  assert.deepEqual(targets(), Array(4).fill(plainRead));
  write({
    'canary-a': { apiKey: ['canary-new', 'canary-old'], baseUrl },
    'canary-b': { apiKey: 'canary-key', baseUrl },
  });
  await expectFindings(
    { ...environment, ...jwt },
    ['key', 'problem', /rejects the key in MERCHANTS_FILE \(entry 1\)/],
    ['key', 'problem', /rejects the older key in MERCHANTS_FILE \(entry 1\)/],
  );
});
