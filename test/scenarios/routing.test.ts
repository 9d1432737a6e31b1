import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Server, startMetricsServer, startServer } from '../../src/http/server.ts';
import { codesOf, type Harness, withHarness } from '../support.ts';

const document = JSON.stringify({ query: '{ customer(id: "u7") { id } }' });
const json = { 'content-type': 'application/json' };

/** Runs `test` with a listening gateway that accepts no credentials. */
async function withoutCallers(run: (harness: Harness, server: Server) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'routing-'));
  const file = join(folder, 'keys.json');
  writeFileSync(file, '[]');
  try {
    await withHarness(
      async (harness) => {
        const server = await startServer(harness.gateway, { host: '127.0.0.1', port: 0 });
        try {
          await run(harness, server);
        } finally {
          await server.stop(0);
        }
      },
      { AUTH_MODE: 'api-key', AUTH_API_KEYS_FILE: file },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Sends raw bytes, and reads until the server closes the connection. */
function sendRaw(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (data) => {
      answer += String(data);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
  });
}

test('no path except the endpoint MUST reach GraphQL, and no path MUST bypass authentication', () =>
  withoutCallers(async (harness) => {
    const paths = {
      '/graphql': 401,
      '/graphql?x=/health': 401,
      '/graphql/': 404,
      '/any/graphql': 404,
      '/any/graphql/': 404,
      '//graphql': 404,
      '/any?x=/graphql': 404,
      '/any?/graphql/': 404,
      '/any?/ready': 404,
      '/GraphQL': 404,
      '/': 404,
    };
    for (const [path, status] of Object.entries(paths)) {
      const answer = await harness.fetch({ path, method: 'POST', headers: json, body: document });
      assert.equal(answer.status, status, path);
      assert.deepEqual(codesOf(answer), { '': status === 401 ? 'UNAUTHENTICATED' : 'BAD_USER_INPUT' }, path);
      const page = await harness.fetch({ path, headers: { accept: 'text/html' } });
      assert.equal(
        page.headers.get('content-type')?.startsWith('text/html'),
        path.startsWith('/graphql') && status === 401,
        path,
      );
    }
    assert.deepEqual(harness.upstream(), []);
  }));

const head = `content-type: application/json\r\ncontent-length: ${document.length}\r\nconnection: close\r\n\r\n${document}`;

for (const [name, text, status] of [
  ['an invalid host', `POST /graphql HTTP/1.1\r\nhost: [\r\n${head}`, 400],
  ['a host with a space', `POST /graphql HTTP/1.1\r\nhost: a b\r\n${head}`, 400],
  ['no host', `POST /graphql HTTP/1.1\r\n${head}`, 400],
  ['two hosts', `POST /graphql HTTP/1.1\r\nhost: a\r\nhost: a\r\n${head}`, 400],
  ['two hosts in HTTP/1.0', `POST /graphql HTTP/1.0\r\nHost: a\r\nhost: b\r\n${head}`, 400],
  ['a host with a path', `POST /any HTTP/1.1\r\nhost: a/graphql?\r\n${head}`, 404],
  ['a host with a path and a fragment', `POST /any HTTP/1.1\r\nhost: a/graphql#\r\n${head}`, 404],
  ['a host with another path', `POST /graphql HTTP/1.1\r\nhost: a/any?\r\n${head}`, 401],
  ['no host in HTTP/1.0', `POST /graphql HTTP/1.0\r\n${head}`, 401],
  ['an empty host', `POST /graphql HTTP/1.1\r\nhost:\r\n${head}`, 401],
  ['an absolute target', `POST http://a/graphql HTTP/1.1\r\nhost: a\r\n${head}`, 401],
  ['an absolute target with another host', `POST HTTPS://b:1/graphql?x HTTP/1.1\r\nhost: a\r\n${head}`, 401],
  ['an absolute target in HTTP/1.0', `POST http://a/graphql HTTP/1.0\r\n${head}`, 401],
  ['an absolute target with another path', `POST http://a/graphql/../any HTTP/1.1\r\nhost: a\r\n${head}`, 404],
  ['an absolute target without a path', `POST http://graphql HTTP/1.1\r\nhost: a\r\n${head}`, 404],
  ['a path with dot segments', `POST /static/../graphql HTTP/1.1\r\nhost: a\r\n${head}`, 404],
  ['a path with encoded dot segments', `POST /x/%2e%2e/graphql HTTP/1.1\r\nhost: a\r\n${head}`, 404],
  ['a path with a dot', `POST /./graphql HTTP/1.1\r\nhost: a\r\n${head}`, 404],
  ['a path with an encoded letter', `POST /%67raphql HTTP/1.1\r\nhost: a\r\n${head}`, 404],
  ['a path with a backslash', `POST /any\\..\\graphql HTTP/1.1\r\nhost: a\r\n${head}`, 404],
  ['a path with a fragment', `POST /graphql#x HTTP/1.1\r\nhost: a\r\n${head}`, 404],
  ['two slashes', `POST //graphql HTTP/1.1\r\nhost: a\r\n${head}`, 404],
  ['dot segments after the path of the health check', `POST /health/../graphql HTTP/1.1\r\nhost: a\r\n${head}`, 404],
  ['an Expect header', `POST /graphql HTTP/1.1\r\nhost: a\r\nexpect: more\r\n${head}`, 417],
  ['headers over 16 KiB', `POST /graphql HTTP/1.1\r\nhost: a\r\nx-long: ${'x'.repeat(20_000)}\r\n${head}`, 431],
  [
    'a length and a transfer encoding',
    `POST /graphql HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n${head}`,
    400,
  ],
  ['bytes that are not HTTP', '\x16\x03\x01\r\n\r\n', 400],
  ['an incomplete body', `POST /graphql HTTP/1.1\r\nhost: a\r\n${head.slice(0, -9)}`, 401],
] as const) {
  test(`a request with ${name} MUST be refused with ${status} and an error body without a stack`, () =>
    withoutCallers(async (harness, server) => {
      const answer = await sendRaw(server.port, text);
      const [, code, headers = '', body = ''] = /^HTTP\/1\.1 (\d+) [^\r]*\r\n(.*?)\r\n\r\n(.*)$/s.exec(answer) ?? [];
      assert.equal(Number(code), status, answer);
      assert.match(headers, /^content-type: application\/json/im);
      assert.match(headers, /^cache-control: no-store/im);
      const { errors } = JSON.parse(body) as { errors: { message: string; extensions: object }[] };
      assert.deepEqual(Object.keys(errors[0]?.extensions ?? {}), ['code', 'retryable', 'requestId']);
      assert.doesNotMatch(answer, /node:internal|node_modules| {4}at /);
      assert.deepEqual(harness.upstream(), []);
    }));
}

test('routing MUST use the request target only, never Host: health, readiness, GraphiQL and metrics', () =>
  withHarness(async (harness) => {
    const server = await startServer(harness.gateway, { host: '127.0.0.1', port: 0 });
    const metrics = await startMetricsServer(
      { contentType: 'text/plain', read: async () => 'the metrics' },
      { host: '127.0.0.1', port: 0 },
    );
    const mutation = JSON.stringify({
      query: 'mutation { updateCustomer(id: "u7", input: { firstName: "A" }) { __typename } }',
    });
    const body = `content-type: application/json\r\ncontent-length: ${mutation.length}\r\nconnection: close\r\n\r\n${mutation}`;
    const page = 'accept: text/html\r\nconnection: close\r\n\r\n';
    const end = 'connection: close\r\n\r\n';
    for (const [port, text, status] of [
      [server.port, `POST /health HTTP/1.1\r\nhost: x/graphql?\r\n${body}`, 200],
      [server.port, `POST /no/such HTTP/1.1\r\nhost: x/graphql#\r\n${body}`, 404],
      [server.port, `POST /graphql/../health HTTP/1.1\r\nhost: x\r\n${body}`, 404],
      [server.port, `GET /health HTTP/1.0\r\n${end}`, 200],
      [server.port, `GET http://x/health HTTP/1.1\r\nhost: x\r\n${end}`, 200],
      [server.port, `GET http://x/ready HTTP/1.0\r\n${end}`, 200],
      [server.port, `GET /x/../ready HTTP/1.1\r\nhost: x\r\n${end}`, 404],
      [server.port, `GET /ready HTTP/1.1\r\nhost: x\r\nhost: x\r\n${end}`, 400],
      [server.port, `GET /any HTTP/1.1\r\nhost: x/ready?\r\n${end}`, 404],
      [server.port, `GET /any HTTP/1.1\r\nhost: x/graphql?\r\n${page}`, 404],
      [server.port, `GET /x/../graphql HTTP/1.1\r\nhost: x\r\n${page}`, 404],
      [server.port, `GET http://x/graphql HTTP/1.1\r\nhost: x\r\n${page}`, 200],
      [server.port, `GET /graphql HTTP/1.0\r\n${page}`, 200],
      [metrics.port, `GET /metrics?x HTTP/1.0\r\n${end}`, 200],
      [metrics.port, `GET http://x/metrics HTTP/1.1\r\nhost: x\r\n${end}`, 200],
      [metrics.port, `GET /any/../metrics HTTP/1.1\r\nhost: x\r\n${end}`, 404],
      [metrics.port, `GET /any HTTP/1.1\r\nhost: x/metrics?\r\n${end}`, 404],
      [metrics.port, `GET /metrics HTTP/1.1\r\nhost: x\r\nhost: y\r\n${end}`, 400],
    ] as const) {
      const answer = await sendRaw(port, text);
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), text);
      assert.equal(answer.includes('<html'), text.includes('text/html') && status === 200, text);
    }
    await server.stop(0);
    await metrics.close();
    assert.deepEqual(harness.upstream(), []);
  }));

