import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import express from 'express';
import { createNodeGateway, socketLimits } from 'juspay-customer-gateway/node';
import { type Sandbox, startSandbox } from 'juspay-customer-gateway/sandbox';
import { createApp as createExpressApp } from '../examples/mount/express.ts';
import { createApp as createFastifyApp } from '../examples/mount/fastify.ts';
import { createApp as createHonoApp } from '../examples/mount/hono.ts';
import { createHandler } from '../examples/mount/lambda.ts';

type Send = (init: RequestInit) => Promise<Response>;
type Options = NonNullable<Parameters<typeof createExpressApp>[0]>;

const query = '{ customer(id: "u7") { id clientAuthToken { __typename } } }';
const expected = {
  data: { customer: { id: 'cst_0123456789abcdef', clientAuthToken: { __typename: 'ClientAuthToken' } } },
};
const json = { 'content-type': 'application/json' };
const post = (body: unknown, headers: object = {}): RequestInit => ({
  method: 'POST',
  headers: { ...json, ...headers },
  body: JSON.stringify(body),
});

async function onSandbox(run: (options: Options, sandbox: Sandbox) => Promise<void>): Promise<void> {
  const sandbox = await startSandbox();
  const { url: baseUrl, apiKey, merchantId } = sandbox;
  try {
    await run({ juspay: { baseUrl, apiKey, merchantId }, auth: { mode: 'none' }, logLevel: 'silent' }, sandbox);
  } finally {
    await sandbox.close();
  }
}

