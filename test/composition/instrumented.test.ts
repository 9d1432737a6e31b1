import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startSandbox } from '../../src/sandbox/server.ts';
import { startCollector } from '../collector.ts';
import { type Run, start } from '../program.ts';

const canary = 'canary.person@example.com';
const register = fileURLToPath(new URL('instrumented.js', import.meta.url));

test('the stock instrumentations of node:http and undici MUST NOT export an id, a document or an address, nor change upstream calls', async () => {
  const collector = await startCollector();
  const sandbox = await startSandbox();
  const other = createServer((_request, response) => response.end());
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  let run: Run | undefined;
  try {
    run = start(
      ['serve'],
      {
        PORT: '0',
        AUTH_MODE: 'none',
        JUSPAY_API_KEY: sandbox.apiKey,
        JUSPAY_MERCHANT_ID: sandbox.merchantId,
        JUSPAY_BASE_URL: sandbox.url,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        // The gateway's own SDK does not support it. It is the operator's.
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc',
        PROBE_URL: `http://127.0.0.1:${(other.address() as AddressInfo).port}/probe`,
      },
      ['--import', register],
    );
    const [, url = ''] = await run.waitFor(/"url":"([^"]+)"/);
    const headers = { 'content-type': 'application/json' };
    const query = 'query ($id: ID!) { customer(id: $id) { id clientAuthToken { token } } }';
    const body = JSON.stringify({ query, variables: { id: canary } });
    assert.equal((await fetch(`${url}/graphql`, { method: 'POST', headers, body })).status, 200);
    const parameters = new URLSearchParams({ query: `{ customer(id: "${canary}") { id } }` });
    assert.equal((await fetch(`${url}/graphql?${parameters}`, { headers })).status, 200);

    // The probe, and for each operation its span and that of its attempt.
    const spans = await collector.received(5);
    assert.deepEqual(spans.map(({ kind, name, scope }) => `${kind} ${name} ${scope}`).toSorted(), [
      'CLIENT GET /customers/{customer_id} juspay-customer-gateway',
      'CLIENT GET /customers/{customer_id} juspay-customer-gateway',
      'CLIENT GET @opentelemetry/instrumentation-undici',
      'SERVER query juspay-customer-gateway',
      'SERVER query juspay-customer-gateway',
    ]);
    run.child.kill('SIGTERM');
    assert.equal(await run.exit, 0);
    assert.equal(collector.spans.length, 5);
    assert.doesNotMatch(collector.bytes(), /canary|example\.com|customer\(id/);
    const [first, second] = sandbox.calls;
    assert.ok(first && second);
    assert.doesNotMatch(JSON.stringify(sandbox.calls), /x-injected|traceparent/);
    assert.equal(first.pathId, canary);
  } finally {
    run?.child.kill('SIGKILL');
    other.close();
    await sandbox.close();
    await collector.close();
  }
});
