import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startServer } from '../../src/http/server.ts';
import { openConnection } from '../connections.ts';
import { withHarness } from '../support.ts';

const id = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

test('a probe MUST have the same response from node:http, from the Fetch API, and through Yoga', () =>
  withHarness(async ({ gateway, upstream }) => {
    const server = await startServer(gateway, { host: '127.0.0.1', port: 0 });
    const connection = openConnection(server.port);
    const shapeOf = (status: number, headers: Headers, body: string) => {
      assert.match(headers.get('x-request-id') ?? '', id);
      const own = [...headers].filter(
        ([name]) => !/^(date|connection|keep-alive|content-length|x-request-id)$/.test(name),
      );
      return { status, headers: Object.fromEntries(own), body };
    };
    const compare = async (path: string, status: number) => {
      const expected = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
      for (const method of ['GET', 'HEAD', 'POST']) {
        for (const headers of [{}, { origin: 'https://elsewhere.test' }]) {
          const request = new Request(`http://gateway.test${path}`, { method, headers });
          const fetched = await gateway.fetch(request);
          const received = await fetch(`${server.url}${path}`, { method, headers });
          for (const response of [fetched, received]) {
            const shape = shapeOf(response.status, response.headers, await response.text());
            assert.deepEqual(shape, { status, headers: expected, body: '' }, `${method} ${path}`);
          }
        }
      }
    };
    try {
      await compare('/health', 200);
      await compare('/ready?x=1', 200);
      // A body that nobody reads does not disturb the next request of the connection.
      const probe = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nabcde`;
      connection.socket.write(probe('/ready') + probe('/health'));
      await connection.answered(2);
      assert.deepEqual(
        connection.answers().map((answer) => answer.status),
        [200, 200],
      );
      void gateway.drain(60_000);
      await compare('/ready', 503);
      await compare('/health', 200);
      assert.deepEqual(upstream(), []);
    } finally {
      connection.socket.destroy();
      await server.stop(0);
    }
  }));
