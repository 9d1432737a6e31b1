import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ExplainUsageError, explainFile } from '../../src/cli/explain.ts';
import { ConfigError } from '../../src/config/config.ts';
import type { Plan } from '../../src/explain/explanation.ts';

const folder = mkdtempSync(join(tmpdir(), 'explain-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const document = file(
  'operations.graphql',
  `query Read($id: ID!) { a: customer(id: $id) { id clientAuthToken { token } } b: customer(id: $id) { id } }
  mutation Write($id: ID!) { updateCustomer(id: $id, input: { firstName: "Canary" }) { __typename } }`,
);
const variables = '{ "id": "canary@example.com" }';

test('explain MUST print the calls with reasons and curl lines, and no value', async () => {
  const { lines, isRefused } = await explainFile([document, '--operation', 'Read', '--variables', variables], {});
  assert.equal(isRefused, false);
  assert.deepEqual(lines, [
    '1 upstream call, 1 token. Nothing was executed.',
    '',
    '1. GET /customers/{customer_id} {customer 1}, creates a token, 2 reads merged',
    '   `a` and `b` read the customer.',
    '   `a.clientAuthToken` requests a client auth token.',
    `   curl -X GET "$JUSPAY_BASE_URL/customers/{customer 1}?options.get_client_auth_token=true" -u "$JUSPAY_API_KEY:" -H "x-merchantid: $JUSPAY_MERCHANT_ID" -H 'x-routing-id: {customer 1}' -H 'Accept: application/json'`,
  ]);
});

test('explain --json MUST print the plan, for the scopes and the customer of a caller, with variables of a file', async () => {
  const given = file('variables.json', variables);
  const options = ['--operation', 'Write', '--variables', `@${given}`, '--json'];
  const read = async (...more: string[]) => {
    const { lines } = await explainFile([document, ...options, ...more], {});
    assert.ok(!/canary/i.test(lines.join()));
    return JSON.parse(lines.join('\n')) as Plan;
  };
  assert.deepEqual(
    (await read()).calls.map(({ method }) => method),
    ['POST'],
  );
  assert.deepEqual(
    (await read('--customer', 'u7')).calls.map(({ method }) => method),
    ['GET', 'POST'],
  );
  const { calls, refused } = await read('--scopes', 'customer:read');
  assert.deepEqual([calls, refused], [[], [{ field: 'updateCustomer', code: 'FORBIDDEN' }]]);
});

test('explain MUST apply the limits of the environment, and no other setting', async () => {
  const environment = { LIMIT_DEPTH: '1', JUSPAY_API_KEY: 'a key without a merchant' };
  const { lines, isRefused } = await explainFile(
    [document, '--operation', 'Write', '--variables', variables],
    environment,
  );
  assert.deepEqual([isRefused, lines.length], [true, 2]);
  await assert.rejects(explainFile([document], { LIMIT_DEPTH: 'x' }), ConfigError);
});

test('explain MUST report a refused operation without its values, and wrong arguments', async () => {
  const { lines, isRefused } = await explainFile([document, '--operation', 'Read', '--variables', '{"id": {}}'], {});
  assert.deepEqual(
    [isRefused, lines],
    [true, ['The operation is refused:', '  - 1:12 The value of the variable $id is invalid.']],
  );
  assert.equal((await explainFile([document, '--variables', 'x'], {})).isRefused, true);
  for (const argv of [
    [],
    [document, 'more'],
    [document, '--unknown'],
    ['missing.graphql'],
    [document, '--scopes', 'x'],
  ])
    await assert.rejects(explainFile(argv, {}), ExplainUsageError);
});
