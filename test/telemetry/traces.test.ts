import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { openGateway } from '../../src/gateway.ts';
import type { NodeGateway } from '../../src/http/handler.ts';
import { type Server, startServer } from '../../src/http/server.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { openTraceExport, type TraceExport } from '../../src/telemetry/trace-export.ts';
import { createTraces } from '../../src/telemetry/traces.ts';
import { type Collector, type ReceivedSpan, startCollector } from '../collector.ts';
import { createOperation, newCustomer } from '../support.ts';

let collector: Collector;
let sandbox: Sandbox;
let exported: TraceExport;
let gateway: NodeGateway;
let server: Server;
let log: string[];

before(async () => {
  sandbox = await startSandbox();
});

after(() => sandbox.close());

beforeEach(async () => {
  collector = await startCollector();
  sandbox.reset();
  log = [];
  await open();
});

afterEach(async () => {
  await server.stop(0);
  await gateway.dispose();
  await collector.close();
});

async function open(sampler: 'parentbased_always_on' | 'parentbased_always_off' = 'parentbased_always_on') {
  const { url: baseUrl, merchantId, apiKey } = sandbox;
  const lines = createLog('debug', (line) => log.push(line));
  exported = openTraceExport(
    {
      url: `${collector.url}/v1/traces`,
      headers: {},
      resource: { 'service.name': 'gateway' },
      sampler,
      samplerRatio: 1,
      batch: { delayMs: 60_000, timeoutMs: 1_000, maxQueueSize: 100, maxBatchSize: 100 },
    },
    '1.2.3',
    lines,
  );
  const provider = { baseUrl, merchantId, apiKey: new Secret(apiKey) };
  gateway = openGateway({ ...loadConfig({}), provider }, { log: lines, traces: createTraces(exported.tracer) });
  server = await startServer(gateway, { host: '127.0.0.1', port: 0 });
}

interface Sent {
  readonly query: string;
  readonly variables?: object;
  readonly operationName?: string;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** The two ways to serve a request: the plain handler, and Yoga, which serves requests with `Origin`. */
const doors = { 'the plain handler': {}, Yoga: { origin: 'https://shop.example' } } as const;

async function ask(door: keyof typeof doors, { headers, signal, ...params }: Sent) {
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...doors[door], ...headers },
    body: JSON.stringify(params),
    ...(signal && { signal }),
  });
  return { status: response.status, text: await response.text() };
}

/** Ends the export. @returns the spans, children after their parents, in the order of their start. */
async function spans(): Promise<readonly ReceivedSpan[]> {
  await exported.shutdown(5_000);
  return collector.spans;
}

/** Depends on the clock. */
const queuedMs = 'customer_gateway.queued_ms';

/** The properties that a test compares. `parent` is the name of the parent span. */
function summaryOf(all: readonly ReceivedSpan[]) {
  return all.map(({ name, kind, status, parentSpanId, attributes: { [queuedMs]: queued, ...attributes } }) => {
    assert.equal(typeof queued, kind === 'CLIENT' ? 'number' : 'undefined');
    const parent = all.find(({ spanId }) => spanId === parentSpanId)?.name;
    return { name, kind, status, parent, attributes };
  });
}

const served = {
  'http.request.method': 'POST',
  'url.scheme': 'http',
  'url.path': '/graphql',
  'http.route': '/graphql',
};
const asha = 'cth_A1b2C3d4E5f6G7h8';

