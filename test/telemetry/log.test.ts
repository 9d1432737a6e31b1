import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { anonymous } from '../../src/auth/caller.ts';
import { writeAudit } from '../../src/telemetry/audit.ts';
import { createLog, fieldNames, type LogFields } from '../../src/telemetry/log.ts';
import { marks } from '../../src/telemetry/privacy.ts';
import { ask } from '../program.ts';
import { freePort } from '../proxies.ts';

const bin = fileURLToPath(new URL('../../bin/customer-gateway.js', import.meta.url));

interface Program {
  readonly child: ChildProcess;
  readonly url: string;
  readonly exit: Promise<number | null>;
  /** A metric's value. */
  metric(name: string): Promise<number>;
}

/** Starts the shipped program with this stdout, and waits until it responds. */
async function startWith(
  context: TestContext,
  stdout: 'pipe' | number,
  environment: Record<string, string> = {},
): Promise<Program> {
  // The tests do not read stdout, so the program cannot report its ports.
  const port = await freePort();
  const metricsPort = await freePort();
  const env = { PATH: process.env['PATH'] ?? '', PORT: `${port}`, METRICS_PORT: `${metricsPort}`, ...environment };
  const child = spawn(process.execPath, [bin], { env, stdio: ['ignore', stdout, 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  const url = `http://127.0.0.1:${port}`;
  const isUp = () =>
    fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isUp())) assert.equal(child.exitCode, null, 'the program ended');
  return {
    child,
    url,
    exit,
    async metric(name) {
      const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
      return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    },
  };
}

const dropped = 'customer_gateway_log_lines_dropped_total';

/** A mutation with ten fields, which writes ten audit lines. */
const tenWrites = `mutation { ${Array.from({ length: 10 }, (_, n) => `u${n}: updateCustomer(id: "u7", input: { firstName: "A${n}" }) { __typename }`).join(' ')} }`;

/** Sends writes until lines are dropped, and then the same number again. */
async function writeUntilDropped({ url, metric }: Program): Promise<void> {
  let operations = 0;
  const send = async () => {
    const { status, body } = await ask(`${url}/graphql`, tenWrites);
    assert.equal(status, 200, JSON.stringify(body));
    operations += 1;
    // The lines of 100 operations are about 1 MiB.
    assert.ok(operations < 2_000, 'no line was dropped');
  };
  while ((await metric(dropped)) === 0) for (let n = 0; n < 10; n += 1) await send();
  for (let left = operations; left > 0; left -= 1) await send();
}

async function stopCleanly({ child, url, exit }: Program): Promise<void> {
  assert.equal((await fetch(`${url}/health`)).status, 200);
  child.kill('SIGTERM');
  assert.equal(await exit, 0);
}

test('a blocked stdout MUST NOT block responses, probes or SIGTERM, and memory MUST stay bounded', async (context) => {
  const program = await startWith(context, 'pipe', { LOG_LEVEL: 'debug' });
  program.child.stdout?.pause();
  await ask(`${program.url}/graphql`, tenWrites);
  const earlier = await program.metric('process_resident_memory_bytes');
  await writeUntilDropped(program);
  assert.ok((await program.metric('process_resident_memory_bytes')) - earlier < 150e6);
  await stopCleanly(program);
});

test('when a blocked stdout drains, the log MUST report the number of dropped lines, and every line MUST be complete', async (context) => {
  const program = await startWith(context, 'pipe', { LOG_LEVEL: 'debug' });
  const { stdout } = program.child;
  assert.ok(stdout);
  stdout.pause();
  await writeUntilDropped(program);
  const lost = await program.metric(dropped);
  let text = '';
  stdout.on('data', (data) => {
    text += String(data);
  });
  stdout.resume();
  while (!text.includes('"log lines dropped"')) await once(stdout, 'data');
  await ask(`${program.url}/graphql`, '{ customer(id: "u7") { id } }');
  await stopCleanly(program);
  if (!stdout.readableEnded) await once(stdout, 'end');
  const lines = text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const reports = lines.filter(({ message }) => message === 'log lines dropped');
  assert.equal(
    reports.reduce((sum, { count }) => sum + Number(count), 0),
    lost,
  );
  assert.equal(reports[0]?.['level'], 'warn');
  assert.equal(lines.at(-1)?.['message'], 'operation');
});

for (const [name, open] of [
  ['a full disk', () => openSync('/dev/full', 'w')],
  ['a closed pipe', () => 'pipe' as const],
] as const) {
  test(`${name} as stdout MUST NOT block responses, probes or SIGTERM; lines MUST be dropped`, async (context) => {
    const stdout = open();
    const program = await startWith(context, stdout, { LOG_LEVEL: 'debug' });
    if (typeof stdout === 'number') closeSync(stdout);
    else program.child.stdout?.destroy();
    await writeUntilDropped(program);
    await stopCleanly(program);
  });
}

test('a normal shutdown MUST write every line to a pipe and to a file', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'logging-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'log');
  const file = openSync(path, 'a');
  const program = await startWith(context, file);
  closeSync(file);
  for (let n = 0; n < 50; n += 1) await ask(`${program.url}/graphql`, tenWrites);
  const last = ask(`${program.url}/graphql`, tenWrites);
  await stopCleanly(program);
  const isServed = (await last).status === 200;
  const audits = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.includes('"message":"audit"'));
  assert.equal(audits.length, isServed ? 510 : 500);

  const piped = await startWith(context, 'pipe');
  let text = '';
  piped.child.stdout?.on('data', (data) => {
    text += String(data);
  });
  const closed = once(piped.child, 'close');
  for (let n = 0; n < 50; n += 1) await ask(`${piped.url}/graphql`, tenWrites);
  await stopCleanly(piped);
  await closed;
  assert.equal(text.split('"message":"audit"').length - 1, 500);
  assert.match(text, /embedded sandbox/);
});

