import assert from 'node:assert/strict';
import { once } from 'node:events';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type DrainPhase, startServer } from '../../src/http/server.ts';
import { openConnection, postRequest, type RawAnswer } from '../connections.ts';
import { start, withoutReusePort } from '../program.ts';
import { freePort } from '../proxies.ts';
import { createOperation, newCustomer, withHarness } from '../support.ts';

const body = JSON.stringify({ query: '{ customer(id: "u7") { id } }' });
const graceMs = 5_000;
/** The listener closes when no request has arrived for so long. */
const quietMs = 50;
/** Prefix of the outcomes of requests that no worker has read. */
const unread = 'reset after 0 answers: ';

/** The status of a response, if its headers and body are complete. */
function outcomeOf({ status, headers, body: text }: RawAnswer): string {
  const { data, errors } = JSON.parse(text) as { data?: unknown; errors?: { extensions: { code: string } }[] };
  if (status === 200 && data) return 'served';
  const isOverloaded = headers.get('retry-after') === '1' && errors?.[0]?.extensions.code === 'OVERLOADED';
  return status === 503 && isOverloaded ? 'refused' : `${status} ${text}`;
}

interface Client {
  readonly keepsAlive: boolean;
  readonly thinkMs: number;
}

/** Sends requests until the port is closed. A connection that closes before the request is sent is not a failure. */
async function load(port: number, client: Client, count: (outcome: string) => void): Promise<void> {
  const headers = client.keepsAlive ? '' : 'connection: close\r\n';
  for (;;) {
    const connection = openConnection(port);
    const { socket } = connection;
    let hasEnded = false;
    socket.once('end', () => {
      hasEnded = true;
    });
    await Promise.race([once(socket, 'connect').catch(() => undefined), connection.closed]);
    if (connection.errors.includes('ECONNREFUSED')) return;
    for (let sent = 1; !hasEnded && !socket.destroyed; sent += 1) {
      socket.write(postRequest(body, headers));
      await connection.answered(sent);
      const answer = connection.answers()[sent - 1];
      count(answer ? outcomeOf(answer) : `reset after ${sent - 1} answers: ${connection.errors.join()}`);
      if (answer?.headers.get('connection') === 'close' || !client.keepsAlive) break;
      if (client.thinkMs > 0) await pause(client.thinkMs);
    }
    socket.destroy();
    if (client.thinkMs > 0) await pause(client.thinkMs);
  }
}

/** Clients without pauses. All of them wait for a response when the listeners close. */
const busy = [true, false].flatMap((keepsAlive) => Array(10).fill({ keepsAlive, thinkMs: 0 }) as Client[]);
const mixed = [
  { keepsAlive: true, thinkMs: 0 },
  { keepsAlive: true, thinkMs: 20 },
  { keepsAlive: true, thinkMs: 150 },
  { keepsAlive: false, thinkMs: 0 },
  { keepsAlive: false, thinkMs: 20 },
].flatMap((client) => [client, client, client, client]);

/** Each listener takes 50 ms longer to close. Clients that the other worker answers meanwhile would reconnect to it. */
const slowToClose = [
  '--import',
  `data:text/javascript,${encodeURIComponent(`
    import { Server } from 'node:net';
    const { close } = Server.prototype;
    Server.prototype.close = function (...args) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
      return close.apply(this, args);
    };`)}`,
];

const kinds = [
  { name: 'one process MUST NOT reset a request', runs: 3, WORKERS: '1' },
  { name: 'two workers MUST NOT reset a request', runs: 2, WORKERS: '2' },
  {
    name: 'two workers that stall before they close MUST NOT reset a request',
    runs: 4,
    WORKERS: '2',
    nodeOptions: slowToClose,
    clients: busy,
  },
  // `node:cluster` closes its listener after the workers do. It resets connections that no worker takes any more.
  {
    name: 'two workers with one listener MUST NOT reset a connection that a worker has',
    runs: 2,
    WORKERS: '2',
    nodeOptions: withoutReusePort,
    mayLose: true,
  },
];

for (const { name, runs, WORKERS, nodeOptions, mayLose = false, clients = mixed } of kinds)
  test(`a shutdown of ${name}, in ${runs} runs: each request is served or refused`, async () => {
    const outcomes = new Map<string, number>();
    for (let stop = 0; stop < runs; stop += 1) {
      // No other test gets this port when it is closed.
      const port = await freePort();
      const run = start(['serve'], { PORT: String(port), WORKERS, SHUTDOWN_GRACE_MS: String(graceMs) }, nodeOptions);
      await run.waitFor(/http:\/\/127\.0\.0\.1:\d+\/graphql/);
      let served = 0;
      const enough = Promise.withResolvers<void>();
      const loads = clients.map((client) =>
        load(port, client, (outcome) => {
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
          if (outcome === 'served') served += 1;
          if (served >= 100) enough.resolve();
        }),
      );
      await enough.promise;
      const stoppedAtMs = performance.now();
      const delays = monitorEventLoopDelay({ resolution: 5 });
      delays.enable();
      run.child.kill('SIGTERM');
      assert.equal(await run.exit, 0, run.output());
      // The specified time, and a margin for a slow machine.
      assert.ok(performance.now() - stoppedAtMs < graceMs + 500 + 5_000);
      await Promise.all(loads);
      delays.disable();
      // On a busy machine the clients can stall for longer than the quiet time, and connect while the listener closes.
      const hasStalled = delays.max / 1e6 > quietMs;
      for (const outcome of outcomes.keys())
        if ((mayLose || hasStalled) && outcome.startsWith(unread)) outcomes.delete(outcome);
    }
    assert.deepEqual([...outcomes.keys()].sort(), ['refused', 'served'], JSON.stringify([...outcomes]));
  });

