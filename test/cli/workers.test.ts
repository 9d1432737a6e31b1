import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { coordinateDrain } from '../../src/cli/workers/drain.ts';
import type { WorkerProcess } from '../../src/cli/workers/fleet.ts';
import { relayWrites } from '../../src/cli/workers/writes.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { type Connection, openConnection, postRequest } from '../connections.ts';
import { type Run, start, withoutReusePort } from '../program.ts';
import { freePort } from '../proxies.ts';
import { createOperation, newCustomer, updateOperation } from '../support.ts';

const query = '{ customer(id: "u7") { id } }';

interface Started {
  readonly run: Run;
  readonly sandbox: Sandbox;
  readonly url: string;
  readonly port: number;
  readonly metricsUrl: string;
}

/** Runs `use` with a gateway of two workers, and a sandbox in this process. */
async function withWorkers(
  use: (started: Started) => Promise<void>,
  environment: Record<string, string> = {},
  nodeOptions: readonly string[] = [],
): Promise<void> {
  const sandbox = await startSandbox();
  const settings = {
    PORT: '0',
    METRICS_PORT: '0',
    WORKERS: '2',
    AUTH_MODE: 'none',
    JUSPAY_BASE_URL: sandbox.url,
    JUSPAY_API_KEY: sandbox.apiKey,
    JUSPAY_MERCHANT_ID: sandbox.merchantId,
    ...environment,
  };
  const run = start(['serve'], settings, nodeOptions);
  try {
    const [, url = '', metricsUrl = ''] = await run.waitFor(/"url":"([^"]+)","metricsUrl":"([^"]+)","workers":2/);
    await use({ run, sandbox, url, port: Number(new URL(url).port), metricsUrl });
  } finally {
    run.child.kill('SIGKILL');
    await run.exit;
    await sandbox.close();
  }
}

