import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { openGateway } from '../../src/gateway.ts';
import { startSandbox } from '../../src/sandbox/server.ts';
import { createLog, type LogLevel } from '../../src/telemetry/log.ts';
import { codesOf, withHarness } from '../support.ts';

/** Runs one operation against a sandbox. @returns its log lines at a level. */
async function linesOf(level: LogLevel, query: string): Promise<Record<string, unknown>[]> {
  const sandbox = await startSandbox();
  const lines: string[] = [];
  const { url: baseUrl, merchantId, apiKey } = sandbox;
  const provider = { baseUrl, merchantId, apiKey: new Secret(apiKey) };
  const gateway = openGateway({ ...loadConfig({}), provider }, { log: createLog(level, (line) => lines.push(line)) });
  try {
    const response = await gateway.fetch(
      new Request('http://gateway.test/graphql', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query }),
      }),
    );
    assert.equal(response.status, 200, await response.text());
  } finally {
    await gateway.dispose();
    await sandbox.close();
  }
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

const ids = Array.from({ length: 100 }, (_, n) => `"fault_html_x${n}"`).join(',');

test('repeated upstream failures of one operation MUST be summed up in one line', async () => {
  const lines = await linesOf('info', `{ customers(ids: [${ids}]) { id } }`);
  const single = lines.filter(({ message }) => message === 'upstream call failed');
  const summaries = lines.filter(({ message }) => message === 'repeated upstream failures');
  assert.deepEqual([single.length, summaries.length], [new Set(single.map(({ code }) => code)).size, 1]);
  const [{ level, requestId, failures } = {}] = summaries;
  assert.deepEqual([level, requestId], ['warn', single[0]?.['requestId']]);
  assert.ok(Number((failures as Record<string, number>)['UPSTREAM_MALFORMED']) >= 100);
  assert.ok(JSON.stringify(lines).length < 4_000);
});

test('at level debug, each failed call MUST have a line; a single failure MUST NOT have a summary', async () => {
  const lines = await linesOf('debug', `{ customers(ids: [${ids}]) { id } }`);
  assert.ok(lines.filter(({ message }) => message === 'upstream call failed').length >= 100);
  const few = await linesOf('info', '{ customer(id: "fault_501_x") { id } }');
  assert.deepEqual(
    few.map(({ message, code, outcome }) => [message, code ?? outcome]),
    [
      ['upstream call failed', 'UPSTREAM_UNAVAILABLE'],
      ['operation', 'UPSTREAM_UNAVAILABLE'],
    ],
  );
});

const read = 'query ($id: ID!) { customer(id: $id) { id } }';
/** Lines above debug about failed calls, as message, request id and what failed. */
const failuresIn = (log: readonly string[]) =>
  log
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ level, message }) => level !== 'debug' && /^(upstream call|repeated upstream)/.test(String(message)))
    .map(({ message, requestId, code, failures }) => [message, requestId, code ?? failures]);
const turns = async () => {
  for (let n = 0; n < 20; n += 1) await turn();
};

test('failures of a shared read MUST be summed up for the operation that still waits after the first one has left', () =>
  withHarness(
    async (harness) => {
      harness.sandbox.arm({ fault: 'timeout', on: 'get', times: 3 });
      const controller = new AbortController();
      const first = harness.ask(read, { id: 'u7' }, controller.signal).catch(() => undefined);
      await harness.sandbox.whenCalled(({ route }) => route === 'get');
      const second = harness.ask(read, { id: 'u7' });
      await turns();
      controller.abort();
      await first;
      const answer = await second;
      const requestId = answer.headers.get('x-request-id');
      assert.deepEqual(codesOf(answer), { customer: 'UPSTREAM_TIMEOUT' });
      await turns();
      assert.equal(harness.sandbox.calls.length, 3);
      assert.deepEqual(failuresIn(harness.log), [
        ['upstream call failed', requestId, 'UPSTREAM_TIMEOUT'],
        ['repeated upstream failures', requestId, { UPSTREAM_TIMEOUT: 3 }],
      ]);
    },
    { JUSPAY_TIMEOUT_MS: '200' },
  ));

test('failures of reads that end after their client has disconnected MUST be summed up', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: 'timeout', on: 'get', times: 3 });
    const controller = new AbortController();
    const query = '{ customers(ids: ["a-1", "a-2", "a-3"]) { id clientAuthToken { token } } }';
    const answer = harness.ask(query, {}, controller.signal).catch(() => undefined);
    const calls = await Promise.all(
      ['a-1', 'a-2', 'a-3'].map((id) => harness.sandbox.whenCalled(({ pathId }) => pathId === id)),
    );
    controller.abort();
    await answer;
    await Promise.all(calls.map(({ closed }) => closed));
    await turns();
    const [[, requestId] = []] = failuresIn(harness.log);
    assert.deepEqual(failuresIn(harness.log), [
      ['upstream call failed', requestId, 'UPSTREAM_UNAVAILABLE'],
      ['repeated upstream failures', requestId, { UPSTREAM_UNAVAILABLE: 3 }],
    ]);
  }));
