import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { type Collector, startCollector } from '../collector.ts';
import { type Run, start } from '../program.ts';

const canary = 'canary';
const secret = 'a-secret-of-the-collector';

let sandbox: Sandbox;
let collector: Collector;
/** Status of the collector's responses; `undefined`: it does not respond. */
let status: number | undefined;
let run: Run | undefined;

beforeEach(async () => {
  status = 200;
  [sandbox, collector] = await Promise.all([startSandbox(), startCollector(() => status)]);
});

afterEach(async () => {
  run?.child.kill('SIGKILL');
  await Promise.all([sandbox.close(), collector.close()]);
});

/** Starts the shipped program. @returns the URL of its endpoint. */
async function open(environment: Record<string, string>, nodeOptions: readonly string[] = []): Promise<string> {
  run = start(
    ['serve'],
    {
      PORT: '0',
      AUTH_MODE: 'none',
      LOG_LEVEL: 'debug',
      JUSPAY_API_KEY: sandbox.apiKey,
      JUSPAY_MERCHANT_ID: sandbox.merchantId,
      JUSPAY_BASE_URL: sandbox.url,
      ...environment,
    },
    nodeOptions,
  );
  const [, url = ''] = await run.waitFor(/"url":"([^"]+)"/);
  return `${url}/graphql`;
}

async function stop(): Promise<string> {
  assert.ok(run);
  run.child.kill('SIGTERM');
  assert.equal(await run.exit, 0);
  return run.output();
}

async function send(url: string, params: object, headers: Record<string, string> = {}): Promise<string> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers } };
  return (await fetch(url, { ...init, body: JSON.stringify(params) })).text();
}

/** Prints the URL of each OpenTelemetry module that is loaded. */
const observer = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  registerHooks({
    load(url, context, next) {
      if (url.includes('@opentelemetry')) process.stderr.write('LOADED ' + url + '\\n');
      return next(url, context);
    },
  });
`)}`;

test('the standard variables MUST turn on traces, which are sent before the process ends', async () => {
  const url = await open(
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/base/`,
      OTEL_EXPORTER_OTLP_HEADERS: `x-key=${secret}%3D,x-other=1`,
      OTEL_SERVICE_NAME: 'customers',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,service.name=other',
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0',
    },
    ['--import', observer],
  );
  const query = { query: '{ customer(id: "u7") { id } }' };
  await send(url, query);
  await send(url, query, { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' });
  const output = await stop();
  assert.deepEqual(
    collector.spans.map(({ name, traceId }) => [name, traceId]),
    [
      ['GET /customers/{customer_id}', '4bf92f3577b34da6a3ce929d0e0e4736'],
      ['query', '4bf92f3577b34da6a3ce929d0e0e4736'],
    ],
  );
  const { 'service.version': version, ...resource } = collector.spans[0]?.resource ?? {};
  assert.match(String(version), /^\d+\.\d+\.\d+$/);
  assert.equal(resource['service.name'], 'customers');
  assert.equal(resource['deployment.environment.name'], 'test');
  assert.equal(resource['telemetry.sdk.language'], 'nodejs');
  const [request] = collector.requests;
  assert.equal(request?.url, '/base/v1/traces');
  assert.deepEqual([request?.headers['x-key'], request?.headers['x-other']], [`${secret}=`, '1']);
  assert.doesNotMatch(output, new RegExp(secret));
  assert.match(output, /^LOADED .*sdk-trace/m);
});

test('no value of a caller MUST reach the collector', async () => {
  const url = await open({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/v1/traces`,
    OPERATION_TIMEOUT_MS: '1000',
  });
  const email = `${canary}.person@example.com`;
  const headers = { baggage: `user=${canary}`, 'user-agent': canary, 'x-request-id': canary, referer: canary };
  const input = {
    objectReferenceId: `ref-${canary}`,
    mobileNumber: '9000000042',
    emailAddress: email,
    firstName: canary,
    lastName: canary,
  };
  const create =
    'mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) { __typename ... on CreateCustomerSuccess { customer { id clientAuthToken { token } } } } }';
  assert.match(await send(url, { query: create, variables: { input } }, headers), /CreateCustomerSuccess/);
  const find = 'query ($id: ID!) { customer(id: $id) { firstName } }';
  for (const fault of ['500', 'html', 'unauthorized', 'rejected', 'reset', 'wrong_customer'] as const) {
    sandbox.arm({ fault, times: 9 });
    await send(url, { query: find, variables: { id: email } }, headers);
    await send(url, { query: create, variables: { input: { ...input, objectReferenceId: `ref-2-${canary}` } } });
    sandbox.disarm();
  }
  await send(url, { query: `query ${canary} { a${canary}: customer(id: "${email}") { id } }` }, headers);
  await send(url, { query: `query ${canary} { customer(id: "${email}") { id } }`, operationName: canary });
  await send(url, { query: `query Customer { ${canary} }`, operationName: email }, headers);
  await send(url, { query: `{ customer(id: "${canary}" `, variables: { [canary]: canary } }, headers);
  await send(`${url}/${canary}?${canary}=1`, { query: '{ __typename }' }, headers);
  await fetch(url, { method: 'PURGE', headers: { ...headers, tracestate: `${canary}=1` } });
  await fetch(`${url}?query=${encodeURIComponent(`{ customer(id: "${email}") { id } }`)}`, {
    headers: { 'x-graphql-yoga-csrf': '1', ...headers },
  });
  await stop();
  const operations = collector.spans.filter(({ kind }) => kind === 'SERVER');
  // The request with the method PURGE is refused by the HTTP server.
  assert.ok(operations.length >= 19, `${operations.length} operations`);
  assert.ok(collector.spans.length > 30, `${collector.spans.length} spans`);
  assert.doesNotMatch(collector.bytes(), new RegExp(canary));
  assert.doesNotMatch(collector.bytes(), /example\.com|9000000042|tkn_|customer\(/);
  for (const { name, events, links, statusMessage } of collector.spans) {
    assert.match(name, /^(query|mutation|GraphQL Operation|(GET|POST) \/customers(\/\{customer_id\})?)$/);
    assert.deepEqual([events, links, statusMessage], [0, 0, '']);
  }
});

