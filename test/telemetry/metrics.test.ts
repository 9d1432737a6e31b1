import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { ask, type Run, start } from '../program.ts';
import { createOperation, newCustomer } from '../support.ts';

let program: Run;
let graphql = '';
let metrics = '';

const merchant = 'sandbox_merchant';

before(async () => {
  program = start([], { PORT: '0', METRICS_PORT: '0' });
  [, graphql = ''] = await program.waitFor(/GraphiQL {2}(\S+)/);
  [, metrics = ''] = await program.waitFor(/Metrics {3}(\S+)/);
});

after(() => program.child.kill('SIGKILL'));

/** The values of the gateway's series, without those of the process, which change between reads. */
async function series(of = metrics): Promise<Map<string, number>> {
  const text = await (await fetch(of)).text();
  const lines = [...text.matchAll(/^(customer_gateway_\S+?(?:\{[^}]*\})?) (\S+)$/gm)];
  return new Map(lines.map(([, name = '', value]) => [name, Number(value)]));
}

/** Returns the series that increased while `act` ran, with their increments. */
async function counted(act: () => Promise<unknown>): Promise<Record<string, number>> {
  const earlier = await series();
  await act();
  const grown = [...(await series())].map(([name, value]) => [name, value - (earlier.get(name) ?? 0)] as const);
  return Object.fromEntries(
    grown.filter(
      ([name, by]) => by !== 0 && !/_(bucket|sum|in_flight|delay_seconds|queue_seconds_count|left)\b/.test(name),
    ),
  );
}

const operations = (type: string, outcome: string) =>
  `customer_gateway_operations_total{type="${type}",outcome="${outcome}"}`;
const durations = (type: string) => `customer_gateway_operation_duration_seconds_count{type="${type}"}`;
const writes = (field: string, outcome: string) =>
  `customer_gateway_writes_total{merchant="${merchant}",field="${field}",outcome="${outcome}"}`;

const attempts = (call: string, outcome: string, repeat = false) =>
  `customer_gateway_upstream_attempts_total{merchant="${merchant}",call="${call}",outcome="${outcome}",repeat="${repeat}"}`;
const waits = (call: string) =>
  `customer_gateway_upstream_attempt_duration_seconds_count{merchant="${merchant}",call="${call}"}`;

async function create(input: object): Promise<void> {
  const body = JSON.stringify({ query: createOperation, variables: { input } });
  const answer = await fetch(graphql, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  assert.equal(answer.status, 200, await answer.text());
}

test('an operation MUST be counted once by type and outcome, and its duration recorded if it was executed', async () => {
  for (const [id, outcome, calls] of [
    ['asha.rao@example.com', 'OK', { [attempts('get', 'OK')]: 1, [waits('get')]: 1 }],
    ['nobody@example.com', 'OK', { [attempts('get', 'NOT_FOUND')]: 1, [waits('get')]: 1 }],
    [
      'fault_500',
      'UPSTREAM_UNAVAILABLE',
      {
        [attempts('get', 'UPSTREAM_UNAVAILABLE')]: 1,
        [attempts('get', 'UPSTREAM_UNAVAILABLE', true)]: 1,
        [waits('get')]: 2,
        [`customer_gateway_upstream_retries_total{merchant="${merchant}",call="get"}`]: 1,
      },
    ],
  ] as const) {
    assert.deepEqual(await counted(() => ask(graphql, `{ customer(id: "${id}") { id } }`)), {
      [operations('query', outcome)]: 1,
      [durations('query')]: 1,
      ...calls,
    });
  }
  assert.deepEqual(await counted(() => ask(graphql, '{ nothing }')), {
    [operations('none', 'GRAPHQL_VALIDATION_FAILED')]: 1,
  });
  const refused = () => fetch(graphql, { method: 'PUT' });
  assert.deepEqual(await counted(refused), { [operations('none', 'BAD_USER_INPUT')]: 1 });
});

test('a request with refused credentials MUST be counted by the reason', async () => {
  // The sandbox checks only tokens that name its issuer.
  const payload = Buffer.from('{"iss":"embedded-sandbox"}').toString('base64url');
  const unsigned = Buffer.from('{"alg":"none"}').toString('base64url');
  for (const [header, reason] of [
    ['canary', 'malformed'],
    [unsigned, 'algorithm'],
  ] as const) {
    const authorization = `Bearer ${header}.${payload}.`;
    const send = () =>
      fetch(graphql, { method: 'POST', headers: { 'content-type': 'application/json', authorization } });
    assert.deepEqual(await counted(send), {
      [operations('none', 'UNAUTHENTICATED')]: 1,
      [`customer_gateway_refused_credentials_total{reason="${reason}"}`]: 1,
    });
  }
});

test('a write MUST be counted by merchant, field and outcome', async () => {
  const input = newCustomer('metrics-create');
  const common = { [operations('mutation', 'OK')]: 1, [durations('mutation')]: 1 };
  assert.deepEqual(await counted(() => create(input)), {
    ...common,
    [writes('createCustomer', 'CREATED')]: 1,
    [attempts('create', 'OK')]: 1,
    [waits('create')]: 1,
  });
  assert.deepEqual(await counted(() => create(input)), {
    ...common,
    [writes('createCustomer', 'ALREADY_EXISTS')]: 1,
    [attempts('create', 'ALREADY_EXISTS')]: 1,
    [waits('create')]: 1,
  });
  assert.deepEqual(await counted(() => create({ ...input, emailAddress: 'no e-mail address' })), {
    ...common,
    [writes('createCustomer', 'VALIDATION_FAILED')]: 1,
  });
});

test('pages, preflights and probes MUST NOT count as operations', async () => {
  const origin = new URL(graphql).origin;
  const looks = async () => {
    await fetch(`${origin}/health`);
    await fetch(`${origin}/ready`);
    await fetch(graphql, { headers: { accept: 'text/html' } });
    await fetch(graphql, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } });
  };
  assert.deepEqual(await counted(looks), {});
});