test('audit lines MUST be dropped last', async (context) => {
  const program = await startWith(context, 'pipe', { LOG_LEVEL: 'debug' });
  const { stdout } = program.child;
  assert.ok(stdout);
  stdout.pause();
  const aliases = Array.from({ length: 50 }, (_, n) => `r${n}: customer(id: "fault_501_x${n}") { id }`);
  const reads = `{ ${aliases.join(' ')} }`;
  while ((await program.metric(dropped)) === 0) {
    await Promise.all(Array.from({ length: 20 }, () => ask(`${program.url}/graphql`, reads)));
  }
  let text = '';
  await ask(`${program.url}/graphql`, tenWrites);
  stdout.on('data', (data) => {
    text += String(data);
  });
  stdout.resume();
  while (!text.includes('"log lines dropped"')) await once(stdout, 'data');
  assert.equal(text.split('"message":"audit"').length - 1, 10);
});

for (const [level, isKept] of [
  ['debug', true],
  ['info', true],
  ['warn', true],
  ['error', true],
  ['silent', false],
] as const) {
  test(`audit lines MUST ${isKept ? '' : 'NOT '}be written with LOG_LEVEL=${level}`, async (context) => {
    const program = await startWith(context, 'pipe', { LOG_LEVEL: level });
    let text = '';
    program.child.stdout?.on('data', (data) => {
      text += String(data);
    });
    const closed = once(program.child, 'close');
    await ask(`${program.url}/graphql`, tenWrites);
    await stopCleanly(program);
    await closed;
    assert.equal(text.split('"message":"audit"').length - 1, isKept ? 10 : 0);
  });
}

test('audit lines MUST go to the method `audit` of a custom log, or to `info` without that method', () => {
  const entry = { field: 'createCustomer', subject: 's', changed: { firstName: 1 }, outcome: 'CREATED' };
  const context = {
    correlation: { requestId: 'r' },
    callerName: anonymous.name,
    merchant: { merchantId: 'm', pseudonyms: { of: (text: string) => `p-${text}`, ofCaller: () => 'known' } },
    operationName: undefined,
    providerRequestId: undefined,
  };
  for (const name of ['audit', 'info'] as const) {
    const taken: [string, string, LogFields | undefined][] = [];
    const take = (by: string) => (message: string, fields?: LogFields) => {
      taken.push([by, message, fields]);
    };
    const log = { debug: take('debug'), info: take('info'), warn: take('warn'), error: take('error') };
    writeAudit(entry, context, name === 'audit' ? { ...log, audit: take('audit') } : log);
    assert.deepEqual(
      taken.map(([by, message]) => [by, message]),
      [[name, 'audit']],
    );
    const { changed, caller, customer } = taken[0]?.[2] ?? {};
    assert.deepEqual({ changed, caller, customer }, { changed: ['firstName'], caller: 'known', customer: 'p-s' });
  }
});

test('a log line MUST hold only fields of the allow-list, and none of them MUST be marked as personal or secret', () => {
  assert.deepEqual(
    Object.keys(fieldNames).filter((name) => name in marks),
    [],
  );
  const lines: string[] = [];
  const fields = {
    requestId: 'r',
    status: 200,
    changed: ['a'],
    firstName: 'canary',
    token: 'canary',
    input: { a: 'canary' },
    url: { deep: 'canary' },
    outcome: undefined,
  };
  createLog('info', (line) => lines.push(line)).warn('message', fields as object);
  const { time, ...line } = JSON.parse(lines.join('')) as Record<string, unknown>;
  assert.match(String(time), /^\d{4}-\d\d-\d\dT/);
  assert.deepEqual(line, {
    level: 'warn',
    requestId: 'r',
    status: 200,
    changed: ['a'],
    url: '[hidden]',
    message: 'message',
  });
});