test('a mounted gateway MUST also route by the request target, including the mount path of its framework', () =>
  withHarness(async (harness) => {
    const host = createServer((request, response) => {
      // As Express does below `app.use('/graphql', …)`.
      Object.assign(request, { originalUrl: request.url, url: '/' });
      harness.gateway.listener(request, response);
    }).listen(0, '127.0.0.1');
    await once(host, 'listening');
    const { port } = host.address() as AddressInfo;
    const statusOf = async (line: string) =>
      (await sendRaw(port, `POST ${line}\r\n${head}`)).slice('HTTP/1.1 '.length, 12);
    assert.equal(await statusOf('/graphql HTTP/1.1\r\nhost: a'), '200');
    assert.equal(await statusOf('/static/../graphql HTTP/1.1\r\nhost: a'), '404');
    assert.equal(await statusOf('/any HTTP/1.1\r\nhost: a/graphql?'), '404');
    assert.deepEqual(harness.upstream(), ['GET /customers/u7']);
    host.close();
  }));

test('a framework in front that has sent a response of its own MUST NOT be disturbed by the answer', () =>
  withHarness(async (harness) => {
    const host = createServer((request, response) => {
      harness.gateway.listener(request, response);
      response.writeHead(503, { 'content-length': '4' }).end('late');
    }).listen(0, '127.0.0.1');
    await once(host, 'listening');
    const { port } = host.address() as AddressInfo;
    try {
      const post = `POST /graphql HTTP/1.1\r\nhost: a\r\n${head}`;
      const get = 'GET /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n';
      for (const text of [post, get]) assert.match(await sendRaw(port, text), /^HTTP\/1\.1 503 .*\r\n\r\nlate$/s);
      assert.ok(harness.log.every((line) => !line.includes('unexpected error')));
    } finally {
      host.close();
    }
  }));

