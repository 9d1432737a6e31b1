import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { problemOfHealth } from '../../src/cli/health.ts';
import { start } from '../program.ts';

test('health MUST exit with 0 while the gateway runs, also on a wildcard address, and with 1 if nothing answers', async () => {
  const gateway = start([], { HOST: '0.0.0.0', PORT: '0', AUTH_MODE: 'none' });
  const [, PORT = ''] = await gateway.waitFor(/GraphiQL {2}http:\/\/[^:]+:(\d+)/);
  const environment = { HOST: '0.0.0.0', PORT };
  const health = async () => {
    const run = start(['health'], environment);
    return [await run.exit, run.output()];
  };
  assert.deepEqual(await health(), [0, '']);
  assert.equal(await problemOfHealth('/ready', environment), undefined);
  gateway.child.kill('SIGTERM');
  assert.equal(await gateway.exit, 0);
  assert.deepEqual(await health(), [1, 'No gateway answers /health on HOST and PORT within 2 s.\n']);
});

test('health --ready MUST exit with 1 during a shutdown, and health with 0', async () => {
  const gateway = start([], { PORT: '0', SHUTDOWN_DELAY_MS: '60000' });
  const [, PORT = ''] = await gateway.waitFor(/GraphiQL {2}http:\/\/[^:]+:(\d+)/);
  gateway.child.kill('SIGTERM');
  // Requests may arrive before the signal does.
  let ready = await problemOfHealth('/ready', { PORT });
  while (ready === undefined) ready = await problemOfHealth('/ready', { PORT });
  assert.equal(ready, '/ready answers 503.');
  assert.equal(await problemOfHealth('/health', { PORT }), undefined);
  const run = start(['health', '--ready'], { PORT });
  assert.deepEqual([await run.exit, run.output()], [1, '/ready answers 503.\n']);
  gateway.child.kill('SIGTERM');
  assert.equal(await gateway.exit, 1);
});

test('health MUST end if the port accepts connections and never answers', async (context) => {
  const silent = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  context.after(() => silent.close());
  await once(silent, 'listening');
  const PORT = String((silent.address() as AddressInfo).port);
  assert.match((await problemOfHealth('/health', { PORT })) ?? '', /^No gateway answers/);
});

test('health MUST use the default port where Kubernetes injected PORT, and reject other ports and options', async () => {
  const injected = { PORT: 'tcp://10.0.0.1:4000', HOST: '127.0.0.9' };
  assert.match((await problemOfHealth('/health', injected)) ?? '', /^No gateway answers/);
  for (const PORT of ['0', 'canary', '70000']) {
    assert.equal(
      await problemOfHealth('/health', { PORT }),
      'PORT must be the port of the running gateway, an integer from 1 to 65535.',
    );
  }
  const run = start(['health', '--json']);
  assert.deepEqual([await run.exit, run.output()], [2, '`health` takes the option --ready only.\n']);
});
