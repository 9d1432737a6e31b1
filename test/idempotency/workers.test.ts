import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startSandbox } from '../../src/sandbox/server.ts';
import { openConnection, postRequest } from '../connections.ts';
import { start } from '../program.ts';
import { startRedis } from '../redis.ts';
import { createOperation, newCustomer } from '../support.ts';

const repeats = 24;

// Needs `dist/`. The system selects a worker for each connection, so that both workers get some of the repeats.
for (const store of ['memory', 'redis'] as const) {
  const what = store === 'memory' ? 'each keep their own' : 'share what is kept';
  test(`two workers ${store === 'memory' ? 'without' : 'with'} REDIS_URL MUST ${what}`, async (context) => {
    const sandbox = await startSandbox();
    const redis = store === 'redis' ? await startRedis() : undefined;
    const run = start(['serve'], {
      PORT: '0',
      WORKERS: '2',
      AUTH_MODE: 'none',
      JUSPAY_BASE_URL: sandbox.url,
      JUSPAY_API_KEY: sandbox.apiKey,
      JUSPAY_MERCHANT_ID: sandbox.merchantId,
      ...(redis && { REDIS_URL: redis.url }),
    });
    context.after(async () => {
      run.child.kill('SIGKILL');
      await run.exit;
      await sandbox.close();
      await redis?.close();
    });
    const [, port = ''] = await run.waitFor(/"url":"http:\/\/[^"]+:(\d+)"/);
    const body = JSON.stringify({ query: createOperation, variables: { input: newCustomer('reference-1') } });
    const answers: string[] = [];
    for (let n = 0; n < repeats; n += 1) {
      const connection = openConnection(Number(port));
      connection.socket.write(postRequest(body, 'idempotency-key: "one"\r\nconnection: close\r\n'));
      await connection.answered(1);
      connection.socket.destroy();
      answers.push(/"__typename":"(\w+)"/.exec(connection.answers()[0]?.body ?? '')?.[1] ?? 'none');
    }
    // Both workers got repeats.
    for (const worker of [1, 2]) await run.waitFor(new RegExp(`"worker":${worker},.*"message":"operation replayed"`));
    const own = ['CreateCustomerSuccess', 'CustomerAlreadyExistsError'];
    assert.deepEqual([...new Set(answers)].toSorted(), store === 'memory' ? own : ['CreateCustomerSuccess']);
    const posts = sandbox.calls.filter(({ method }) => method === 'POST').length;
    assert.equal(posts, store === 'memory' ? 2 : 1);
    assert.equal(sandbox.customers.length, 5, 'once');
  });
}
