import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { createBodies } from '../../src/http/bodies.ts';
import { answerType, isJson } from '../../src/http/media.ts';
import { startServer } from '../../src/http/server.ts';
import { jwtSettings, withHarness } from '../support.ts';

test('the number of incomplete bodies MUST be limited, and the oldest MUST be refused first', async () => {
  const bodies = createBodies({ maxCount: 1, maxBytes: 1_000_000, timeoutMs: 60_000 });
  const oldest = bodies.read(new ReadableStream(), 10);
  const next = bodies.read(new Blob(['abc']).stream(), 10);
  await assert.rejects(oldest, { code: 'OVERLOADED', status: 503 });
  assert.equal((await next).byteLength, 3);
});

test('headers that are parsed before authentication MUST have a length limit', () => {
  const commas = ','.repeat(16_000);
  assert.equal(answerType(`application/json${commas}`), 'application/json');
  assert.equal(answerType(`${commas}application/json`), undefined);
  assert.equal(isJson('application/json; charset=utf-8'), true);
  assert.equal(isJson(`application/json${';a=b'.repeat(4_000)}`), false);
});

test('the chunks of a body that arrives byte by byte MUST be copied and released', async () => {
  const count = 2_000;
  const chunks: WeakRef<Uint8Array>[] = [];
  const all = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (chunks.length === count) {
        all.resolve();
        await finish.promise;
        controller.close();
        return;
      }
      const chunk = new Uint8Array([chunks.length % 256]);
      chunks.push(new WeakRef(chunk));
      controller.enqueue(chunk);
    },
  });
  const body = createBodies().read(stream, 65_536);
  await all.promise;
  // A weak reference keeps its target until the current turn ends.
  await new Promise((resolve) => setImmediate(resolve));
  globalThis.gc?.();
  const kept = chunks.filter((chunk) => chunk.deref() !== undefined).length;
  assert.ok(kept < count / 10, `${kept} of ${count} chunks are kept`);
  finish.resolve();
  assert.deepEqual(
    [...(await body)],
    Array.from({ length: count }, (_, index) => index % 256),
  );
});

const body = '{"query":"{ __typename }"}';
const json = 'content-type: application/json\r\n';
const repeat = (text: string, length: number) => text.repeat(Math.ceil(length / text.length)).slice(0, length);
const post = (headers: string, path = '/graphql', type = json) =>
  `POST ${path} HTTP/1.1\r\nhost: a\r\n${type}${headers}content-length: ${body.length}\r\n\r\n${body}`;
const get = (query: string) => `GET /graphql${query} HTTP/1.1\r\nhost: a\r\n${json}\r\n`;
/** A request with a header that repeats a text up to a length. */
const header =
  (name: string, text: string, start = '', end = '') =>
  (length: number) =>
    post(`${name}: ${start}${repeat(text, length)}${end}\r\n`);
const digits = `${'1'.repeat(32)}-${'1'.repeat(16)}`;

/** Requests without valid credentials, whose heads are hard to read. The number is the length of the part that is repeated. */
const heads: Readonly<Record<string, (length: number) => string>> = {
  'Accept of commas': header('accept', ','),
  'Accept of semicolons': header('accept', ';'),
  'Accept of weights': header('accept', '*/*;q=0.001,'),
  'Authorization with one long token': header('authorization', 'a', 'Bearer '),
  'Authorization of dots': header('authorization', '.', 'Bearer '),
  'Authorization of blanks': header('authorization', ' ', 'Bearer', 'x'),
  'Authorization of schemes': header('authorization', 'Bearer '),
  'Authorization with a long payload': header('authorization', 'e', 'Bearer eyJhbGciOiJIUzI1NiJ9.', '.e'),
  'x-api-key': header('x-api-key', 'a'),
  'traceparent of digits': header('traceparent', '0'),
  'traceparent of hyphens': header('traceparent', '-', `00-${digits}-01`),
  'traceparent of a later version': header('traceparent', 'x', `01-${digits}-01-`),
  'X-Forwarded-For of commas': header('x-forwarded-for', ','),
  'X-Forwarded-For of addresses': header('x-forwarded-for', '1.1.1.1,'),
  'X-Forwarded-For of one long address': header('x-forwarded-for', '1.'),
  'X-Forwarded-For of colons': header('x-forwarded-for', ':'),
  'X-Forwarded-For in many lines': (length) => post('x-forwarded-for: 1.1.1.1\r\n'.repeat(length / 26)),
  'Content-Type of semicolons': (length) =>
    post('', '/graphql', `content-type: application/json${repeat(';', length)}\r\n`),
  'Content-Type of charsets': (length) =>
    post('', '/graphql', `content-type: application/json${repeat(';charset=utf-8', length)}\r\n`),
  'Content-Encoding of commas': header('content-encoding', ' ,', '', 'x'),
  'Origin of ports': header('origin', ':1', 'http://localhost'),
  'x-request-timeout-ms': header('x-request-timeout-ms', '1'),
  'query string of & in a POST': (length) => post('', `/graphql?${repeat('&', length)}`),
  'query string of parameters in a POST': (length) => post('', `/graphql?${repeat('a&', length)}`),
  'query string of escapes in a POST': (length) => post('', `/graphql?${repeat('%41=&', length)}`),
  'query string of & in a GET': (length) => get(`?${repeat('&', length)}`),
  'query string of parameters in a GET': (length) => get(`?${repeat('a=&', length)}`),
  'query string of blanks in a GET': (length) => get(`?query=${repeat('+', length)}`),
  'variables of brackets in a GET': (length) => get(`?query=a&variables=${repeat('[', length)}`),
  'path of slashes': (length) => post('', repeat('/', length)),
  'path of dot segments': (length) => post('', repeat('/..', length)),
};
const shortLength = 1_750;
const longLength = 14_000;
/** Proportional growth is at most 8, quadratic growth is 64. */
const maxGrowth = 16;
/** Limit of the cost, as a multiple of the cost of an ignored header of the same length. */
const maxFactor = 30;

