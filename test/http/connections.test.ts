import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { createBodies } from '../../src/http/bodies.ts';
import { createDelivery, deliveryLimits } from '../../src/http/delivery.ts';
import { type Server, startServer } from '../../src/http/server.ts';
import { openConnection, postRequest } from '../connections.ts';
import { createOperation, type Harness, newCustomer, withHarness } from '../support.ts';

const readBody = JSON.stringify({ query: '{ customer(id: "u7") { id } }' });

function createRequest(reference: string, headers = ''): string {
  return postRequest(JSON.stringify({ query: createOperation, variables: { input: newCustomer(reference) } }), headers);
}

async function inServer(
  run: (harness: Harness, server: Server) => Promise<void>,
  options: { deliveryTimeoutMs?: number } = {},
): Promise<void> {
  await withHarness(async (harness) => {
    const server = await startServer(harness.gateway, { host: '127.0.0.1', port: 0, ...options });
    try {
      await run(harness, server);
    } finally {
      await server.stop(0);
    }
  });
}

const chunked =
  'POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n';

for (const [name, tail, status] of [
  ['bytes that are not HTTP', 'no HTTP at all\r\n\r\n', 400],
  ['bytes of TLS', '\x16\x03\x01\x02\x00\x01', 400],
  ['line breaks and an invalid request line', '\r\n\r\n\0GET / HTTP/1.1\r\n\r\n', 400],
  ['a header without a name', 'GET /health HTTP/1.1\r\nhost: a\r\n: x\r\n\r\n', 400],
  [
    'a length and a transfer encoding',
    'POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx',
    400,
  ],
  ['headers that are too long', `GET /health HTTP/1.1\r\nhost: a\r\nx-long: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ['incomplete headers', 'GET /health HTTP/1.1\r\nhost: a\r\n', 408],
  ['a body with an invalid first chunk', `${chunked}no size\r\n`, 400],
  ['a body with an invalid later chunk', `${chunked}1\r\n{\r\nno size\r\n`, 400],
  ['a body with a chunk that is longer than its size', `${chunked}1\r\n{}\r\n0\r\n\r\n`, 400],
  ['a chunk with long extensions', `${chunked}1;${'x'.repeat(20_000)}\r\n{\r\n`, 413],
] as const) {
  test(`${name} after a create MUST be answered only after the create`, () =>
    inServer(async (harness, { port }) => {
      harness.sandbox.arm({ fault: 'slow', on: 'create', delayMs: status === 408 ? 4_500 : 300 });
      const connection = openConnection(port);
      connection.socket.write(createRequest('reference-1') + tail);
      await connection.closed;
      const [created, refused, ...more] = connection.answers();
      assert.deepEqual([created?.status, refused?.status, more.length], [200, status, 0], connection.text());
      assert.match(created?.body ?? '', /"origin":"CREATED"/);
      assert.ok(Array.isArray((JSON.parse(refused?.body ?? '') as { errors?: unknown }).errors));
      assert.equal(refused?.headers.get('connection'), 'close');
      assert.deepEqual(connection.errors, []);
      assert.deepEqual(harness.upstream(), ['POST /customers']);
    }));
}

test('invalid bytes after two pending creates MUST get a response after both', () =>
  inServer(async (harness, { port }) => {
    harness.sandbox.arm({ fault: 'slow', on: 'create', delayMs: 300 });
    const connection = openConnection(port);
    connection.socket.write(createRequest('reference-1') + createRequest('reference-2'));
    await harness.sandbox.whenCalled(({ method }) => method === 'POST');
    connection.socket.write('no HTTP');
    connection.socket.write(' at all\r\n\r\n');
    await connection.closed;
    assert.deepEqual(
      connection.answers().map(({ status }) => status),
      [200, 200, 400],
    );
    assert.deepEqual(harness.upstream(), ['POST /customers', 'POST /customers']);
  }));

test('bytes after the last request of a connection MUST NOT replace its response', () =>
  inServer(async (harness, { port }) => {
    harness.sandbox.arm({ fault: 'slow', on: 'create', delayMs: 300 });
    const connection = openConnection(port);
    connection.socket.write(`${createRequest('reference-1', 'connection: close\r\n')}no HTTP at all\r\n\r\n`);
    await connection.closed;
    assert.equal(connection.answers()[0]?.status, 200, connection.text());
    assert.match(connection.answers()[0]?.body ?? '', /"origin":"CREATED"/);
  }));

test('all pipelined requests MUST get a response, also if one is refused or the server drains', () =>
  inServer(async (harness, server) => {
    harness.sandbox.arm({ fault: 'slow', on: 'create', delayMs: 500 });
    const connection = openConnection(server.port);
    connection.socket.write(
      `GET /health HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n${createRequest('reference-1')}GET /ready HTTP/1.1\r\nhost: a\r\n\r\n`,
    );
    await harness.sandbox.whenCalled(({ method }) => method === 'POST');
    const stopped = server.stop(10_000);
    await connection.closed;
    await stopped;
    const answers = connection.answers();
    assert.deepEqual(
      answers.map(({ status }) => status),
      [400, 200, 503],
    );
    assert.match(answers[1]?.body ?? '', /"origin":"CREATED"/);
    // Only the last response has `connection: close`.
    assert.deepEqual(
      answers.map(({ headers }) => headers.get('connection') === 'close'),
      [false, false, true],
    );
  }));

test('pipelined requests MUST be served one at a time, and not at all after the client disconnects', () =>
  inServer(async (harness, server) => {
    harness.sandbox.arm({ fault: 'slow', on: 'create', delayMs: 300 });
    const connection = openConnection(server.port);
    connection.socket.write(createRequest('reference-1') + createRequest('reference-2').repeat(20));
    await harness.sandbox.whenCalled(({ method }) => method === 'POST');
    connection.socket.destroy();
    await connection.closed;
    // Resolves when nothing is in flight: requests of a closed connection must not count.
    await harness.gateway.drain();
    assert.deepEqual(harness.upstream(), ['POST /customers']);
  }));

test('the delivery timeout MUST be 30 s', () => {
  assert.equal(deliveryLimits.timeoutMs, 30_000);
});

test('without an option, an idle connection MUST stay open for 65 s', () =>
  inServer(async (_harness, { port }) => {
    const connection = openConnection(port);
    connection.socket.write('GET /health HTTP/1.1\r\nhost: a\r\n\r\n');
    await connection.answered(1);
    assert.equal(connection.answers()[0]?.headers.get('keep-alive'), 'timeout=65');
    connection.socket.destroy();
  }));

/** Requests GraphiQL, a page of megabytes, and does not read it. Resolves when the response has started. */
async function askForPage(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write('GET /graphql HTTP/1.1\r\nhost: a\r\naccept: text/html\r\n\r\n');
  await once(socket, 'readable');
  return socket;
}

test('a client that does not read its response MUST be disconnected', () =>
  inServer(
    async (harness, { port }) => {
      const socket = await askForPage(port);
      // Resolves when nothing is in flight: the response is finished or its connection is closed.
      await harness.gateway.drain();
      socket.resume();
      const [hadError] = await once(socket, 'close');
      assert.ok(hadError || socket.bytesRead < 9_000_000, `${socket.bytesRead} bytes came`);
    },
    { deliveryTimeoutMs: 500 },
  ));

test('the bytes of unread responses MUST be limited, and a response that is read late MUST arrive', async () => {
  const delivery = createDelivery({ timeoutMs: 600_000, maxBytes: 20 * 1024 * 1024, checkIntervalMs: 100 });
  const large = Buffer.alloc(16 * 1024 * 1024);
  const responses: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    responses.push(response);
    delivery.limit(response);
    response.end(large);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sockets = Array.from({ length: 4 }, () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    return socket;
  });
  while (responses.length < 4) await once(server, 'request');
  const left = () => responses.filter(({ closed }) => !closed);
  while (left().length > 1) await Promise.race(left().map((response) => once(response, 'close')));
  const [last] = left();
  assert.ok(last);
  for (const socket of sockets) socket.resume();
  await once(last, 'close');
  assert.ok(last.writableFinished);
  for (const socket of sockets) socket.destroy();
  server.closeAllConnections();
  server.close();
});

test('a shutdown MUST NOT wait for clients that do not read their responses', () =>
  inServer(
    async (_harness, server) => {
      const sockets = await Promise.all(Array.from({ length: 6 }, () => askForPage(server.port)));
      await server.stop(600_000);
      for (const socket of sockets) socket.destroy();
    },
    { deliveryTimeoutMs: 600_000 },
  ));

for (const [name, start] of [
  ['incomplete bodies', 'content-length: 1000\r\n\r\n{'],
  ['incomplete chunked bodies', 'transfer-encoding: chunked\r\n\r\n1\r\n{\r\n'],
] as const) {
  test(`requests with ${name} MUST NOT block other requests`, () =>
    inServer(async (harness, { port, url }) => {
      const idle = Array.from({ length: 2_200 }, () => {
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.write(`POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n${start}`);
        return socket;
      });
      await Promise.all(idle.map((socket) => Promise.race([once(socket, 'connect'), once(socket, 'close')])));
      for (let n = 0; n < 20; n += 1) {
        const response = await fetch(`${url}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: readBody,
        });
        assert.equal(response.status, 200);
      }
      for (const socket of idle) socket.destroy();
      assert.equal(harness.upstream().length, 20);
    }));
}

test('bytes and time of incomplete bodies MUST be limited', async () => {
  const openBody = () => {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const stream = new ReadableStream<Uint8Array>({
      start(given) {
        controller = given;
      },
    });
    return {
      stream,
      send: (bytes: number) => controller?.enqueue(new Uint8Array(bytes)),
      end: () => controller?.close(),
    };
  };
  const byBytes = createBodies({ maxCount: 10, maxBytes: 100_000, timeoutMs: 60_000 });
  const [first, second] = [openBody(), openBody()];
  const oldest = byBytes.read(first.stream, 100_000);
  first.send(60_000);
  const next = byBytes.read(second.stream, 100_000);
  second.send(60_000);
  await assert.rejects(oldest, { code: 'OVERLOADED', status: 503 });
  second.end();
  assert.equal((await next).byteLength, 60_000);

  const byTime = createBodies({ maxCount: 10, maxBytes: 100, timeoutMs: 50 });
  await assert.rejects(byTime.read(openBody().stream, 10), { code: 'BAD_USER_INPUT', status: 408 });
});
