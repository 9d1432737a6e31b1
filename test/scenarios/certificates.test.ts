import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createAuthority, selfSigned, trust } from '../certificates.ts';
import { codesOf, createOperation, newCustomer, resultOf, updateOperation, withHarness } from '../support.ts';

const authority = createAuthority();
trust(authority);
const unknownAuthority = createAuthority();

for (const [name, certificate] of [
  ['that is self-signed', selfSigned()],
  ['of another host', authority.issue('DNS:elsewhere.example')],
  ['that is expired', authority.issue('IP:127.0.0.1', 'expired')],
  ['of an unknown authority', unknownAuthority.issue('IP:127.0.0.1')],
] as const) {
  test(`a certificate ${name} MUST be UPSTREAM_MISCONFIGURED, a definite failure without repeats, and MUST NOT open the breaker`, async () => {
    let requests = 0;
    let handshakes = 0;
    const server = createServer(certificate, (_request, response) => {
      requests += 1;
      response.end('{}');
    });
    server.on('connection', () => {
      handshakes += 1;
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const baseUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      await withHarness(
        async (harness) => {
          const created = await harness.ask(createOperation, { input: newCustomer('reference-1') });
          const { __typename, code, retryable } = resultOf(created, 'createCustomer');
          assert.deepEqual([__typename, code, retryable], ['CustomerUpstreamError', 'UPSTREAM_MISCONFIGURED', false]);
          const input = { mobileNumber: '1' };
          const updated = resultOf(await harness.ask(updateOperation, { id: 'u7', input }), 'updateCustomer');
          assert.deepEqual(
            [updated['__typename'], updated['code']],
            ['CustomerUpstreamError', 'UPSTREAM_MISCONFIGURED'],
          );
          const ids = Array.from({ length: 25 }, (_, n) => `id-${n}`);
          for (const id of ids) {
            const read = await harness.ask('query ($id: ID!) { customer(id: $id) { id } }', { id });
            assert.deepEqual(codesOf(read), { customer: 'UPSTREAM_MISCONFIGURED' });
          }
          assert.equal(handshakes, ids.length + 2);
          assert.equal(requests, 0);
        },
        {},
        { provider: { baseUrl } },
      );
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
}

test('a certificate of a trusted authority MUST be accepted', async () => {
  const server = createServer(authority.issue('IP:127.0.0.1'), (_request, response) => {
    response.end(JSON.stringify({ id: 'u7', object_reference_id: 'u7' }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const baseUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await withHarness(
      async (harness) => {
        assert.deepEqual((await harness.ask('{ customer(id: "u7") { id } }')).data, { customer: { id: 'u7' } });
      },
      {},
      { provider: { baseUrl } },
    );
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
