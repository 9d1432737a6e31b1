import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { deliveryLimits } from '../../src/http/delivery.ts';
import { type Server, startServer } from '../../src/http/server.ts';
import { openConnection, postRequest } from '../connections.ts';
import { type Harness, withHarness, withScriptedProvider } from '../support.ts';

const clients = 60;
const name = '名'.repeat(1_000);
/** A response of 3.5 MB, a third of it in characters. */
const operation = postRequest(
  JSON.stringify({
    query: 'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Customer { firstName } } }',
    variables: { r: Array.from({ length: 1_150 }, () => ({ __typename: 'Customer', objectReferenceId: 'u7' })) },
  }),
);
/** A response of 9 MB. */
const page = 'GET /graphql HTTP/1.1\r\nhost: a\r\naccept: text/html\r\n\r\n';

async function withServer(
  deliveryTimeoutMs: number,
  run: (server: Server, harness: Harness) => Promise<void>,
): Promise<void> {
  const body = { id: 'cth_0000000000000001', object_reference_id: 'u7', first_name: name };
  await withScriptedProvider(
    () => ({ status: 200, body }),
    async (harness) => {
      const server = await startServer(harness.gateway, { host: '127.0.0.1', port: 0, deliveryTimeoutMs });
      try {
        await run(server, harness);
      } finally {
        await server.stop(0);
      }
    },
  );
}

/** Observes the server's side of its connections. */
function observe(context: TestContext, port: number) {
  const sockets = new Set<Socket>();
  const pending: { readonly bytes: number; readonly counted: number }[] = [];
  const written = new WeakMap<Socket, number>();
  let closed = 0;
  let nextEvent = Promise.withResolvers<void>();
  const report = () => {
    nextEvent.resolve();
    nextEvent = Promise.withResolvers();
  };
  const onSocket = (message: unknown) => {
    const { socket } = message as { socket: Socket };
    if (socket.localPort !== port) return;
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      closed += 1;
      report();
    });
  };
  const onRequest = (message: unknown) => {
    const { socket, response } = message as { socket: Socket; response: ServerResponse };
    if (socket.localPort !== port) return;
    response.once('prefinish', () => {
      const bytes = socket.bytesWritten - (written.get(socket) ?? 0);
      written.set(socket, socket.bytesWritten);
      if (socket.writableLength === 0) return;
      pending.push({ bytes, counted: socket.writableLength });
      report();
    });
  };
  subscribe('net.server.socket', onSocket);
  subscribe('http.server.request.start', onRequest);
  context.after(() => {
    unsubscribe('net.server.socket', onSocket);
    unsubscribe('http.server.request.start', onRequest);
  });
  return {
    /** Bytes of the responses that the process holds. */
    held: () => [...sockets].reduce((sum, { writableLength }) => sum + writableLength, 0),
    closed: () => closed,
    /** Resolves when a connection is closed or another response is pending. */
    nextEvent: () => nextEvent.promise,
    /** Responses that did not fit into the buffers of the system: their size, and what the stream counts for them. */
    pending,
  };
}

/** Opens connections that send requests and never read. */
function openUnread(port: number, textOf: (n: number) => string): Socket[] {
  return Array.from({ length: clients }, (_, n) => {
    const socket = connect(port, '127.0.0.1');
    socket.pause();
    socket.on('error', () => undefined);
    socket.write(textOf(n));
    return socket;
  });
}

/** Half of the clients request a page. The response of an operation fits into the buffers of the system, so the others request several. */
const pageOrOperations = (n: number) => (n % 2 === 0 ? operation.repeat(4) : page);

function usedBytes(): number {
  const collect = globalThis.gc ?? assert.fail('run with --expose-gc');
  for (let times = 0; times < 3; times += 1) collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test('60 clients that never read their responses MUST NOT make the process hold more than the limit', (context) =>
  withServer(600_000, async (server) => {
    const observed = observe(context, server.port);
    // The first page is rendered, and the first operation is compiled.
    const first = openConnection(server.port);
    first.socket.write(`${operation}${page.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n')}`);
    await first.closed;
    assert.deepEqual(
      first.answers().map(({ status }) => status),
      [200, 200],
    );
    const before = usedBytes();
    const sockets = openUnread(server.port, pageOrOperations);
    // The delivery timeout is not reached: clients are disconnected only because of the limit of bytes.
    const operations = () => observed.pending.filter(({ bytes }) => bytes < 5_000_000);
    while (observed.closed() < 20 || operations().length < 20 || observed.held() > deliveryLimits.maxBytes) {
      await observed.nextEvent();
    }
    const grown = usedBytes() - before;
    context.diagnostic(`${observed.closed()} disconnected, ${observed.held()} bytes held, ${grown} bytes more used`);
    assert.ok(grown < 2.5 * deliveryLimits.maxBytes, `${grown} bytes`);
    // The limit counts bytes, not characters.
    for (const { bytes, counted } of observed.pending) assert.ok(counted > bytes * 0.9, `${counted} of ${bytes} bytes`);
    for (const socket of sockets) socket.destroy();
  }));

test('60 clients that never read their responses MUST all be disconnected', (context) =>
  withServer(500, async (server, { gateway }) => {
    const observed = observe(context, server.port);
    const sockets = openUnread(server.port, pageOrOperations);
    while (observed.closed() < clients / 2) await observed.nextEvent();
    // Resolves when each response is finished or its connection is closed.
    await gateway.drain();
    assert.equal(observed.held(), 0);
    for (const socket of sockets) socket.destroy();
  }));

for (const [name, isLate] of [
  ['an operation that ends', false],
  ['a page that is requested', true],
] as const) {
  test(`a shutdown MUST NOT wait for a client that does not read the response of ${name} after its start`, async () => {
    const aliases = Array.from({ length: 30 }, (_, n) => `a${n}: firstName`).join(' ');
    const longOperation = postRequest(JSON.stringify({ query: `{ customer(id: "u7") { ${aliases} } }` }));
    const stopped = Promise.withResolvers<void>();
    let onCall: () => void = () => undefined;
    await withScriptedProvider(
      () => {
        // The operation is in flight.
        onCall();
        return { status: 200, body: { id: 'cth_1', object_reference_id: 'u7', first_name: 'x'.repeat(900_000) } };
      },
      async ({ gateway }, calls) => {
        const server = await startServer(gateway, { host: '127.0.0.1', port: 0, deliveryTimeoutMs: 600_000 });
        const client = openConnection(server.port);
        const unread = connect(server.port, '127.0.0.1').pause();
        unread.on('error', () => undefined);
        await once(unread, 'connect');
        onCall = () => {
          stopped.resolve(server.stop(600_000));
          if (isLate) unread.write(page);
        };
        (isLate ? client.socket : unread).write(longOperation);
        await stopped.promise;
        assert.deepEqual(calls, ['GET /customers/u7']);
        unread.destroy();
        client.socket.destroy();
      },
      { LIMIT_RESPONSE_BYTES: String(64 * 1024 * 1024) },
    );
  });
}

test('the responses of a mounted gateway MUST be limited too', (context) =>
  withHarness(async ({ gateway }) => {
    const host = createServer(gateway.listener).listen(0, '127.0.0.1');
    await once(host, 'listening');
    const { port } = host.address() as AddressInfo;
    const observed = observe(context, port);
    const sockets = openUnread(port, () => page);
    while (observed.closed() < 50 || observed.held() > deliveryLimits.maxBytes) await observed.nextEvent();
    for (const socket of sockets) socket.destroy();
    host.closeAllConnections();
    host.close();
  }));