test('a collector that fails MUST be logged once, and its recovery too', async () => {
  status = 500;
  const url = await open({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '1' });
  assert.match(await send(url, { query: '{ customer(id: "u7") { id } }' }), /"data"/);
  const [failed] = (await run?.waitFor(/^.*traces cannot be exported.*$/m)) ?? [];
  assert.match(failed ?? '', /"level":"warn".*"count":\d/);
  status = 200;
  assert.match(await send(url, { query: '{ customer(id: "u7") { id } }' }), /"data"/);
  await run?.waitFor(/"level":"info".*"message":"traces are exported again"/);
  const output = await stop();
  assert.equal(output.match(/traces cannot be exported/g)?.length, 1);
});

for (const [what, change] of [
  [
    'refuses connections',
    () =>
      collector.close().then(async () => {
        // Closed once more after the test.
        collector = await startCollector();
      }),
  ],
  [
    'does not respond',
    async () => {
      status = undefined;
    },
  ],
] as const) {
  test(`a collector that ${what} MUST NOT delay operations or the end of the process`, async () => {
    const url = await open({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '1' });
    await change();
    for (let n = 0; n < 5; n += 1) assert.match(await send(url, { query: '{ customer(id: "u7") { id } }' }), /"data"/);
    // The default timeout of an export is 10 s, longer than the test waits for the exit in `stop`.
    const stopped = await stop();
    assert.match(stopped, /"message":"stopped"/);
    assert.doesNotMatch(stopped, /unhandled/);
  });
}

for (const [what, environment] of [
  ['without a request for traces', { OTEL_SERVICE_NAME: 'a', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }],
  ['if they are disabled', { OTEL_SDK_DISABLED: 'true', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318' }],
] as const) {
  test(`no module of OpenTelemetry MUST be loaded ${what}`, async () => {
    const url = await open(environment, ['--import', observer]);
    await send(url, { query: '{ customer(id: "u7") { id } }' });
    assert.doesNotMatch(await stop(), /LOADED/);
  });
}