test('the in-flight gauge MUST count an operation until it finishes', async () => {
  const until = async (count: number) => {
    while ((await series()).get('customer_gateway_in_flight') !== count);
  };
  await until(0);
  const abort = new AbortController();
  const body = JSON.stringify({ query: '{ customer(id: "fault_timeout") { id } }' });
  const headers = { 'content-type': 'application/json' };
  const gone = assert.rejects(fetch(graphql, { method: 'POST', headers, body, signal: abort.signal }));
  await until(1);
  abort.abort();
  await gone;
  await until(0);
});

test('input of callers MUST NOT create series or appear in labels', async () => {
  await ask(graphql, 'query Canary0 { customer(id: "asha.rao@example.com") { clientAuthToken { token } } }');
  await ask(graphql, '{ customer(id: "nobody") { id } }');
  const before = [...(await series()).keys()];
  for (let n = 1; n <= 300; n += 1) {
    await ask(graphql, `query Canary${n} { Canary${n}: customer(id: "canary-${n}") { id clientAuthToken { token } } }`);
  }
  const text = await (await fetch(metrics)).text();
  assert.deepEqual([...(await series()).keys()], before);
  assert.doesNotMatch(text, /canary|asha|metrics-create|example\.com|tkn_|\bc(th|st)_/i);
});

test('the breaker gauge MUST be 1 while the circuit breaker is open', async () => {
  const failing = start([], { PORT: '0', METRICS_PORT: '0' });
  try {
    const [, url = ''] = await failing.waitFor(/GraphiQL {2}(\S+)/);
    const [, numbers = ''] = await failing.waitFor(/Metrics {3}(\S+)/);
    const open = async (method: string) =>
      (await series(numbers)).get(`customer_gateway_breaker_open{merchant="${merchant}",method="${method}"}`);
    assert.deepEqual([await open('GET'), await open('POST')], [0, 0]);
    for (let n = 0; n < 30; n += 1) await ask(url, '{ customer(id: "fault_503") { id } }');
    assert.deepEqual([await open('GET'), await open('POST')], [1, 0]);
  } finally {
    failing.child.kill('SIGKILL');
  }
});

test('metrics MUST be served on their own port only, and nothing else on that port', async () => {
  const answer = await fetch(metrics);
  assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const { origin } = new URL(metrics);
  assert.equal((await fetch(`${origin}/graphql`, { method: 'POST' })).status, 404);
  assert.equal((await fetch(metrics, { method: 'POST' })).status, 405);
  assert.equal((await fetch(`${new URL(graphql).origin}/metrics`)).status, 404);
});

test('the series of alerts MUST exist before the first call, with the value of no fault', async () => {
  const fresh = start([], { PORT: '0', METRICS_PORT: '0' });
  try {
    const [, numbers = ''] = await fresh.waitFor(/Metrics {3}(\S+)/);
    const values = await series(numbers);
    const ofMerchant = (name: string, labels = '') => `customer_gateway_${name}{merchant="${merchant}"${labels}}`;
    for (const [name, value] of [
      [ofMerchant('unknown_outcomes_total', ',field="createCustomer"'), 0],
      [ofMerchant('unknown_outcomes_total', ',field="updateCustomer"'), 0],
      [ofMerchant('breaker_open', ',method="GET"'), 0],
      [ofMerchant('breaker_open', ',method="POST"'), 0],
      [ofMerchant('tokens_minted_total'), 0],
      [ofMerchant('reads_merged_total'), 0],
      [ofMerchant('reads_shared_total'), 0],
      [ofMerchant('creates_reconciled_total'), 0],
      [ofMerchant('upstream_retries_total', ',call="get"'), 0],
      [ofMerchant('retry_budget_left'), 10],
      [ofMerchant('hold_back_seconds_left'), 0],
      ['customer_gateway_audit_failures_total', 0],
      ['customer_gateway_log_lines_dropped_total', 0],
      ['customer_gateway_rate_limit_fallback', 0],
      ['customer_gateway_idempotency_fallback', 0],
      ['customer_gateway_key_set_failing', 0],
      ['customer_gateway_workers', 1],
    ] as const) {
      assert.equal(values.get(name), value, name);
    }
  } finally {
    fresh.child.kill('SIGKILL');
  }
});

