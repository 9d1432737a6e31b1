import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { after, beforeEach, test } from 'node:test';
import { type FaultName, faults } from '../../src/sandbox/faults.ts';
import { startSandbox } from '../../src/sandbox/server.ts';
import { start } from '../program.ts';
import { nowhere } from '../support.ts';
import { diagnose, type Expected, expectFindings } from './doctor.ts';

const sandbox = await startSandbox({ apiKey: 'canary-key', merchantId: 'canary-merchant' });
beforeEach(() => sandbox.reset());
after(() => sandbox.close());

const credentials = { JUSPAY_API_KEY: 'canary-key', JUSPAY_MERCHANT_ID: 'canary-merchant', AUTH_MODE: 'none' };
const real = { ...credentials, JUSPAY_BASE_URL: sandbox.url };

/** Asserts that the sandbox saw plain reads of the unknown customer only, and that nothing changed. */
function expectReads(count: number): void {
  const seeded = [...sandbox.customers];
  assert.deepEqual(
    sandbox.calls.map(({ method, target }) => `${method} ${target}`),
    Array(count).fill('GET /customers/customer-gateway-doctor'),
  );
  sandbox.reset();
  assert.deepEqual([...sandbox.customers], seeded);
}

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('doctor MUST find nothing wrong with a provider that answers, and send one plain read', async () => {
  const { exit, findings } = await diagnose({ ...real, JUSPAY_VERSION: '2024-05-01' });
  assert.deepEqual(
    findings.map(({ check, status }) => `${check} ${status}`),
    ['node ok', 'settings ok', 'tcp ok', 'key ok', 'merchant ok', 'ip-allow-list ok', 'clock ok'],
  );
  assert.equal(exit, 0);
  const [call] = sandbox.calls;
  assert.equal(call?.headers['authorization'], `Basic ${Buffer.from('canary-key:').toString('base64')}`);
  assert.equal(call?.headers['x-merchantid'], 'canary-merchant');
  assert.equal(call?.headers['version'], '2024-05-01');
  assert.equal(call?.headers['x-routing-id'], 'customer-gateway-doctor');
  expectReads(1);
});

/** Every fault that a read of an unknown customer can meet. */
const meanings: readonly [fault: FaultName, ...Expected][] = [
  ['unauthorized', 'key', 'problem', /rejects JUSPAY_API_KEY \(401\): set an active key/],
  ['bad_origin', 'ip-allow-list', 'problem', /403 BAD_ORIGIN.*outbound IP address of this machine/],
  ['bad_origin_old', 'ip-allow-list', 'problem', /403 BAD_ORIGIN/],
  ['forbidden', 'key', 'problem', /403, but not because of its IP allow-list: set JUSPAY_API_KEY completely/],
  ['wrong_route', 'address', 'problem', /JUSPAY_BASE_URL is not the address of the customer API \(status 404\)/],
  ['redirect', 'address', 'problem', /status 302/],
  ['html', 'address', 'problem', /status 200/],
  ['empty', 'address', 'problem', /status 200/],
  ['array', 'address', 'problem', /status 200/],
  ['merchant', 'merchant', 'problem', /does not know JUSPAY_MERCHANT_ID \(400\)/],
  ['invalid', 'provider', 'problem', /rejects a plain read \(400\): check JUSPAY_VERSION/],
  ['rejected', 'provider', 'problem', /rejects a plain read \(400\)/],
  ['error_in_200', 'provider', 'problem', /rejects a plain read \(200\)/],
  ['429', 'provider', 'warning', /limits calls at the moment \(429\)/],
  ['408', 'provider', 'problem', /fails at the moment \(408\)/],
  ['500', 'provider', 'problem', /fails at the moment \(500\)/],
  ['502', 'provider', 'problem', /fails at the moment \(502\)/],
  ['503', 'provider', 'problem', /fails at the moment \(503\)/],
  ['timeout', 'provider', 'problem', /does not answer within 1500 ms.*raise JUSPAY_TIMEOUT_MS/],
  ['hang_body', 'provider', 'problem', /does not answer within 1500 ms/],
  ['drip', 'provider', 'problem', /does not answer within 1500 ms/],
  ['reset', 'provider', 'problem', /connection ends before the response of JUSPAY_BASE_URL is complete \(ECONNRESET\)/],
  ['close', 'provider', 'problem', /connection ends before/],
  ['truncated', 'provider', 'problem', /connection ends before/],
];

for (const [fault, check, status, message] of meanings) {
  test(`doctor MUST report ${check} for the fault ${fault} (${faults[fault].meaning}), with one plain read`, async () => {
    sandbox.arm({ fault, times: 9 });
    const timeout = /1500 ms/.test(message.source) ? { JUSPAY_TIMEOUT_MS: '1500' } : {};
    await expectFindings({ ...real, ...timeout }, [check, status, message]);
    expectReads(1);
  });
}

for (const fault of ['not_found', 'not_found_in_200', 'camel_case', 'error_info_text'] as const) {
  test(`doctor MUST take the fault ${fault} (${faults[fault].meaning}) for accepted credentials`, async () => {
    sandbox.arm({ fault });
    await expectFindings(real);
    expectReads(1);
  });
}

