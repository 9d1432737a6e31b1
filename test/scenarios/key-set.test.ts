import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { type Harness, withHarness } from '../support.ts';

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const set = JSON.stringify({ keys: [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'one' }] });

function token(claims: object): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 600;
  const input = `${encode({ alg: 'RS256', kid: 'one' })}.${encode({ iss: 'i', sub: 's', exp, ...claims })}`;
  return `${input}.${sign('sha256', Buffer.from(input), pair.privateKey).toString('base64url')}`;
}

const ask = (harness: Harness, claims: object) =>
  harness.fetch({
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token(claims)}` },
    body: '{"query":"{ customer(id: \\"u7\\") { id } }"}',
  });

/** Waits a turn of the event loop, so that a response can arrive. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('/ready and requests with a token MUST get 503 until the key set has been read once', async () => {
  let isUp = false;
  let fetched = Promise.withResolvers<void>();
  const server = createServer((_request, response) => {
    response.writeHead(isUp ? 200 : 500).end(isUp ? set : '', fetched.resolve);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const settings = {
    AUTH_MODE: 'jwt',
    AUTH_JWKS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`,
    AUTH_JWT_ISSUER: 'i',
    AUTH_JWT_AUDIENCE: 'a',
    AUTH_AUDIENCE_CLAIM: 'client_id',
  };
  try {
    await withHarness(async (harness) => {
      const good = { client_id: 'a', scope: 'customer:read customer:any' };
      // The key set is fetched at startup, before the first request.
      await fetched.promise;
      assert.equal((await harness.fetch({ path: '/ready' })).status, 503);
      assert.equal((await harness.fetch({ path: '/health' })).status, 200);
      const early = await ask(harness, good);
      assert.deepEqual([early.status, early.headers.get('retry-after')], [503, '1']);
      assert.deepEqual(harness.upstream(), []);

      isUp = true;
      fetched = Promise.withResolvers();
      await fetched.promise;
      while ((await harness.fetch({ path: '/ready' })).status !== 200) await turn();
      assert.deepEqual((await ask(harness, good)).data, { customer: { id: 'cst_0123456789abcdef' } });
      const refused = await ask(harness, { ...good, client_id: 'b', aud: 'a' });
      assert.equal(refused.status, 401);
      assert.equal(harness.upstream().length, 1);
      const line = harness.log.find((text) => text.includes('credential refused')) ?? '';
      assert.match(line, /"reason":"audience"/);
      assert.ok(line.includes(refused.headers.get('x-request-id') ?? 'none'));
    }, settings);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