test('a metrics port in use MUST be an error that names its setting', async () => {
  const taken = start([], { PORT: '0', METRICS_PORT: new URL(metrics).port });
  assert.equal(await taken.exit, 1);
  assert.match(taken.output(), /already in use: change HOST and METRICS_PORT/);
});

test('tokens, merged reads, reconciled creates and unknown outcomes MUST be counted for the merchant', async () => {
  const ofMerchant = (name: string) => `customer_gateway_${name}{merchant="${merchant}"}`;
  const twice = '{ a: customer(id: "u7") { clientAuthToken { token } } b: customer(id: "u7") { id } }';
  const read = await counted(() => ask(graphql, twice));
  assert.deepEqual([read[ofMerchant('tokens_minted_total')], read[ofMerchant('reads_merged_total')]], [1, 1]);
  const lost = (n: number) => create({ ...newCustomer(''), objectReferenceId: `fault_reset_once_after_commit_x${n}` });
  const created = await counted(() => lost(1));
  assert.equal(created[writes('createCustomer', 'RECONCILED')], 1);
  assert.equal(created[ofMerchant('creates_reconciled_total')], 1);
});

test('a client that accepts OpenMetrics MUST get it, with the trace as exemplar if it is sampled', async () => {
  const trace = '0af7651916cd43dd8448eb211c80319c';
  const notSampled = '4bf92f3577b34da6a3ce929d0e0e4736';
  for (const parent of [`${trace}-b7ad6b7169203331-01`, `${notSampled}-b7ad6b7169203331-00`]) {
    await fetch(graphql, {
      method: 'POST',
      headers: { 'content-type': 'application/json', traceparent: `00-${parent}` },
      body: '{"query":"{ customer(id: \\"u7\\") { id } }"}',
    });
  }
  // As Prometheus sends it.
  const accept = 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1';
  const answer = await fetch(metrics, { headers: { accept } });
  assert.match(answer.headers.get('content-type') ?? '', /^application\/openmetrics-text; version=1\.0\.0/);
  const text = await answer.text();
  assert.match(text, /\n# EOF\n$/);
  assert.ok(!text.includes(notSampled));
  assert.match(text, /^# TYPE customer_gateway_operations counter$/m);
  assert.match(text, /^customer_gateway_operations_total\{/m);
  for (const name of ['operation_duration_seconds', 'upstream_attempt_duration_seconds'])
    assert.match(text, new RegExp(`^customer_gateway_${name}_bucket\\{.*\\} \\d+ # \\{trace_id="${trace}"\\} `, 'm'));
  for (const other of [
    '*/*',
    'text/plain',
    'application/openmetrics-text;q=0',
    'text/plain, application/openmetrics-text;q=0.5',
  ]) {
    const plain = await fetch(metrics, { headers: { accept: other } });
    assert.match(plain.headers.get('content-type') ?? '', /^text\/plain/, other);
    assert.doesNotMatch(await plain.text(), /trace_id|# EOF/);
  }
});

test('the budget, the hold-back and the breaker of a removed merchant MUST end', async () => {
  const registry = createMetrics('1');
  registry.merchantOpened('m', { retriesLeft: () => 3, heldMs: () => 1_500 });
  registry.breaker({ merchant: 'm', method: 'GET', isOpen: true });
  registry.keySetFailing(true);
  const before = await registry.read();
  assert.match(before, /^customer_gateway_retry_budget_left\{merchant="m"\} 3$/m);
  assert.match(before, /^customer_gateway_hold_back_seconds_left\{merchant="m"\} 1\.5$/m);
  assert.doesNotMatch(before, /^customer_gateway_key_set_age_seconds/m);
  registry.merchantRemoved('m');
  registry.keySetFailing(false);
  const after = await registry.read();
  assert.doesNotMatch(after, /^customer_gateway_(retry_budget|hold_back_seconds)_left\{/m);
  assert.match(after, /^customer_gateway_breaker_open\{merchant="m",method="GET"\} 0$/m);
  assert.match(after, /^customer_gateway_key_set_age_seconds \d/m);
});

test('docs/operating.md MUST list exactly the existing metrics', async () => {
  const page = readFileSync('docs/operating.md', 'utf8');
  const named = [...page.matchAll(/^\| `(customer_gateway_\w+)` \|/gm)].map(([, name]) => name);
  const text = await (await fetch(metrics)).text();
  const there = [...text.matchAll(/^# TYPE (customer_gateway_\w+) /gm)].map(([, name]) => name);
  assert.deepEqual(named.toSorted(), there.toSorted());
});
