import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import { startRedis } from '../redis.ts';
import { type Expected, expectFindings, expectNoValues } from './doctor.ts';

const jwt = { AUTH_MODE: 'jwt', AUTH_JWT_ISSUER: 'canary-issuer', AUTH_JWT_AUDIENCE: 'canary-audience' };
const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const keySet = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'canary', use: 'sig' }] });
const symmetric = '{"keys":[{"kty":"oct","k":"canary"}]}';

const keySets: readonly [what: string, RequestListener, ...Expected[]][] = [
  ['a valid key set', (_request, response) => response.end(keySet)],
  [
    'status 404',
    (_request, response) => response.writeHead(404).end('canary'),
    ['key-set', 'problem', /answers with status 404.*`jwks_uri` of the issuer/],
  ],
  [
    'a redirect',
    (_request, response) => response.writeHead(302, { location: '/canary' }).end(),
    ['key-set', 'problem', /status 302.*without redirects/],
  ],
  [
    'HTML',
    (_request, response) => response.end('<html>canary</html>'),
    ['key-set', 'problem', /is not the address of a JSON Web Key Set/],
  ],
  [
    'symmetric keys only',
    (_request, response) => response.end(symmetric),
    ['key-set', 'problem', /no key that the gateway can use/],
  ],
  [
    'a key set of 100 KiB',
    (_request, response) => response.end(keySet.padEnd(100_000)),
    ['key-set', 'problem', /longer than 64 KiB/],
  ],
  ['silence', () => undefined, ['key-set', 'problem', /does not answer completely \(ETIMEDOUT\)/]],
  [
    'a clock of tomorrow',
    (_request, response) =>
      response.writeHead(200, { date: new Date(Date.now() + 86_400_000).toUTCString() }).end(keySet),
    ['clock', 'problem', /86[34]\d\d s behind the server of AUTH_JWKS_URL/],
  ],
];

