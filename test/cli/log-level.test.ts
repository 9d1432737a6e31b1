import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { type TestContext, test } from 'node:test';
import { onLevelSignal } from '../../src/cli/log-level.ts';
import { createGateway } from '../../src/index.ts';
import { guarded, limited } from '../../src/telemetry/limited.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { ask, type Run, start } from '../program.ts';

/** Simulates an old Node with another path than the locked one, so that the launcher starts the program on the locked one. */
const asNode20 = `Object.defineProperty(process.versions, 'node', { value: '20.20.2' }); Object.defineProperty(process, 'execPath', { value: '/bin/sh' });`;

async function startServer(context: TestContext, logLevel: string, nodeOptions: readonly string[] = []) {
  const run = start([], { PORT: '0', LOG_LEVEL: logLevel, HOME: '/' }, nodeOptions);
  context.after(() => run.child.kill('SIGKILL'));
  const [, url = ''] = await run.waitFor(/GraphiQL {2}(http:\S+)/);
  return { run, url };
}

/** Sends the signal, and waits for the line with the new level. */
async function change({ child, waitFor }: Run, expected: string, count: number): Promise<void> {
  child.kill('SIGUSR2');
  await waitFor(new RegExp(`(?:"logLevel":"\\w+","message":"log level changed"[^]*?){${count}}`));
  await waitFor(new RegExp(`"level":"info","time":"[^"]*","logLevel":"${expected}","message":"log level changed"`));
}

async function stop({ child, exit }: Run): Promise<void> {
  child.kill('SIGTERM');
  assert.equal(await exit, 0);
}

for (const [name, nodeOptions] of [
  ['the program', []],
  ['the launcher of an older Node', ['--import', `data:text/javascript,${encodeURIComponent(asNode20)}`]],
] as const) {
  test(`SIGUSR2 to ${name} MUST change the log level by one step to more lines, and MUST write the new level`, async (context) => {
    const { run, url } = await startServer(context, 'info', nodeOptions);
    const read = () => ask(url, '{ customer(id: "u7") { id } }');
    const lines = (message: string) => run.output().split(`"message":"${message}"`).length - 1;
    await read();
    await change(run, 'debug', 1);
    await read();
    await run.waitFor(/"message":"upstream call"/);
    await change(run, 'error', 2);
    await read();
    await change(run, 'warn', 3);
    await change(run, 'info', 4);
    await read();
    await stop(run);
    // The level `debug` alone shows successful calls.
    assert.equal(lines('upstream call'), 1);
  });
}

test('SIGUSR2 MUST end LOG_LEVEL=silent, and `debug` MUST be followed by `error`', (context) => {
  const lines: string[] = [];
  const log = createLog('silent', (line) => lines.push(line));
  const before = process.listeners('SIGUSR2');
  onLevelSignal(log);
  context.after(() => {
    for (const listener of process.listeners('SIGUSR2')) {
      if (!before.includes(listener)) process.off('SIGUSR2', listener);
    }
  });
  const levels: string[] = [];
  for (let n = 0; n < 6; n += 1) {
    // A real signal would also reach the handler of the test runner, which writes a report.
    for (const listen of process.listeners('SIGUSR2')) if (!before.includes(listen)) listen('SIGUSR2');
    levels.push(log.level);
  }
  assert.deepEqual(levels, ['error', 'warn', 'info', 'debug', 'error', 'warn']);
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { logLevel: string }).logLevel),
    levels,
  );
});

test('the parts of the gateway MUST see the current level of the log', () => {
  const lines: string[] = [];
  const log = createLog('info', (line) => lines.push(line));
  const seen = limited(guarded(log), 10);
  assert.equal(seen.isDebugDropped, true);
  log.setLevel('debug');
  assert.equal(seen.isDebugDropped, false);
  seen.debug('shown');
  log.setLevel('error');
  assert.equal(seen.isDebugDropped, true);
  seen.debug('hidden');
  seen.warn('hidden');
  seen.audit('audit');
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { message: string }).message),
    ['log level changed', 'shown', 'log level changed', 'audit'],
  );
});

test('a mounted gateway MUST NOT install signal handlers', async (context) => {
  const counts = () => Object.keys(constants.signals).map((signal) => process.listenerCount(signal));
  const before = counts();
  const gateway = createGateway({ logLevel: 'silent' });
  context.after(() => gateway.dispose());
  await gateway.fetch(new Request('http://app.test/health'));
  assert.deepEqual(counts(), before);
});