/** Listens on a free port while `run` runs. */
async function serving(listener: RequestListener, run: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(socketLimits, listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
}

/** Checks that apply to every mounted gateway. */
async function assertServes(send: Send, sandbox: Sandbox): Promise<void> {
  sandbox.clearCalls();
  const response = await send(post({ query }));
  assert.equal(response.status, 200);
  assert.match(response.headers.get('x-request-id') ?? '', /^[\w-]{36}$/);
  assert.deepEqual(await response.json(), expected);
  assert.deepEqual(
    sandbox.calls.map(({ method, target }) => `${method} ${target}`),
    ['GET /customers/u7?options.get_client_auth_token=true'],
  );

  sandbox.clearCalls();
  const variables = {
    input: { objectReferenceId: 'mounted-0001', mobileNumber: '9000000077', emailAddress: 'a@example.com' },
  };
  const create = 'mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) { __typename } }';
  const created = await send(post({ query: create, variables }));
  assert.match(await created.text(), /CreateCustomerSuccess|CustomerAlreadyExistsError/);
  assert.equal(sandbox.calls[0]?.form?.['object_reference_id'], 'mounted-0001');

  const page = await send({ headers: { accept: 'text/html' } });
  assert.equal(page.status, 200);
  assert.match(await page.text(), /GraphiQL/);
  const form = await send({ ...post({ query }), headers: { 'content-type': 'text/plain' } });
  assert.equal(form.status, 415);
  assert.match(await form.text(), /BAD_USER_INPUT/);
}

test('Express: behind express.json() and in a nested router', () =>
  onSandbox(async (options, sandbox) => {
    const { app, gateway } = createExpressApp(options);
    await serving(app, async (url) => {
      const send: Send = (init) => fetch(`${url}/api/graphql`, init);
      await assertServes(send, sandbox);
      const byGet = `${url}/api/graphql?${new URLSearchParams({ query: '{ customer(id: "u7") { id } }' })}`;
      const got = await fetch(byGet, { headers: { 'apollo-require-preflight': '1' } });
      assert.deepEqual(await got.json(), { data: { customer: { id: 'cst_0123456789abcdef' } } });
      // The gateway checks the size of a body that express.json() parsed: the limit of express.json() may be higher.
      assert.equal((await send({ ...post([]), body: '{}' })).status, 400);
      assert.equal((await send(post([{ query }]))).status, 400);
      const compressed = await send({
        method: 'POST',
        headers: { ...json, 'content-encoding': 'gzip' },
        body: gzipSync(JSON.stringify({ query })),
      });
      assert.equal(compressed.status, 415);
      // express.json() rejects these two itself. They do not reach the gateway.
      assert.equal((await send({ ...post({}), body: '{' })).status, 400);
      assert.equal((await send(post({ query, padding: 'x'.repeat(70_000) }))).status, 413);
    });
    await gateway.dispose();
  }));

test('Express: without a body parser, and with one whose limit is higher than that of the gateway', () =>
  onSandbox(async (options, sandbox) => {
    const gateway = createNodeGateway(options);
    const bare = express();
    bare.use('/graphql', gateway.listener);
    const wide = express();
    wide.use(express.json({ limit: '1mb' }));
    wide.use('/graphql', gateway.listener);
    const padded = JSON.stringify({ query, padding: 'x'.repeat(70_000) });
    for (const app of [bare, wide]) {
      await serving(app, async (url) => {
        await assertServes((init) => fetch(`${url}/graphql`, init), sandbox);
        sandbox.clearCalls();
        for (const body of [padded, new Blob([padded]).stream()]) {
          const refused = await fetch(`${url}/graphql`, { method: 'POST', headers: json, body, ...{ duplex: 'half' } });
          assert.equal(refused.status, 413);
          assert.match(await refused.text(), /BAD_USER_INPUT/);
        }
        assert.equal(sandbox.calls.length, 0);
      });
    }
    await gateway.dispose();
  }));

test('Fastify: the gateway reads the body', () =>
  onSandbox(async (options, sandbox) => {
    const { app } = createFastifyApp(options);
    const url = await app.listen({ port: 0, host: '127.0.0.1' });
    try {
      const send: Send = (init) => fetch(`${url}/graphql`, init);
      await assertServes(send, sandbox);
      const refused = await send(post({ query, padding: 'x'.repeat(70_000) }));
      assert.equal(refused.status, 413);
      assert.match(await refused.text(), /BAD_USER_INPUT/);
    } finally {
      await app.close();
    }
  }));

test('Hono', () =>
  onSandbox(async (options, sandbox) => {
    const { app, gateway } = createHonoApp(options);
    await assertServes(async (init) => app.request('/api/graphql', init), sandbox);
    await gateway.dispose();
  }));

test('Next: a route handler', () =>
  onSandbox(async (_options, sandbox) => {
    const settings = {
      JUSPAY_BASE_URL: sandbox.url,
      JUSPAY_API_KEY: sandbox.apiKey,
      JUSPAY_MERCHANT_ID: sandbox.merchantId,
      AUTH_MODE: 'none',
      LOG_LEVEL: 'silent',
    };
    Object.assign(process.env, settings);
    try {
      const { GET, POST } = await import('../examples/mount/next/app/api/graphql/route.ts');
      const handlers = new Map([
        ['GET', GET],
        ['POST', POST],
      ]);
      const send: Send = async (init) => {
        const request = new Request('http://app.test/api/graphql', init);
        const response = await handlers.get(request.method)?.(request);
        // Next accepts only the platform's Response.
        assert.ok(response instanceof Response);
        return response;
      };
      await assertServes(send, sandbox);
    } finally {
      for (const name of Object.keys(settings)) delete process.env[name];
    }
  }));

test('AWS Lambda: an event of an HTTP API, with callers counted by its source address', () =>
  onSandbox(async (options, sandbox) => {
    const handler = createHandler({ ...options, rateLimit: { perMinute: 5 } });
    const invoke = async (init: RequestInit, sourceIp: string, isBase64Encoded = false): Promise<Response> => {
      const body = typeof init.body === 'string' ? init.body : undefined;
      const event = {
        version: '2.0',
        routeKey: '$default',
        rawPath: '/graphql',
        rawQueryString: '',
        headers: { host: 'api.test', ...(init.headers as Record<string, string>) },
        ...(body !== undefined && { body: isBase64Encoded ? Buffer.from(body).toString('base64') : body }),
        isBase64Encoded,
        requestContext: { http: { method: init.method ?? 'GET', path: '/graphql', protocol: 'HTTP/1.1', sourceIp } },
      };
      const { statusCode, headers, body: text } = await handler(event);
      assert.equal(typeof text, 'string');
      return new Response(text, { status: statusCode, headers });
    };
    await assertServes((init) => invoke(init, '192.0.2.1'), sandbox);
    assert.deepEqual(await (await invoke(post({ query }), '192.0.2.2', true)).json(), expected);
    const byGet = { headers: { 'apollo-require-preflight': '1' } };
    assert.equal((await invoke(byGet, '192.0.2.2')).status, 400);

    const answers = [];
    for (let count = 0; count < 6; count += 1) answers.push((await invoke(post({ query }), '192.0.2.3')).status);
    assert.deepEqual(answers, [200, 200, 200, 200, 200, 429]);
    assert.equal((await invoke(post({ query }), '192.0.2.4')).status, 200);
  }));

test('the server of an application MUST be able to apply the socket limits of the gateway', () =>
  onSandbox(async (options) => {
    const gateway = createNodeGateway(options);
    await serving(gateway.listener, async (url) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      let answer = '';
      socket.on('data', (data) => {
        answer += data;
      });
      // Headers that never end: the server closes the connection.
      socket.write('POST /graphql HTTP/1.1\r\nhost: app.test\r\n');
      await once(socket, 'close');
      assert.match(answer, /^HTTP\/1\.1 408 /);
    });
    await gateway.dispose();
  }));

test('draining MUST finish in-flight operations in a framework too', () =>
  onSandbox(async (options, sandbox) => {
    const { app, gateway } = createExpressApp(options);
    await serving(app, async (url) => {
      const slow = fetch(`${url}/api/graphql`, post({ query: '{ customer(id: "fault_slow") { id } }' }));
      await sandbox.whenCalled(({ pathId }) => pathId === 'fault_slow');
      const drained = gateway.drain();
      const refused = await fetch(`${url}/api/graphql`, post({ query }));
      assert.equal(refused.status, 503);
      assert.match(await refused.text(), /OVERLOADED/);
      assert.equal((await slow).status, 200);
      await drained;
    });
    await gateway.dispose();
  }));