for (const [what, answer, ...expected] of keySets) {
  const [[check] = ['nothing']] = expected;
  test(`doctor MUST report ${check} for a server of the key set that answers with ${what}, with one GET`, async (context) => {
    const received: string[] = [];
    const server = createServer((request, response) => {
      received.push(`${request.method} ${request.url} ${request.headers.authorization ?? ''}`);
      answer(request, response);
    });
    context.after(() => {
      server.closeAllConnections();
      server.close();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/canary`;
    await expectFindings({ ...jwt, AUTH_JWKS_URL: url, JUSPAY_TIMEOUT_MS: '1500' }, ...expected);
    assert.deepEqual(received, ['GET /canary ']);
  });
}

test('doctor MUST report tcp and name-resolution for a key set that cannot be reached', async () => {
  await expectFindings({ ...jwt, AUTH_JWKS_URL: 'http://127.0.0.1:9/canary' }, [
    'tcp',
    'problem',
    /port of AUTH_JWKS_URL \(ECONNREFUSED\)/,
  ]);
  await expectFindings({ ...jwt, AUTH_JWKS_URL: 'https://canary.invalid' }, [
    'name-resolution',
    'problem',
    /host of AUTH_JWKS_URL/,
  ]);
});

const rights = ['--user', 'limited', 'on', '>canary-password', '~{customer-gateway}:*', 'resetchannels', '-@all'];
const counting = ['+set', '+get', '+del', '+incr', '+pttl', '+pexpire'];
const limited = 'redis://limited:canary-password@';

const redisCases: readonly [what: string, options: readonly string[], user: string, ...Expected[]][] = [
  ['that accepts everything', [], 'redis://'],
  ['with a user of exactly the documented rights', [...rights, ...counting], limited],
  ['with a password', ['--requirepass', 'canary-password'], 'redis://:canary-password@'],
  [
    'that wants a password',
    ['--requirepass', 'canary-password'],
    'redis://',
    ['redis', 'problem', /rejects the credentials of REDIS_URL \(NOAUTH\)/],
  ],
  [
    'with another password',
    ['--requirepass', 'canary-password'],
    'redis://:canary-wrong@',
    ['redis', 'problem', /rejects the credentials of REDIS_URL \(WRONGPASS\)/],
  ],
  [
    'without the right to SET',
    [...rights, ...counting.filter((right) => right !== '+set')],
    limited,
    ['redis', 'problem', /lacks rights \(NOPERM\): allow SET, GET, DEL, INCR, PTTL and PEXPIRE/],
  ],
  [
    'without the right to INCR',
    [...rights, ...counting.filter((right) => right !== '+incr'), '+multi', '+discard'],
    limited,
    ['redis', 'problem', /NOPERM/],
  ],
  [
    'that is a replica',
    ['--replicaof', '127.0.0.1 9'],
    'redis://',
    ['redis', 'problem', /replica \((READONLY|MASTERDOWN)\)/],
  ],
  ['without memory', ['--maxmemory', '1', '--maxmemory-policy', 'noeviction'], 'redis://', ['redis', 'problem', /OOM/]],
  ['that is a cluster without slots', ['--cluster-enabled', 'yes'], 'redis://', ['redis', 'problem', /CLUSTERDOWN/]],
];

for (const [what, options, user, ...expected] of redisCases) {
  test(`doctor MUST report ${expected.length === 0 ? 'nothing' : 'redis'} for a Redis ${what}, and write nothing`, async (context) => {
    const redis = await startRedis(...options);
    context.after(() => redis.close());
    await expectFindings({ RATE_LIMIT_PER_MINUTE: '5', REDIS_URL: `${user}127.0.0.1:${redis.port}` }, ...expected);
    assert.equal(await redis.run('dbsize'), 0);
    const executed = String(await redis.run('info', 'commandstats'));
    assert.doesNotMatch(executed, /cmdstat_incr:calls=[1-9]/);
  });
}

test('doctor MUST report redis for a closed port, a server that hangs and a name without an address', async (context) => {
  const limit = { RATE_LIMIT_PER_MINUTE: '5', JUSPAY_TIMEOUT_MS: '1500' };
  await expectFindings({ ...limit, REDIS_URL: 'redis://127.0.0.1:9' }, [
    'redis',
    'problem',
    /Nothing listens.*ECONNREF/,
  ]);
  await expectFindings({ ...limit, REDIS_URL: 'redis://canary.invalid' }, ['redis', 'problem', /does not answer \(E/]);
  const redis = await startRedis();
  context.after(() => redis.close());
  redis.child.kill('SIGSTOP');
  await expectFindings({ ...limit, REDIS_URL: redis.url }, ['redis', 'problem', /does not answer \(ETIMEDOUT\)/]);
  redis.child.kill('SIGCONT');
});

test('doctor MUST warn of a cluster node without the slot, and report an invalid URL', async (context) => {
  const commands: string[] = [];
  const server = createTcpServer((socket) => {
    socket
      .on('error', () => undefined)
      .on('data', (data) => {
        commands.push(...(String(data).match(/\b(SET|PTTL|PEXPIRE|MULTI|INCR|DISCARD)\b/gi) ?? []));
        socket.write('-MOVED 1 canary.example:6379\r\n');
      });
  });
  context.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const limit = { RATE_LIMIT_PER_MINUTE: '5' };
  await expectFindings({ ...limit, REDIS_URL: `redis://127.0.0.1:${port}` }, [
    'redis',
    'warning',
    /without the slot of the gateway's keys \(MOVED\): set the address of the node that has it/,
  ]);
  assert.deepEqual(commands, ['SET']);
  await expectFindings({ ...limit, REDIS_URL: 'redis://canary:%ff@127.0.0.1:9' }, [
    'redis',
    'problem',
    /valid URL|Nothing/,
  ]);
});

test('doctor MUST check REDIS_URL without a rate limit too, because repeated mutations use it', async () => {
  await expectFindings({ REDIS_URL: 'redis://canary.invalid' }, ['redis', 'problem', /does not answer \(ENOTFOUND\)/]);
});

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  return folder;
}

/** Runs the checks as a user other than root, who can read every file. */
function diagnoseAsOther(environment: Record<string, string>): Finding[] {
  const script = `
    import { diagnose, reportOf } from ${JSON.stringify(import.meta.resolve('../../src/cli/doctor/doctor.ts'))};
    if (process.getuid() === 0) {
      process.setgroups([]);
      process.setgid(65534);
      process.setuid(65534);
    }
    const { lines, exitCode } = reportOf(await diagnose(process.env), true);
    process.stdout.write(lines.join('\\n'));
    process.exitCode = exitCode;`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    env: environment,
    encoding: 'utf8',
  });
  expectNoValues(stdout + stderr, environment);
  const { worst, findings } = JSON.parse(stdout) as { worst: string; findings: Finding[] };
  assert.equal(status, { ok: 0, problem: 1, warning: 3 }[worst]);
  return findings;
}