test('a server that stops with others MUST refuse requests until all are drained, and hold its last responses until all are closed', () =>
  withHarness(async (harness) => {
    const server = await startServer(harness.gateway, { host: '127.0.0.1', port: await freePort() });
    const reached = { drained: Promise.withResolvers<void>(), closed: Promise.withResolvers<void>() };
    const all = { drained: Promise.withResolvers<void>(), closed: Promise.withResolvers<void>() };
    const limitsMs: number[] = [];
    const stopped = server.stop(10_000, 0, {
      reach(phase: DrainPhase, timeoutMs) {
        limitsMs.push(timeoutMs);
        reached[phase].resolve();
        return all[phase].promise;
      },
    });
    await reached.drained.promise;
    const refused = openConnection(server.port);
    refused.socket.write(postRequest(body));
    await refused.answered(1);
    assert.deepEqual(refused.answers().map(outcomeOf), ['refused']);
    all.drained.resolve();
    const held = openConnection(server.port);
    await once(held.socket, 'connect');
    held.socket.write(postRequest(body));
    await reached.closed.promise;
    const late = openConnection(server.port);
    await late.closed;
    assert.deepEqual(late.errors, ['ECONNREFUSED']);
    assert.equal(held.text(), '');
    all.closed.resolve();
    await Promise.all([held.closed, stopped]);
    assert.deepEqual(held.answers().map(outcomeOf), ['refused']);
    const [drainedMs = 0, closedMs = 0] = limitsMs;
    assert.ok(drainedMs > 0 && drainedMs <= 10_000 && closedMs > 0 && closedMs <= 350, String(limitsMs));
  }));

test('a request on an idle connection MUST get a response while the server closes', () =>
  withHarness(async (harness) => {
    const server = await startServer(harness.gateway, { host: '127.0.0.1', port: await freePort() });
    const connection = openConnection(server.port);
    connection.socket.write('GET /health HTTP/1.1\r\nhost: a\r\n\r\n');
    await connection.answered(1);
    const stopped = server.stop(10_000);
    // The listener is closed when connecting fails.
    for (let isRefused = false; !isRefused; ) {
      const probe = openConnection(server.port);
      await Promise.race([once(probe.socket, 'connect').catch(() => undefined), probe.closed]);
      isRefused = probe.errors.includes('ECONNREFUSED');
      probe.socket.destroy();
    }
    const input = { query: createOperation, variables: { input: newCustomer('reference-1') } };
    connection.socket.write(postRequest(JSON.stringify(input)));
    await connection.closed;
    await stopped;
    const [, refused] = connection.answers();
    assert.ok(refused, connection.text());
    assert.equal(outcomeOf(refused), 'refused');
    assert.equal(refused.headers.get('connection'), 'close');
    assert.deepEqual(connection.errors, []);
    assert.deepEqual(harness.upstream(), []);
  }));

test('connections in the accept queue at the end of a drain MUST get a response', () =>
  withHarness(async (harness) => {
    const server = await startServer(harness.gateway, { host: '127.0.0.1', port: 0 });
    const stopped = server.stop(10_000);
    const connections = Array.from({ length: 20 }, () => openConnection(server.port));
    for (const { socket } of connections) socket.write(postRequest(body));
    // The sockets connect in the next tick.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    // A stall of the event loop until the listener is due to close: the system completes the connections meanwhile.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    await Promise.all(connections.map(({ closed }) => closed));
    await stopped;
    const outcomes = connections.map(({ answers, errors }) => [answers().map(outcomeOf), errors]);
    assert.deepEqual(outcomes, Array(20).fill([['refused'], []]));
    assert.deepEqual(harness.upstream(), []);
  }));

test('an incomplete request MUST get 503 at the end of a shutdown, and an idle connection MUST be closed without a response', () =>
  withHarness(async (harness) => {
    const server = await startServer(harness.gateway, { host: '127.0.0.1', port: 0 });
    const [begun, idle] = [openConnection(server.port), openConnection(server.port)];
    for (const { socket, answered } of [begun, idle]) {
      socket.write('GET /health HTTP/1.1\r\nhost: a\r\n\r\n');
      await answered(1);
    }
    begun.socket.write('POST /graphql HTTP/1.1\r\nhost: a\r\n');
    await server.stop(10_000);
    await Promise.all([begun.closed, idle.closed]);
    assert.equal(begun.answers().length, 2, begun.text());
    assert.equal(outcomeOf(begun.answers()[1] as RawAnswer), 'refused');
    assert.equal(idle.answers().length, 1);
    assert.deepEqual([...begun.errors, ...idle.errors], []);
  }));
