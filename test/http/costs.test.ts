import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { after, before, test } from 'node:test';
import { loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { openGateway } from '../../src/gateway.ts';
import type { NodeGateway } from '../../src/http/handler.ts';
import { type Server, startServer } from '../../src/http/server.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type Load, sharedRead, startLoad, workloads } from './costs.ts';

let load: Load;
let gateway: NodeGateway;
let server: Server;

before(async () => {
  load = await startLoad();
  const environment = {
    AUTH_MODE: 'api-key',
    AUTH_API_KEYS_FILE: load.keysFile,
    RATE_LIMIT_PER_MINUTE: '1000000',
  };
  const access = { baseUrl: load.baseUrl, merchantId: 'm', apiKey: new Secret('key') };
  const config = { ...loadConfig(environment), provider: access };
  gateway = openGateway(config, { log: createLog('info', () => undefined), metrics: createMetrics('0') });
  server = await startServer(gateway, { host: '127.0.0.1', port: 0 });
  // Loads Yoga, which would create its promises during a measurement.
  await gateway.fetch(new Request('http://gateway.test/health'));
});

after(async () => {
  await server.stop(0);
  await gateway.dispose();
  load.stop();
});

for (const [name, workload] of Object.entries({ ...workloads, 'a read that 16 operations share': sharedRead })) {
  const { calls, promises } = workload;

  test(`${name} MUST cost ${calls < 1 ? `at most ${calls}` : calls} calls, at most ${promises} promises and no timer of its own`, async () => {
    await load.send(server.port, workload, 100);
    let created = 0;
    let timers = 0;
    const hook = createHook({
      init(_id, type) {
        if (type === 'PROMISE') created += 1;
        if (type === 'Timeout' && /node:timers[^\n]*\n[^\n]*\/src\//.test(new Error().stack ?? '')) timers += 1;
      },
    });
    hook.enable();
    const sent = await load.send(server.port, workload, 400);
    hook.disable();
    if (calls < 1) assert.ok(sent <= calls * 400, `${sent} calls`);
    else assert.equal(sent, calls * 400);
    assert.ok(created / 400 <= promises, `${created / 400} promises`);
    // A few that all operations share, and one for a response that its client reads slowly.
    assert.ok(timers <= 40, `${timers} timers of 400 operations`);
  });
}