test('doctor MUST report files that this user cannot read or reach, each once', (context) => {
  const folder = folderOf(context);
  const inner = join(folder, 'canary-folder');
  mkdirSync(inner);
  const path = (name: string) => join(folder, `canary-${name}`);
  writeFileSync(path('key'), 'canary-key');
  writeFileSync(path('keys.json'), '[]');
  writeFileSync(path('open.json'), '{"canary":{"apiKey":"canary"}}');
  writeFileSync(join(inner, 'documents.json'), '{}');
  chmodSync(path('key'), 0);
  chmodSync(path('open.json'), 0o666);
  chmodSync(inner, 0o600);
  const findings = diagnoseAsOther({
    JUSPAY_API_KEY_FILE: path('key'),
    JUSPAY_MERCHANT_ID: 'canary-merchant',
    AUTH_MODE: 'api-key',
    AUTH_API_KEYS_FILE: path('keys.json'),
    MERCHANTS_FILE: path('open.json'),
    PERSISTED_DOCUMENTS_FILE: join(inner, 'documents.json'),
    NODE_EXTRA_CA_CERTS: folder,
  });
  const user = process.getuid?.() === 0 ? 65534 : process.getuid?.();
  assert.deepEqual(
    findings.slice(1).map(({ check, status, setting, message }) => `${check} ${status} ${setting}: ${message}`),
    [
      `files problem JUSPAY_API_KEY_FILE: This user cannot read the file of JUSPAY_API_KEY_FILE: give user ${user} the right to read (r) it, or change its owner.`,
      'files warning MERCHANTS_FILE: Every user of this machine can change the file of MERCHANTS_FILE: run chmod o-rwx on it.',
      'files ok AUTH_API_KEYS_FILE: This user can read the file of AUTH_API_KEYS_FILE.',
      `files problem PERSISTED_DOCUMENTS_FILE: This user cannot enter the folder of PERSISTED_DOCUMENTS_FILE: give user ${user} the right to search (x) each folder of the path.`,
      'files problem NODE_EXTRA_CA_CERTS: NODE_EXTRA_CA_CERTS names a folder: set the path of a file in it.',
    ],
  );
});

test('doctor MUST warn of secrets that every user can read, and report missing files', async (context) => {
  const folder = folderOf(context);
  const path = join(folder, 'canary');
  writeFileSync(path, 'x'.repeat(40));
  chmodSync(path, 0o644);
  await expectFindings({ ...jwt, AUTH_JWT_SECRET_FILE: path }, [
    'files',
    'warning',
    /Every user of this machine can read the file of AUTH_JWT_SECRET_FILE: run chmod o-rwx/,
  ]);
  chmodSync(path, 0o640);
  await expectFindings({ ...jwt, AUTH_JWT_SECRET_FILE: path });
  await expectFindings({ ...jwt, AUTH_JWT_SECRET_FILE: `${path}-missing` }, [
    'files',
    'problem',
    /AUTH_JWT_SECRET_FILE names a file that does not exist \(ENOENT\)/,
  ]);
});

test('doctor MUST report an audit file that cannot be created or written, and warn of one that every user can read', async (context) => {
  const folder = folderOf(context);
  const path = join(folder, 'canary-audit.log');
  const findingsOf = (environment: Record<string, string>) =>
    diagnoseAsOther(environment)
      .filter(({ setting }) => setting === 'AUDIT_FILE')
      .map(({ check, status, message }) => `${check} ${status}: ${message}`);
  const user = process.getuid?.() === 0 ? 65534 : process.getuid?.();
  chmodSync(folder, 0o777);
  assert.deepEqual(findingsOf({ AUDIT_FILE: path }), ['files ok: This user can create the file of AUDIT_FILE.']);
  writeFileSync(path, '');
  chmodSync(path, 0o444);
  assert.deepEqual(findingsOf({ AUDIT_FILE: path }), [
    `files problem: This user cannot write the file of AUDIT_FILE (EACCES): give user ${user} the right to write (w) and search (x) in the folder, and to read and write (rw) the file.`,
  ]);
  chmodSync(path, 0o666);
  assert.deepEqual(findingsOf({ AUDIT_FILE: path }), [
    'files warning: Every user of this machine can read or change the file of AUDIT_FILE: run chmod o-rwx on it.',
  ]);
  chmodSync(folder, 0o555);
  assert.deepEqual(findingsOf({ AUDIT_FILE: path }), [
    `files problem: This user cannot write the file of AUDIT_FILE (EACCES): give user ${user} the right to write (w) and search (x) in the folder, and to read and write (rw) the file.`,
  ]);
  await expectFindings({ AUDIT_FILE: folder }, [
    'files',
    'problem',
    /AUDIT_FILE names no regular file: set the path of a file\./,
  ]);
  await expectFindings({ AUDIT_FILE: join(folder, 'canary', 'audit.log') }, [
    'files',
    'problem',
    /The folder of AUDIT_FILE does not exist: create it, or correct the path\./,
  ]);
});
