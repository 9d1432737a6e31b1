import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createGateway } from '../../src/library/mount.ts';
import { limited } from '../../src/telemetry/limited.ts';
import { createLog } from '../../src/telemetry/log.ts';
import {
  type Answer,
  createOperation,
  type Harness,
  jwtSettings,
  newCustomer,
  startHarness,
  withScriptedProvider,
} from '../support.ts';

type Line = Readonly<Record<string, unknown>>;

const linesOf = (log: readonly string[], message: string): Line[] =>
  log.map((line) => JSON.parse(line) as Line).filter((line) => line['message'] === message);

/** A limited log with a mocked clock. */
function withSeconds(context: TestContext) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const lines: string[] = [];
  const log = limited(
    createLog('debug', (line) => lines.push(line)),
    10,
  );
  return { log, lines, second: () => context.mock.timers.tick(1_000) };
}

for (const level of ['info', 'warn', 'error'] as const) {
  test(`${level}: a message MUST be written at most 10 times per second, and one line MUST count the suppressed lines`, (context) => {
    const { log, lines, second } = withSeconds(context);
    for (let n = 0; n < 250; n += 1) log[level]('flood', { requestId: `r${n}` });
    log[level]('another message');
    assert.deepEqual([linesOf(lines, 'flood').length, linesOf(lines, 'another message').length], [10, 1]);
    second();
    const summaries = linesOf(lines, 'log lines suppressed');
    assert.deepEqual(
      summaries.map(({ level: of, event, count }) => [of, event, count]),
      [[level, 'flood', 240]],
    );
    second();
    for (let n = 0; n < 10; n += 1) log[level]('flood');
    second();
    assert.equal(linesOf(lines, 'flood').length, 20);
    assert.equal(linesOf(lines, 'log lines suppressed').length, 1);
  });
}

test('audit and debug lines MUST NOT be limited; `flush` MUST write the summaries immediately', (context) => {
  const { log, lines, second } = withSeconds(context);
  for (let n = 0; n < 100; n += 1) {
    log.audit('audit');
    log.debug('detail');
    log.warn('flood');
  }
  assert.deepEqual([linesOf(lines, 'audit').length, linesOf(lines, 'detail').length], [100, 100]);
  log.flush();
  assert.equal(linesOf(lines, 'log lines suppressed')[0]?.['count'], 90);
  second();
  assert.equal(linesOf(lines, 'log lines suppressed').length, 1);
});

/** Sends 60 requests. @returns the number of lines with this message, and that number plus the suppressed lines. */
async function countLines(
  message: string,
  environment: Readonly<Record<string, string>>,
  send: (harness: Harness, n: number) => Promise<Answer>,
): Promise<{ lines: number; all: number }> {
  const harness = await startHarness(environment);
  const startedAtMs = performance.now();
  try {
    await Promise.all(Array.from({ length: 60 }, (_, n) => send(harness, n)));
  } finally {
    await harness.close();
  }
  const lines = linesOf(harness.log, message).length;
  const suppressed = linesOf(harness.log, 'log lines suppressed')
    .filter(({ event }) => event === message)
    .map(({ count }) => Number(count));
  // A busy machine may take more than a second.
  const seconds = 1 + Math.ceil((performance.now() - startedAtMs) / 1_000);
  assert.ok(lines <= 10 * seconds, `${lines} lines in ${seconds} s`);
  return { lines, all: suppressed.reduce((sum, count) => sum + count, lines) };
}

test('log lines of invalid credentials MUST be limited, and all MUST be counted', async () => {
  const { all } = await countLines('credential refused', jwtSettings, (harness) => harness.ask('{ __typename }'));
  assert.equal(all, 60);
});

test('log lines of upstream failures MUST be limited across operations, and all MUST be counted', async () => {
  const { all } = await countLines('upstream call failed', {}, (harness, n) =>
    harness.ask(`{ customer(id: "fault_unauthorized_x${n}") { id } }`),
  );
  assert.equal(all, 60);
});

for (const [name, fail] of [
  [
    'throws',
    () => {
      throw new Error('log');
    },
  ],
  ['rejects', () => Promise.reject(new Error('log'))],
] as const) {
  test(`a custom log that ${name} MUST NOT change the response, also of a write`, async () => {
    const gateway = createGateway({
      log: { debug: fail, info: fail, warn: fail, error: fail },
      environment: { NODE_ENV: 'test' },
    });
    const rejections: unknown[] = [];
    const count = (reason: unknown) => rejections.push(reason);
    process.on('unhandledRejection', count);
    try {
      const response = await gateway.fetch(
        new Request('http://gateway.test/graphql', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ query: createOperation, variables: { input: newCustomer('log-00001') } }),
        }),
      );
      const { data, errors } = (await response.json()) as Pick<Answer, 'data' | 'errors'>;
      assert.equal(errors, undefined);
      assert.equal((data as Record<string, Line>)['createCustomer']?.['__typename'], 'CreateCustomerSuccess');
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(rejections, []);
    } finally {
      process.off('unhandledRejection', count);
      await gateway.dispose();
    }
  });
}

test('failures of a write that outlasts its caller MUST be summed up when the write is over', async () => {
  const isSent = Promise.withResolvers<void>();
  await withScriptedProvider(
    ({ method }) => {
      if (method === 'POST') isSent.resolve();
      return { status: 503, body: 'busy', afterMs: method === 'POST' ? 200 : 0 };
    },
    async (harness, calls) => {
      const caller = new AbortController();
      const asked = harness
        .ask(createOperation, { input: newCustomer('late-00001') }, caller.signal)
        .catch(() => undefined);
      await isSent.promise;
      caller.abort();
      await asked;
      while (linesOf(harness.log, 'audit').length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      await new Promise((resolve) => setImmediate(resolve));
      assert.ok(calls.length > 2, calls.join());
      const [single, ...more] = linesOf(harness.log, 'upstream call failed').filter(({ level }) => level === 'warn');
      assert.deepEqual(more, []);
      const summaries = linesOf(harness.log, 'repeated upstream failures');
      assert.deepEqual(
        summaries.map(({ requestId, failures }) => [requestId, failures]),
        [[single?.['requestId'], { UPSTREAM_UNAVAILABLE: calls.length }]],
      );
    },
    { OPERATION_TIMEOUT_MS: '3000' },
  );
});