test('doctor MUST report the key that a provider rejects, and the base URL with a wrong path', async () => {
  const another = { ...real, JUSPAY_API_KEY: 'canary-another' };
  await expectFindings(another, ['key', 'problem', /401/]);
  expectReads(1);
  await expectFindings({ ...real, JUSPAY_BASE_URL: `${sandbox.url}/canary` }, ['address', 'problem', /404/]);
  assert.deepEqual(
    sandbox.calls.map(({ method, target }) => `${method} ${target}`),
    ['GET /canary/customers/customer-gateway-doctor'],
  );
});

test('doctor MUST report a closed port, a name without an address and a server without HTTP', async (context) => {
  await expectFindings({ ...real, JUSPAY_BASE_URL: nowhere }, ['tcp', 'problem', /Nothing listens.*ECONNREFUSED/]);
  await expectFindings({ ...real, JUSPAY_BASE_URL: 'https://canary.invalid' }, [
    'name-resolution',
    'problem',
    /host of JUSPAY_BASE_URL/,
  ]);
  const other = createTcpServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-canary\r\n'));
  context.after(() => other.close());
  await expectFindings({ ...real, JUSPAY_BASE_URL: await listen(other) }, [
    'address',
    'problem',
    /does not answer with HTTP \(HPE_/,
  ]);
  expectReads(0);
});

for (const [what, offsetS, status, message] of [
  ['agrees', 0, 'ok', /agrees/],
  ['is 15 s ahead', -15, 'warning', /1[345] s ahead of the server of JUSPAY_BASE_URL: synchronize it \(NTP\)/],
  ['is 15 s behind', 15, 'warning', /1[345] s behind/],
  ['is an hour ahead', -3600, 'problem', /3[56]\d\d s ahead/],
  ['is an hour behind', 3600, 'problem', /3[56]\d\d s behind/],
] as const) {
  test(`doctor MUST compare the clock with the Date header: a clock that ${what} is ${status}`, async (context) => {
    const server = createServer((_request, response) => {
      response
        .writeHead(404, { date: new Date(Date.now() + offsetS * 1000).toUTCString() })
        .end('{"error_code":"object_not_found"}');
    });
    context.after(() => server.close());
    const { findings } = await diagnose({ ...real, JUSPAY_BASE_URL: await listen(server) });
    assert.deepEqual(findings.map(({ check, status: found }) => `${check} ${found}`).slice(-2), [
      'ip-allow-list ok',
      `clock ${status}`,
    ]);
    assert.match(findings.at(-1)?.message ?? '', message);
  });
}

test('doctor MUST report every problem of the settings by name, and connect to nothing', async () => {
  await expectFindings(
    { ...real, PORT: 'canary', LIMIT_DEPHT: 'canary', AUTH_MODE: 'api-key', AUTH_API_KEYS_FILE: '/nowhere/canary' },
    ['files', 'problem', /AUTH_API_KEYS_FILE names a file that does not exist/],
    ['settings', 'problem', /LIMIT_DEPHT is not a setting. Did you mean LIMIT_DEPTH/],
    ['settings', 'problem', /PORT must be/],
  );
  expectReads(0);
});

test('doctor MUST say that the embedded sandbox is used without credentials', async () => {
  const { exit, findings } = await diagnose({});
  assert.equal(exit, 0);
  assert.match(findings.at(-1)?.message ?? '', /embedded sandbox/);
});

test('doctor MUST warn of a Node without long-term support, and of disabled certificate checks', async () => {
  const source = "Object.defineProperty(process.versions, 'node', { value: '25.1.0' });";
  await expectFindings({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(source)}` }, [
    'node',
    'warning',
    /Node 25\.1\.0 has no long-term support: install Node 24/,
  ]);
  await expectFindings({ NODE_TLS_REJECT_UNAUTHORIZED: '0' }, ['tls', 'warning', /remove it/]);
});

test('doctor without --json MUST print a line for each finding and the numbers of problems and warnings', async () => {
  sandbox.arm({ fault: 'unauthorized' });
  const run = start(['doctor'], { ...real, REDIS_URL: 'redis://canary.invalid' });
  assert.equal(await run.exit, 1);
  assert.match(run.output(), /^ok {7}tcp {14}The host of JUSPAY_BASE_URL accepts connections\.$/m);
  assert.match(run.output(), /^problem {2}key {14}The provider rejects JUSPAY_API_KEY \(401\)/m);
  assert.match(run.output(), /^problem {2}redis {12}Redis at REDIS_URL does not answer/m);
  assert.match(run.output(), /^Problems: 2\. Warnings: 0\.\n$/m);
  assert.doesNotMatch(run.output(), /canary/);
});

test('doctor MUST refuse other options with the exit code of wrong usage, and --help MUST name its exit codes', async () => {
  const runs = [['--yaml'], ['--json', 'x'], ['x']].map((options) => start(['doctor', ...options]));
  for (const run of runs) {
    assert.equal(await run.exit, 2);
    assert.match(run.output(), /--json/);
  }
  const help = start(['--help']);
  await help.exit;
  assert.match(help.output(), /^ {2}doctor {3}/m);
  assert.match(help.output(), /Exit codes of doctor: 0/);
});
