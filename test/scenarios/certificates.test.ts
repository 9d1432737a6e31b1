import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { codesOf, createOperation, inWorld, newCustomer, resultOf, updateOperation } from '../support.ts';

/** A certificate that nobody vouches for, made anew for each run. */
function selfSigned(...options: string[]): { key: Buffer; cert: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    execFileSync('openssl', [...request, '-subj', '/CN=localhost', '-keyout', key, '-out', cert, ...options], {
      stdio: 'ignore',
    });
    return { key: readFileSync(key), cert: readFileSync(cert) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const [name, options] of [
  ['that is self-signed', ['-days', '1']],
  ['of another host', ['-days', '1', '-addext', 'subjectAltName=DNS:elsewhere.example']],
] as const) {
  test(`a certificate ${name} MUST be UPSTREAM_MISCONFIGURED, definite, not repeated, and open no breaker`, async () => {
    let requests = 0;
    let handshakes = 0;
    const server = createServer(selfSigned(...options), (_request, response) => {
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
      await inWorld(
        async (world) => {
          const created = await world.ask(createOperation, { input: newCustomer('reference-1') });
          const { __typename, code, retryable } = resultOf(created, 'createCustomer');
          assert.deepEqual([__typename, code, retryable], ['CustomerUpstreamError', 'UPSTREAM_MISCONFIGURED', false]);
          const input = { mobileNumber: '1' };
          const updated = resultOf(await world.ask(updateOperation, { id: 'u7', input }), 'updateCustomer');
          assert.deepEqual(
            [updated['__typename'], updated['code']],
            ['CustomerUpstreamError', 'UPSTREAM_MISCONFIGURED'],
          );
          const ids = Array.from({ length: 25 }, (_, n) => `id-${n}`);
          for (const id of ids) {
            const read = await world.ask('query ($id: ID!) { customer(id: $id) { id } }', { id });
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