test('the refusal of a body that is too long or not read MUST reach a client that is still sending it', () =>
  withoutCallers(async (harness, server) => {
    const chunked = (bytes: number) => new Blob([document, ' '.repeat(bytes)]).stream();
    const send = async (path: string, body: BodyInit, headers: Record<string, string>): Promise<number> => {
      const init = { method: 'POST', body, headers, duplex: 'half' };
      const response = await fetch(`${server.url}${path}`, init as RequestInit);
      assert.ok(Array.isArray(((await response.json()) as { errors: unknown }).errors));
      return response.status;
    };
    for (let n = 0; n < 10; n += 1) {
      assert.equal(await send('/graphql', ' '.repeat(5_000_000), json), 413);
      assert.equal(await send('/graphql', chunked(1_000_000), json), 401);
      assert.equal(await send('/graphql', chunked(1_000_000), { 'content-type': 'text/plain' }), 415);
      assert.equal(await send('/any', chunked(1_000_000), json), 404);
    }
    assert.deepEqual(harness.upstream(), []);
  }));

test('a chunked body over the limit MUST be refused with a 413 that reaches the client', () =>
  withHarness(async (harness) => {
    const server = await startServer(harness.gateway, { host: '127.0.0.1', port: 0 });
    for (let n = 0; n < 10; n += 1) {
      const body = new Blob([document, ' '.repeat(1_000_000)]).stream();
      const init = { method: 'POST', headers: json, body, duplex: 'half' };
      const response = await fetch(`${server.url}/graphql`, init as RequestInit);
      assert.equal(response.status, 413);
      assert.match(await response.text(), /"code":"BAD_USER_INPUT"/);
    }
    await server.stop(0);
    assert.deepEqual(harness.upstream(), []);
  }));