for (const door of ['the plain handler', 'Yoga'] as const) {
  const provider = () => ({ 'server.address': '127.0.0.1', 'server.port': Number(new URL(sandbox.url).port) });
  const merchant = () => ({ 'customer_gateway.merchant': sandbox.merchantId });

  test(`a read that is repeated MUST be one span, with a child for each attempt (${door})`, async () => {
    sandbox.arm({ fault: '503', on: 'get', retryAfter: null });
    const query = `query Customer { customer(id: "${asha}") { firstName clientAuthToken { token } } }`;
    assert.equal((await ask(door, { query })).status, 200);
    const get = {
      'http.request.method': 'GET',
      'url.template': '/customers/{customer_id}',
      ...provider(),
      'customer_gateway.token_requested': true,
    };
    assert.deepEqual(summaryOf(await spans()), [
      {
        name: 'GET /customers/{customer_id}',
        kind: 'CLIENT',
        status: 'ERROR',
        parent: 'query',
        attributes: { ...get, 'http.response.status_code': 503, 'error.type': 'UPSTREAM_UNAVAILABLE' },
      },
      {
        name: 'GET /customers/{customer_id}',
        kind: 'CLIENT',
        status: 'UNSET',
        parent: 'query',
        attributes: { ...get, 'http.response.status_code': 200, 'http.request.resend_count': 1 },
      },
      {
        name: 'query',
        kind: 'SERVER',
        status: 'UNSET',
        parent: undefined,
        attributes: {
          ...served,
          ...merchant(),
          'graphql.operation.name': 'Customer',
          'graphql.operation.type': 'query',
          'http.response.status_code': 200,
          'customer_gateway.outcome': 'OK',
          'customer_gateway.tokens': 1,
        },
      },
    ]);
  });

  test(`a create that is reconciled MUST be one span, with the lost attempt and its read (${door})`, async () => {
    sandbox.arm({ fault: 'reset', on: 'create', afterCommit: true });
    const { text } = await ask(door, { query: createOperation, variables: { input: newCustomer('reference-1') } });
    assert.match(text, /RECONCILED/);
    assert.deepEqual(summaryOf(await spans()), [
      {
        name: 'POST /customers',
        kind: 'CLIENT',
        status: 'ERROR',
        parent: 'mutation',
        attributes: {
          'http.request.method': 'POST',
          'url.template': '/customers',
          ...provider(),
          'error.type': 'UPSTREAM_UNAVAILABLE',
        },
      },
      {
        name: 'GET /customers/{customer_id}',
        kind: 'CLIENT',
        status: 'UNSET',
        parent: 'mutation',
        attributes: {
          'http.request.method': 'GET',
          'url.template': '/customers/{customer_id}',
          ...provider(),
          'http.response.status_code': 200,
        },
      },
      {
        name: 'mutation',
        kind: 'SERVER',
        status: 'UNSET',
        parent: undefined,
        attributes: {
          ...served,
          ...merchant(),
          'graphql.operation.type': 'mutation',
          'http.response.status_code': 200,
          'customer_gateway.outcome': 'OK',
          'customer_gateway.writes': ['createCustomer RECONCILED'],
        },
      },
    ]);
  });

  test(`a refused request MUST be one span without children (${door})`, async () => {
    assert.equal((await ask(door, { query: '{ customer(id: "a") ' })).status, 200);
    const refused = { name: 'GraphQL Operation', kind: 'SERVER', status: 'UNSET', parent: undefined } as const;
    assert.deepEqual(summaryOf(await spans()), [
      {
        ...refused,
        attributes: {
          ...served,
          'http.response.status_code': 200,
          'customer_gateway.outcome': 'GRAPHQL_PARSE_FAILED',
          'error.type': 'GRAPHQL_PARSE_FAILED',
        },
      },
    ]);
  });

  test(`an operation that fails because of the provider MUST be a span with an error (${door})`, async () => {
    sandbox.arm({ fault: 'unauthorized', on: 'get' });
    await ask(door, { query: `{ customer(id: "${asha}") { id } }` });
    const [attempt, operation] = await spans();
    assert.deepEqual(
      [attempt, operation].map((span) => [span?.status, span?.statusMessage, span?.attributes['error.type']]),
      [
        ['ERROR', '', 'UPSTREAM_MISCONFIGURED'],
        ['ERROR', '', 'UPSTREAM_MISCONFIGURED'],
      ],
    );
    assert.deepEqual([attempt?.events, operation?.events], [0, 0]);
  });

  test(`a trace MUST be continued, with its tracestate, and be the trace id of each log line (${door})`, async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01`, tracestate: 'rojo=1,congo=t61' };
    sandbox.arm({ fault: 'unauthorized', on: 'get' });
    await ask(door, { query: `{ customer(id: "${asha}") { id } }`, headers });
    const [attempt, operation] = await spans();
    assert.deepEqual([operation?.traceId, operation?.parentSpanId], [traceId, '00f067aa0ba902b7']);
    assert.equal(operation?.traceState, 'rojo=1,congo=t61');
    assert.deepEqual([attempt?.traceId, attempt?.parentSpanId], [traceId, operation?.spanId]);
    const lines = log.filter((line) => line.includes('"requestId"'));
    assert.ok(lines.length > 0);
    for (const line of lines) assert.match(line, new RegExp(`"traceId":"${traceId}"`));
    assert.doesNotMatch(JSON.stringify(sandbox.calls), /traceparent|4bf92f3577b34da6/);
  });

  test(`a trace that the caller does not sample MUST NOT be exported, and MUST still be logged (${door})`, async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-00` };
    await ask(door, { query: `{ customer(id: "${asha}") { id } }`, headers });
    assert.deepEqual(await spans(), []);
    assert.match(log.find((line) => line.includes('upstream call')) ?? '', new RegExp(`"traceId":"${traceId}"`));
  });

  test(`an operation whose client disconnects MUST be a span, with its cancelled attempt (${door})`, async () => {
    sandbox.arm({ fault: 'timeout', on: 'get' });
    const cancel = new AbortController();
    const asked = ask(door, { query: `{ customer(id: "${asha}") { id } }`, signal: cancel.signal });
    const call = await sandbox.whenCalled(() => true);
    cancel.abort();
    await assert.rejects(asked);
    await call.closed;
    // The operation ends in a later turn than its call.
    await gateway.drain();
    assert.deepEqual(
      (await spans()).map(({ name, attributes }) => [name, attributes['error.type']]),
      [
        ['GET /customers/{customer_id}', 'UPSTREAM_UNAVAILABLE'],
        ['query', 'UPSTREAM_TIMEOUT'],
      ],
    );
  });

  test(`an invalid traceparent MUST start a new trace (${door})`, async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01';
    await ask(door, { query: `{ customer(id: "${asha}") { id } }`, headers: { traceparent } });
    const [, operation] = await spans();
    assert.match(operation?.traceId ?? '', /^[0-9a-f]{32}$/);
    assert.notEqual(operation?.traceId, '4bf92f3577b34da6a3ce929d0e0e4736');
    assert.equal(operation?.parentSpanId, '');
    const lines = log.filter((line) => line.includes('"requestId"'));
    for (const line of lines) assert.match(line, new RegExp(`"traceId":"${operation?.traceId}"`));
  });
}