const pidsOf = ({ child }: Run): number[] =>
  spawnSync('pgrep', ['-P', String(child.pid)], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter(Boolean)
    .map(Number);

/** Sends one operation on a connection of its own, so that the system selects a worker. */
async function send(port: number, body: object): Promise<{ status: number; body: string } | undefined> {
  const connection = openConnection(port);
  connection.socket.write(postRequest(JSON.stringify(body), 'connection: close\r\n'));
  await connection.answered(1);
  connection.socket.destroy();
  return connection.answers()[0];
}

const create = (port: number, reference: string) =>
  send(port, { query: createOperation, variables: { input: newCustomer(reference) } });

async function metricOf(metricsUrl: string, name: string): Promise<number> {
  const text = await (await fetch(metricsUrl)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(name))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** The log lines. Fails if one is no JSON. */
const linesOf = ({ output }: Run) =>
  output()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('two workers MUST share the port, settle colliding creates through the provider, and sum their metrics', () =>
  withWorkers(async ({ run, sandbox, port, metricsUrl }) => {
    // The first create of each reference is stored, and its response is lost.
    sandbox.arm({ fault: 'reset', on: 'create', afterCommit: true, times: 20 });
    const references = Array.from({ length: 20 }, (_, index) => `reference-${index}`);
    const results = new Map<string, string[]>();
    await Promise.all(
      references.flatMap((reference) =>
        Array.from({ length: 3 }, async () => {
          const answer = await create(port, reference);
          const [, name = answer?.body ?? 'no answer'] = /"__typename":"(\w+)"/.exec(answer?.body ?? '') ?? [];
          results.set(reference, [...(results.get(reference) ?? []), name]);
        }),
      ),
    );
    const stored = sandbox.customers.map(({ objectReferenceId }) => objectReferenceId);
    for (const reference of references) {
      assert.equal(stored.filter((other) => other === reference).length, 1, reference);
      assert.ok(results.get(reference)?.includes('CreateCustomerSuccess'), String(results.get(reference)));
    }
    const names = new Set([...results.values()].flat());
    assert.deepEqual([...names].sort(), ['CreateCustomerSuccess', 'CustomerAlreadyExistsError']);

    assert.equal(await metricOf(metricsUrl, 'customer_gateway_operations_total'), 60);
    assert.equal(await metricOf(metricsUrl, 'customer_gateway_writes_total'), 60);
    const openMetrics = await fetch(metricsUrl, { headers: { accept: 'application/openmetrics-text; version=1.0.0' } });
    assert.match(openMetrics.headers.get('content-type') ?? '', /^application\/openmetrics-text/);
    assert.match(await openMetrics.text(), /^# TYPE customer_gateway_operations counter$.*^# EOF\n$/ms);
    assert.equal(await metricOf(metricsUrl, 'customer_gateway_workers'), 2);
    const calls = sandbox.calls.length;
    assert.equal(await metricOf(metricsUrl, 'customer_gateway_upstream_attempts_total'), calls);

    const audit = linesOf(run).filter((line) => line['field'] === 'createCustomer');
    assert.equal(audit.length, 60);
    const shares = [1, 2].map((worker) => audit.filter((line) => line['worker'] === worker).length);
    assert.ok(Math.min(...shares) >= 10, String(shares));
  }));

test('a worker that is killed or hangs MUST be replaced, and counters MUST NOT decrease', () =>
  withWorkers(
    async ({ run, port, url, metricsUrl }) => {
      for (let n = 0; n < 40; n += 1) assert.equal((await send(port, { query }))?.status, 200);
      const refused = await send(port, { query });
      // RATE_LIMIT_PER_MINUTE is the limit of all workers together.
      assert.deepEqual([refused?.status, /"code":"(\w+)"/.exec(refused?.body ?? '')?.[1]], [429, 'RATE_LIMITED']);
      const before = await metricOf(metricsUrl, 'customer_gateway_operations_total');
      assert.equal(before, 41);
      const [killed = 0, other = 0] = pidsOf(run);
      process.kill(killed, 'SIGKILL');
      await run.waitFor(/"code":"SIGKILL","message":"worker ended: it is started again"/);
      assert.equal(await metricOf(metricsUrl, 'customer_gateway_operations_total'), before);
      assert.equal(await metricOf(metricsUrl, 'customer_gateway_workers'), 1);
      await run.waitFor(/"message":"worker listening"/);
      assert.equal(await metricOf(metricsUrl, 'customer_gateway_workers'), 2);
      assert.equal(await metricOf(metricsUrl, 'customer_gateway_worker_restarts_total'), 1);
      assert.equal(await metricOf(metricsUrl, 'customer_gateway_operations_total'), before);
      // The replacement serves, and the counters of the rate limit are not its own.
      for (let n = 0; n < 10; n += 1) assert.equal((await send(port, { query }))?.status, 429);
      assert.equal((await fetch(`${url}/ready`)).status, 200);
      // A hung worker does not block the metrics: its last ones are used.
      process.kill(other, 'SIGSTOP');
      assert.ok((await metricOf(metricsUrl, 'customer_gateway_operations_total')) >= before);
      // It is killed after 10 s.
      await run.waitFor(/"message":"worker does not respond: killed"/);
      await run.waitFor(/(?:"message":"worker listening".*?){2}/s);
      assert.equal(await metricOf(metricsUrl, 'customer_gateway_worker_restarts_total'), 2);
      for (let n = 0; n < 10; n += 1) assert.equal((await send(port, { query }))?.status, 429);

      run.child.kill('SIGTERM');
      assert.equal(await run.exit, 0);
      assert.equal(linesOf(run).filter((line) => line['message'] === 'stopped').length, 1);
    },
    { RATE_LIMIT_PER_MINUTE: '40', OPERATION_TIMEOUT_MS: '1000' },
  ));

test('a read that starts after a write of another worker MUST NOT share a read that was sent before', () =>
  withWorkers(async ({ run, sandbox, port }) => {
    const [customer] = sandbox.customers;
    assert.ok(customer);
    const read = postRequest(JSON.stringify({ query: `{ customer(id: "${customer.id}") { firstName } }` }));
    const connections = new Map<unknown, Connection[]>([1, 2].map((worker) => [worker, []]));
    for (let count = 1; [...connections.values()].some(({ length }) => length < 2); count += 1) {
      const connection = openConnection(port);
      connection.socket.write(read);
      await connection.answered(1);
      await run.waitFor(new RegExp(`(?:"message":"operation"[^]*?){${count}}`));
      const line = linesOf(run).findLast(({ message }) => message === 'operation');
      connections.get(line?.['worker'])?.push(connection);
    }
    const [[earlier, later], [writer]] = [...connections.values()] as [Connection[], Connection[]];
    assert.ok(earlier && later && writer);

    sandbox.arm({ fault: 'slow', on: 'get', delayMs: 2_000, times: 1 });
    const reads = () => sandbox.calls.filter(({ method }) => method === 'GET').length;
    const before = reads();
    earlier.socket.write(read);
    while (reads() < before + 1) await turn();
    const variables = { id: customer.id, input: { firstName: 'Written' } };
    writer.socket.write(postRequest(JSON.stringify({ query: updateOperation, variables })));
    await writer.answered(2);
    assert.match(writer.answers()[1]?.body ?? '', /UpdateCustomerSuccess/);

    later.socket.write(read);
    await later.answered(2);
    assert.match(later.answers()[1]?.body ?? '', /"Written"/);
    assert.equal(reads(), before + 2);
    assert.equal(earlier.answers().length, 1, 'the earlier read is still in flight');
    for (const { socket } of [...connections.values()].flat()) socket.destroy();
  }));

/** Three workers, and what is sent to them. */
function recordMessages() {
  const sent: string[] = [];
  const worker = (number: number): WorkerProcess => ({
    number,
    send: (message) => void sent.push(`${number} ${message.type}`),
  });
  return { sent, workers: [worker(1), worker(2), worker(3)] as const };
}

test('a write MUST be announced when all other workers know it or have ended', () => {
  const { sent, workers } = recordMessages();
  const [first, second, third] = workers;
  const running: WorkerProcess[] = [first];
  const relay = relayWrites(() => running);
  const writes = [{ merchantId: 'm', identifiers: ['u7'] }];
  relay.announce(first, 1, writes);
  assert.deepEqual(sent.splice(0), ['1 announced']);
  running.push(second, third);
  relay.announce(first, 2, writes);
  relay.announce(second, 1, writes);
  assert.deepEqual(sent.splice(0), ['2 invalidate', '3 invalidate', '1 invalidate', '3 invalidate']);
  relay.invalidated(second, 1);
  relay.invalidated(second, 1);
  relay.invalidated(first, 2);
  assert.deepEqual(sent, []);
  relay.retire(third);
  assert.deepEqual(sent, ['1 announced', '2 announced']);
});

test('workers that drain MUST wait for each other, but not for one that has ended, and a single one for none', () => {
  const { sent, workers } = recordMessages();
  const [first, second, third] = workers;
  const drain = coordinateDrain(() => workers);
  drain.reached(first, 'drained');
  drain.reached(first, 'closed');
  assert.deepEqual(sent.splice(0), ['1 all-reached', '1 all-reached'], 'before all workers stop');
  // The first worker ends, and another one takes its place.
  drain.retire(first);
  drain.begin();
  drain.reached(second, 'drained');
  drain.reached(third, 'drained');
  assert.deepEqual(sent, []);
  drain.reached(first, 'drained');
  assert.deepEqual(sent.splice(0).sort(), ['1 all-reached', '2 all-reached', '3 all-reached']);
  drain.reached(first, 'closed');
  drain.reached(second, 'closed');
  assert.deepEqual(sent, []);
  drain.retire(third);
  assert.deepEqual(new Set(sent), new Set(['1 all-reached', '2 all-reached', '3 all-reached']));
});

test('on a system without SO_REUSEPORT, workers MUST share a port, also after all of them were killed', async () => {
  const port = await freePort();
  await withWorkers(
    async ({ run }) => {
      /** Creates 8 customers. @returns the workers that did so. */
      const createdBy = async (from: number): Promise<unknown[]> => {
        for (let n = from; n < from + 8; n += 1) {
          assert.match((await create(port, `reference-${n}`))?.body ?? '', /CreateCustomerSuccess/);
        }
        await run.waitFor(new RegExp(`(?:"field":"createCustomer"[^]*?){${from + 8}}`));
        return linesOf(run)
          .filter((line) => line['field'] === 'createCustomer')
          .slice(-8)
          .map((line) => line['worker']);
      };
      assert.deepEqual(new Set(await createdBy(0)), new Set([1, 2]));
      for (const pid of pidsOf(run)) process.kill(pid, 'SIGKILL');
      await run.waitFor(/(?:"message":"worker listening".*?){2}/s);
      assert.deepEqual(new Set(await createdBy(8)), new Set([1, 2]));
      run.child.kill('SIGTERM');
      assert.equal(await run.exit, 0);
    },
    { PORT: String(port) },
    withoutReusePort,
  );
});

test('SIGUSR2 MUST change the log level of the supervisor and of each worker by one step, also if it reaches all processes', () =>
  withWorkers(async ({ run, port }) => {
    const signal = () => {
      for (const pid of [...pidsOf(run), run.child.pid ?? 0]) process.kill(pid, 'SIGUSR2');
    };
    const levels = () =>
      linesOf(run)
        .filter((line) => line['message'] === 'log level changed')
        .map((line) => `${line['worker'] ?? 'supervisor'} ${line['logLevel']}`)
        .sort();
    signal();
    await run.waitFor(/(?:"message":"log level changed".*?){3}/s);
    assert.deepEqual(levels(), ['1 debug', '2 debug', 'supervisor debug']);
    // The replacement of a worker has the level, too.
    process.kill(pidsOf(run)[0] ?? 0, 'SIGKILL');
    await run.waitFor(/"message":"worker listening"/);
    const debugged = () =>
      new Set(linesOf(run).flatMap((line) => (line['message'] === 'upstream call' ? line['worker'] : [])));
    for (let sent = 0; sent < 100 && debugged().size < 2; sent += 1) await send(port, { query });
    assert.deepEqual([...debugged()].sort(), [1, 2]);
    signal();
    await run.waitFor(/(?:"message":"log level changed".*?){6}/s);
    assert.deepEqual(levels(), ['1 debug', '1 error', '2 debug', '2 error', 'supervisor debug', 'supervisor error']);
  }));

test('SIGTERM to all processes at once MUST finish in-flight operations of both workers, with exit code 0', () =>
  withWorkers(async ({ run, sandbox, port }) => {
    sandbox.arm({ fault: 'slow', on: 'create', delayMs: 1_500, times: 12 });
    const created = Array.from({ length: 12 }, (_, index) => create(port, `in-flight-${index}`));
    while (sandbox.calls.length < 12) await turn();
    // systemd signals every process of a unit, and the supervisor signals its workers.
    for (const pid of [...pidsOf(run), run.child.pid ?? 0]) process.kill(pid, 'SIGTERM');
    for (const answer of await Promise.all(created)) assert.match(answer?.body ?? '', /CreateCustomerSuccess/);
    assert.equal(await run.exit, 0, run.output());
  }));

test('a worker MUST end its drain while another one hangs, which is killed', () =>
  withWorkers(
    async ({ run, port }) => {
      process.kill(pidsOf(run)[0] ?? 0, 'SIGSTOP');
      run.child.kill('SIGTERM');
      assert.equal(await run.exit, 1);
      assert.match(run.output(), /"count":1,"message":"workers did not end in time: killed"/);
      assert.equal(await send(port, { query }), undefined);
    },
    { SHUTDOWN_GRACE_MS: '500' },
  ));

test('a worker MUST NOT wait for the others if the supervisor is killed during the drain', () =>
  withWorkers(
    async ({ run, sandbox, port }) => {
      sandbox.arm({ fault: 'slow', on: 'create', delayMs: 1_500, times: 1 });
      const created = create(port, 'in-flight');
      while (sandbox.calls.length < 1) await turn();
      const pids = pidsOf(run);
      run.child.kill('SIGTERM');
      // New operations are refused as soon as the idle worker waits for the other one.
      while ((await send(port, { query }))?.status !== 503) await turn();
      run.child.kill('SIGKILL');
      assert.match((await created)?.body ?? '', /CreateCustomerSuccess/);
      for (const pid of pids) while (isRunning(pid)) await turn();
    },
    { SHUTDOWN_GRACE_MS: '600000' },
  ));

for (const signal of ['SIGKILL', 'SIGHUP'] as const)
  test(`workers MUST finish in-flight operations and end when ${signal} ends the supervisor`, () =>
    withWorkers(async ({ run, sandbox, port, url }) => {
      sandbox.arm({ fault: 'slow', on: 'create', delayMs: 1_500, times: 6 });
      const created = Array.from({ length: 6 }, (_, index) => create(port, `orphaned-${index}`));
      while (sandbox.calls.length < 6) await turn();
      const pids = pidsOf(run);
      assert.equal(pids.length, 2);
      run.child.kill(signal);
      for (const answer of await Promise.all(created)) assert.match(answer?.body ?? '', /CreateCustomerSuccess/);
      for (let isListening = true; isListening; ) {
        isListening = await fetch(`${url}/health`).then(
          () => true,
          () => false,
        );
      }
      for (const pid of pids) while (isRunning(pid)) await turn();
    }));

test('a second signal MUST end all processes at once', () =>
  withWorkers(
    async ({ run }) => {
      const pids = pidsOf(run);
      run.child.kill('SIGTERM');
      run.child.kill('SIGINT');
      assert.equal(await run.exit, 1);
      for (const pid of pids) while (isRunning(pid)) await turn();
    },
    { SHUTDOWN_DELAY_MS: '600000' },
  ));

test('an error at the start MUST be printed once, and end the supervisor with exit code 1', async (context) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  context.after(() => other.close());
  const taken = start(['serve'], { WORKERS: '2', PORT: String((other.address() as AddressInfo).port) });
  assert.equal(await taken.exit, 1);
  assert.equal(taken.output(), 'The address is already in use: change HOST and PORT.\n');

  // An error that only the gateway finds, in a worker.
  const folder = mkdtempSync(join(tmpdir(), 'workers-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'keys.json');
  const sha256 = createHash('sha256').update('key').digest('hex');
  writeFileSync(path, JSON.stringify([{ name: 'a', sha256, scopes: [], merchant: 'unknown' }]));
  const invalid = start(['serve'], { WORKERS: '2', PORT: '0', AUTH_MODE: 'api-key', AUTH_API_KEYS_FILE: path });
  assert.equal(await invalid.exit, 1);
  assert.equal(invalid.output().match(/AUTH_API_KEYS_FILE/g)?.length, 1, invalid.output());
});

test('a worker that is killed at the start MUST be logged, and end the supervisor with exit code 1', async () => {
  const preload = "if (process.env.CUSTOMER_GATEWAY_WORKER === '2') process.kill(process.pid, 'SIGKILL');";
  const options = ['--import', `data:text/javascript,${encodeURIComponent(preload)}`];
  const run = start(['serve'], { WORKERS: '2', PORT: '0' }, options);
  assert.equal(await run.exit, 1);
  assert.match(run.output(), /"worker":2,"code":"SIGKILL","message":"worker ended before it listened"/);
});

test('workers MUST share the embedded sandbox, with one banner', async () => {
  const run = start([], { WORKERS: '2', PORT: '0' });
  const [, url = ''] = await run.waitFor(/GraphiQL {2}(http:\S+)/);
  await run.waitFor(/Ctrl-C/);
  const port = Number(new URL(url).port);
  assert.match((await create(port, 'shared-reference'))?.body ?? '', /CreateCustomerSuccess/);
  for (let n = 0; n < 16; n += 1) {
    const answer = await send(port, {
      query: '{ customerByReference(objectReferenceId: "shared-reference") { firstName } }',
    });
    assert.deepEqual(JSON.parse(answer?.body ?? ''), { data: { customerByReference: { firstName: null } } });
  }
  const page = await (await fetch(url, { headers: { accept: 'text/html' } })).text();
  const [, token = ''] = /Bearer ([\w-]+\.[\w-]+\.[\w-]+)/.exec(page) ?? [];
  for (let n = 0; n < 16; n += 1) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, connection: 'close' },
      body: JSON.stringify({ query: '{ __typename }' }),
    });
    assert.equal(response.status, 200);
  }
  assert.equal(run.output().match(/GraphiQL/g)?.length, 1);
  run.child.kill('SIGINT');
  assert.equal(await run.exit, 0);
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
