import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { openGateway } from '../../src/gateway.ts';
import { startServer } from '../../src/http/server.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { bearer, jwtSettings, startHarness } from '../support.ts';

const merchants = 50;
const callers = 20;
const operations = 10_000;
const tokenFor = (merchant: string, customer: string) =>
  bearer({ sub: customer, scope: 'customer:read customer:token', merchant_id: merchant, customer });

test('10,000 concurrent operations of 50 merchants with 20 callers each MUST NOT return values of another caller', async (context) => {
  // The provider puts the key and the path of the call into each value. All merchants use the same references.
  const provider = createServer((request, response) => {
    const key = Buffer.from((request.headers.authorization ?? '').slice(6), 'base64')
      .toString()
      .replace(':', '');
    const [path = '', query] = (request.url ?? '').split('?');
    const reference = decodeURIComponent(path.slice('/customers/'.length));
    const tag = `${key}/${reference}`;
    const matches = request.headers['x-merchantid'] === key.replace('key-of-', '');
    const customer = {
      id: `cth_${tag}`,
      object_reference_id: reference,
      first_name: matches ? tag : 'wrong merchant',
      email_address: tag,
      ...(query && { juspay: { client_auth_token: `tkn_${tag}`, client_auth_token_expiry: '2099-01-01T00:00:00Z' } }),
    };
    setImmediate(() => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(customer)));
  }).listen(0, '127.0.0.1');
  await once(provider, 'listening');
  const baseUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  const access = (n: number) => ({ baseUrl, merchantId: `m-${n}`, apiKey: new Secret(`key-of-m-${n}`) });
  const gateway = openGateway(
    {
      ...loadConfig({
        ...jwtSettings,
        JUSPAY_CONNECTIONS: '4',
        // Long timeouts, because a timeout on a slow machine would count as a foreign value.
        JUSPAY_TIMEOUT_MS: '600000',
        OPERATION_TIMEOUT_MS: '600000',
      }),
      provider: undefined,
      merchants: Array.from({ length: merchants }, (_, n) => access(n)),
    },
    { log: createLog('silent', () => undefined) },
  );
  context.after(async () => {
    await gateway.dispose();
    provider.closeAllConnections();
    provider.close();
  });

  let next = 0;
  let foreign = 0;
  let answered = 0;
  const query =
    'query ($id: ID!, $other: ID!, $token: Boolean!) { mine: customer(id: $id) { id firstName emailAddress clientAuthToken @include(if: $token) { token } } theirs: customer(id: $other) { id } }';
  await Promise.all(
    Array.from({ length: 200 }, async () => {
      for (let n = next++; n < operations; n = next++) {
        const merchant = `m-${n % merchants}`;
        const caller = Math.floor(n / merchants) % callers;
        const id = `reference-${caller}`;
        const token = n % 3 === 0;
        const response = await gateway.fetch(
          new Request('http://gateway.test/graphql', {
            method: 'POST',
            headers: { 'content-type': 'application/json', authorization: `Bearer ${tokenFor(merchant, id)}` },
            body: JSON.stringify({ query, variables: { id, other: `reference-${(caller + 1) % callers}`, token } }),
          }),
        );
        const tag = `key-of-${merchant}/${id}`;
        const expected = {
          mine: {
            id: `cth_${tag}`,
            firstName: tag,
            emailAddress: tag,
            ...(token && { clientAuthToken: { token: `tkn_${tag}` } }),
          },
          theirs: null,
        };
        const { data } = (await response.json()) as { data: unknown };
        if (JSON.stringify(data) !== JSON.stringify(expected)) foreign += 1;
        if (response.headers.get('cache-control') !== 'no-store') foreign += 1;
        answered += 1;
      }
    }),
  );
  context.diagnostic(`${answered} operations, ${foreign} foreign values`);
  assert.deepEqual([answered, foreign], [operations, 0]);
});

test('150 slow connections MUST be closed within 10 s, and other requests MUST be served meanwhile', async () => {
  const harness = await startHarness();
  const server = await startServer(harness.gateway, { host: '127.0.0.1', port: 0 });
  const writes: number[] = Array.from({ length: 150 }, () => 0);
  const closed = Array.from({ length: 150 }, (_, n) => {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => undefined);
    // One half sends its headers slowly, the other half its body.
    socket.write(
      n % 2
        ? 'POST /graphql HTTP/1.1\r\nhost: a\r\n'
        : 'POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{',
    );
    const interval = setInterval(() => {
      writes[n] = (writes[n] ?? 0) + 1;
      socket.write(n % 2 ? 'x-a: b\r\n' : ' ');
    }, 500);
    socket.resume();
    return once(socket, 'close').finally(() => clearInterval(interval));
  });
  const answer = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"query":"{ customer(id: \\"u7\\") { id } }"}',
  });
  assert.deepEqual(await answer.json(), { data: { customer: { id: 'cst_0123456789abcdef' } } });
  await Promise.all(closed);
  // Count writes, two a second, instead of time: a stalled machine does not write.
  assert.ok(Math.max(...writes) < 20);
  await server.stop(0);
  await harness.close();
});
