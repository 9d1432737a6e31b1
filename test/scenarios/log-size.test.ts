import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { openGateway } from '../../src/gateway.ts';
import { startSandbox } from '../../src/sandbox/server.ts';
import { createLog, type LogLevel } from '../../src/telemetry/log.ts';

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
    few.map(({ message, code }) => [message, code]),
    [['upstream call failed', 'UPSTREAM_UNAVAILABLE']],
  );
});