test('a shared read MUST be a child of one operation, and counted by the others', async () => {
  sandbox.arm({ fault: 'slow', on: 'get', delayMs: 300 });
  const query = `{ customer(id: "${asha}") { id } }`;
  const first = ask('the plain handler', { query });
  await sandbox.whenCalled(() => true);
  await Promise.all([first, ask('the plain handler', { query }), ask('Yoga', { query })]);
  const all = await spans();
  assert.equal(sandbox.calls.length, 1);
  const attempts = all.filter(({ kind }) => kind === 'CLIENT');
  const operations = all.filter(({ kind }) => kind === 'SERVER');
  assert.deepEqual([attempts.length, operations.length], [1, 3]);
  const shared = operations.map(({ attributes }) => attributes['customer_gateway.reads.shared']);
  assert.deepEqual(shared.toSorted(), [1, 1, undefined]);
  const parent = operations.find(({ spanId }) => spanId === attempts[0]?.parentSpanId);
  assert.equal(parent?.attributes['customer_gateway.reads.shared'], undefined);
});

test('spans beyond the limit of the queue MUST be dropped', async () => {
  const small = openTraceExport(
    {
      url: `${collector.url}/v1/traces`,
      headers: {},
      resource: {},
      sampler: 'always_on',
      samplerRatio: 1,
      batch: { delayMs: 60_000, timeoutMs: 1_000, maxQueueSize: 10, maxBatchSize: 512 },
    },
    '1.2.3',
    createLog('silent'),
  );
  // The queue is sent when it is full, and takes no further spans in the same turn.
  for (let n = 0; n < 1_000; n += 1) small.tracer.startSpan('span').end();
  await small.shutdown(5_000);
  assert.ok(collector.spans.length <= 20, `${collector.spans.length} spans`);
  assert.ok(collector.spans.length >= 10);
});
