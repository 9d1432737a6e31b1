import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { never } from '../../src/customers/cancellation.ts';
import { createDeadlines } from '../../src/customers/deadlines.ts';
import type { Exchange, Sending, Transport } from '../../src/juspay/exchange.ts';
import { createTransport } from '../../src/juspay/transport.ts';

type Result = Exchange | 'refused' | 'full';

function openTransport(port: number, connections: number): Transport {
  return createTransport({
    baseUrl: `http://127.0.0.1:${port}`,
    merchantId: 'merchant',
    keys: () => [{ reveal: () => 'key' }],
    connections,
    connectTimeoutMs: 5_000,
    deadlines: createDeadlines(),
  });
}

function send(transport: Transport, n: number): Promise<Result> {
  return new Promise((resolve, reject) => {
    const sending: Sending = {
      call: { method: 'GET', path: `/customers/c${n}`, routingId: `c${n}`, withToken: false },
      waiter: { caller: 'caller', requestId: `request ${n}` },
      cancellation: never,
      key: undefined,
      endsAtMs: (startedAtMs) => startedAtMs + 5_000,
      waitsUntilMs: performance.now() + 5_000,
      isRefused: () => false,
      onExchange() {},
      onEnd: resolve,
      onFault: reject,
    };
    transport.send(sending);
  });
}

async function withServer(run: (port: number) => Promise<void>, onData: (socket: Socket) => void): Promise<void> {
  const server = createServer((socket) => socket.on('error', () => undefined).on('data', () => onData(socket)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await run((server.address() as AddressInfo).port);
  } finally {
    server.close();
  }
}

const kindOf = (result: Result) => (typeof result === 'string' ? result : result.kind);

test('calls that wait for a connection MUST be sent when those before them fail', async () => {
  let requests = 0;
  const sendAll = async (port: number) => {
    const transport = openTransport(port, 2);
    const results = await Promise.all(Array.from({ length: 20 }, (_, n) => send(transport, n)));
    await transport.close();
    return results;
  };
  const isSent = (result: Result) => typeof result === 'object' && result.kind === 'failure' && result.sent;
  await withServer(
    async (port) => {
      const results = await sendAll(port);
      assert.deepEqual(results.map(kindOf), Array(20).fill('failure'));
      assert(results.every(isSent));
    },
    (socket) => {
      requests += 1;
      socket.destroy();
    },
  );
  assert.equal(requests, 20);
  // Nothing listens there. A port that was just closed can belong to another test.
  const results = await sendAll(9);
  assert.deepEqual(results.map(kindOf), Array(20).fill('failure'));
  assert(!results.some(isSent));
  assert.equal(requests, 20);
});

test('a response that belongs to no request MUST NOT become the response of the next call on its connection', async () => {
  const write = (socket: Socket, body: string) =>
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  let requests = 0;
  await withServer(
    async (port) => {
      const transport = openTransport(port, 1);
      const results = await Promise.all([send(transport, 1), send(transport, 2)]);
      const bodies = results.map(
        (result) => typeof result === 'object' && result.kind === 'response' && `${result.body}`,
      );
      assert.deepEqual(bodies, ['first', 'second']);
      await transport.close();
    },
    (socket) => {
      requests += 1;
      write(socket, requests === 1 ? 'first' : 'second');
      // In the turn of the loop in which the first response is read, before the second request is written.
      if (requests === 1) setImmediate(() => setImmediate(() => write(socket, 'stray')));
    },
  );
  assert.equal(requests, 2);
});