test('the CPU time for a head of 14 KiB without valid credentials MUST be proportional to its length, whatever it holds', (context) =>
  withHarness(
    async (harness) => {
      const server = await startServer(harness.gateway, { host: '127.0.0.1', port: 0 });
      const socket = connect(server.port, '127.0.0.1');
      let answers = 0;
      socket.on('data', (data) => {
        answers += String(data).split('HTTP/1.1 ').length - 1;
      });
      /** The CPU time of a request: the least of several rounds, so that garbage collection does not count. */
      const costOf = async (request: string) => {
        const costs: number[] = [];
        for (let round = 0; round < 5; round += 1) {
          const before = process.cpuUsage();
          for (let n = 0; n < 30; n += 1) {
            const expected = answers + 1;
            socket.write(request);
            while (answers < expected) await once(socket, 'data');
          }
          const { user, system } = process.cpuUsage(before);
          costs.push(user + system);
        }
        return Math.min(...costs);
      };
      try {
        const plain = header('x-ignored', 'x')(longLength);
        // The code is compiled first.
        for (let n = 0; n < 5; n += 1) await costOf(plain);
        for (const [name, headOf] of Object.entries(heads)) {
          const cost = await costOf(headOf(longLength));
          const growth = cost / (await costOf(headOf(shortLength)));
          const factor = cost / (await costOf(plain));
          context.diagnostic(`${name}: growth ${growth.toFixed(1)}, factor ${factor.toFixed(1)}`);
          assert.ok(growth < maxGrowth, `${name}: growth ${growth}`);
          assert.ok(factor < maxFactor, `${name}: factor ${factor}`);
        }
      } finally {
        socket.destroy();
        await server.stop(0);
      }
      assert.deepEqual(harness.upstream(), []);
    },
    { ...jwtSettings, TRUST_PROXY: '1', RATE_LIMIT_PER_MINUTE: '1000000', CORS_ORIGINS: 'https://shop.example' },
  ));

test('the CPU time for a body that arrives byte by byte MUST be proportional to its length', (context) =>
  withHarness(async (harness) => {
    const server = await startServer(harness.gateway, { host: '127.0.0.1', port: 0 });
    const socket = connect(server.port, '127.0.0.1');
    const costOf = async (length: number) => {
      const text = body.padEnd(length);
      const chunks = [...text].map((character) => `1\r\n${character}\r\n`).join('');
      const request = `POST /graphql HTTP/1.1\r\nhost: a\r\n${json}transfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`;
      const costs: number[] = [];
      for (let round = 0; round < 5; round += 1) {
        const before = process.cpuUsage();
        socket.write(request);
        const [answer] = await once(socket, 'data');
        const { user, system } = process.cpuUsage(before);
        assert.match(String(answer), /^HTTP\/1\.1 200 /);
        costs.push(user + system);
      }
      return Math.min(...costs);
    };
    try {
      await costOf(65_000);
      const growth = (await costOf(65_000)) / (await costOf(8_125));
      context.diagnostic(`growth ${growth.toFixed(1)}`);
      assert.ok(growth < maxGrowth, `growth ${growth}`);
    } finally {
      socket.destroy();
      await server.stop(0);
    }
  }));

test('only the end of X-Forwarded-For MUST be read: a mounted gateway has no limit for headers', (context) =>
  withHarness(
    async (harness) => {
      const text = ','.repeat(1_000_000);
      const costOf = async (name: string) => {
        const costs: number[] = [];
        for (let round = 0; round < 5; round += 1) {
          const before = process.cpuUsage();
          const headers = { 'content-type': 'application/json', [name]: text };
          const { status } = await harness.fetch({ method: 'POST', headers, body });
          assert.equal(status, 401);
          const { user, system } = process.cpuUsage(before);
          costs.push(user + system);
        }
        return Math.min(...costs);
      };
      const factor = (await costOf('x-forwarded-for')) / (await costOf('x-ignored'));
      context.diagnostic(`factor ${factor.toFixed(1)}`);
      assert.ok(factor < 2.5, `factor ${factor}`);
    },
    { ...jwtSettings, TRUST_PROXY: '1', RATE_LIMIT_PER_MINUTE: '1000' },
  ));
