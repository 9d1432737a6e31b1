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
      call: { method: 'GET', path: `/customers/c${n}`, routingId: `c${n}` },
      waiter: { caller: 'caller', requestId: `request ${n}` },
      cancellation: never,
      key: undefined,
      leftMs: () => 5_000,
      waitMs: () => 5_000,
      isRefused: () => false,
      onExchange() {},
      onEnd: resolve,
      onFault: reject,
    };
    transport.send(sending);
  });
}

/** Answers no request: closes each connection when it has one. */
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
  let closedPort = 0;
  const sendAll = async (port: number) => {
    const transport = openTransport(port, 2);
    const results = await Promise.all(Array.from({ length: 20 }, (_, n) => send(transport, n)));
    await transport.close();
    return results;
  };
  const isSent = (result: Result) => typeof result === 'object' && result.kind === 'failure' && result.sent;
  await withServer(
    async (port) => {
      closedPort = port;
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
  const results = await sendAll(closedPort);
  assert.deepEqual(results.map(kindOf), Array(20).fill('failure'));
  assert(!results.some(isSent));
  assert.equal(requests, 20);
});
