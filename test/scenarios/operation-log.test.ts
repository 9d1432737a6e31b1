import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startServer } from '../../src/http/server.ts';
import { createGateway } from '../../src/library/mount.ts';
import { createLog, fieldNames } from '../../src/telemetry/log.ts';
import { createOperationLines, type OperationEntry, operationFields } from '../../src/telemetry/operation.ts';
import { createOperation, type Harness, newCustomer, withHarness } from '../support.ts';

type Line = Readonly<Record<string, unknown>>;

const linesOf = ({ log }: Pick<Harness, 'log'>): Line[] =>
  log.map((line) => JSON.parse(line) as Line).filter(({ message }) => message === 'operation');

/** The lines without what differs in each run. Checks the form of the rest. */
const knownOf = (lines: readonly Line[]): object[] =>
  lines.map(({ time, requestId, documentHash, durationMs, caller, ...line }) => {
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.match(String(requestId), /^[0-9a-f-]{36}$/);
    assert.match(String(documentHash), /^([0-9a-f]{64}|undefined)$/);
    assert.match(String(caller), /^[0-9a-f]{16}$/);
    assert.ok(typeof durationMs === 'number' && durationMs >= 0);
    return line;
  });

const none = { gets: 0, creates: 0, updates: 0, mergedReads: 0, sharedReads: 0, tokensMinted: 0, retries: 0 };
const common = { level: 'info', message: 'operation', merchant: 'sandbox_merchant' };
const query = { ...common, ...none, operationType: 'query', outcome: 'OK' };
const mutation = { ...query, operationType: 'mutation' };

test('each operation MUST have one line with its calls, merged reads, tokens and retries', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: '503', on: 'get', retryAfter: null });
    await harness.ask(
      'query Two { a: customer(id: "u7") { id } b: customer(id: "u7") { clientAuthToken { token } } c: customer(id: "nobody") { id } }',
    );
    await harness.ask(createOperation, { input: newCustomer('operation-log') });
    assert.deepEqual(knownOf(linesOf(harness)), [
      { ...query, operationName: 'Two', gets: 3, mergedReads: 1, tokensMinted: 1, retries: 1 },
      { ...mutation, creates: 1 },
    ]);
    assert.equal(harness.upstream().length, 4);
  }));

test('the line MUST count errors by code, and failures that are part of the result', () =>
  withHarness(async (harness) => {
    const input = newCustomer('operation-log');
    await harness.ask(createOperation, { input });
    await harness.ask(createOperation, { input });
    await harness.ask(
      '{ a: customer(id: "fault_unauthorized") { id } b: customer(id: "") { id } c: customer(id: "u7") { id } }',
    );
    await harness.ask('{ nothing }');
    await harness.ask('{ customer(id: "asha.rao@example.com") ');
    await harness.fetch({
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"query":"query A { __typename }","operationName":"asha"}',
    });
    const refused = { ...query, operationType: 'none' };
    assert.deepEqual(knownOf(linesOf(harness).slice(1)), [
      { ...mutation, outcome: 'ALREADY_EXISTS', codes: { ALREADY_EXISTS: 1 }, creates: 1 },
      {
        ...query,
        outcome: 'UPSTREAM_MISCONFIGURED',
        codes: { UPSTREAM_MISCONFIGURED: 1, BAD_USER_INPUT: 1 },
        gets: 2,
      },
      { ...refused, outcome: 'GRAPHQL_VALIDATION_FAILED', codes: { GRAPHQL_VALIDATION_FAILED: 1 } },
      { ...refused, outcome: 'GRAPHQL_PARSE_FAILED', codes: { GRAPHQL_PARSE_FAILED: 1 } },
      { ...refused, outcome: 'BAD_USER_INPUT', codes: { BAD_USER_INPUT: 1 } },
    ]);
  }));

test('a request that is refused before its operation MUST NOT have a line', () =>
  withHarness(async (harness) => {
    const headers = { 'content-type': 'application/json' };
    await harness.fetch({ method: 'PUT', headers, body: '{}' });
    await harness.fetch({ method: 'POST', headers, body: 'no JSON' });
    await harness.fetch({ path: '/health' });
    assert.deepEqual(linesOf(harness), []);
  }));

test('the limit of lines per second MUST NOT suppress the lines of operations', () =>
  withHarness(async (harness) => {
    await Promise.all(Array.from({ length: 100 }, () => harness.ask('{ __typename }')));
    const lines = linesOf(harness);
    assert.equal(new Set(lines.map(({ requestId }) => requestId)).size, 100);
    assert.doesNotMatch(harness.log.join(''), /log lines suppressed/);
  }));

test('operations that share a read MUST have its call in one line', () =>
  withHarness(async (harness) => {
    await Promise.all(Array.from({ length: 3 }, () => harness.ask('{ customer(id: "u7") { id } }')));
    const shared = { ...query, sharedReads: 1 };
    assert.deepEqual(knownOf(linesOf(harness)), [{ ...query, gets: 1 }, shared, shared]);
    assert.equal(harness.upstream().length, 1);
  }));

test('the line of a write whose client has disconnected MUST have the calls that were made after it', () =>
  withHarness(
    async (harness) => {
      const server = await startServer(harness.gateway, { host: '127.0.0.1', port: 0 });
      try {
        // Committed, but its response is late: the gateway reads the customer back.
        harness.sandbox.arm({ fault: 'slow', on: 'create', afterCommit: true, delayMs: 2_000 });
        const controller = new AbortController();
        const request = fetch(`${server.url}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ query: createOperation, variables: { input: newCustomer('operation-gone') } }),
          signal: controller.signal,
        });
        await harness.sandbox.whenCalled(({ method }) => method === 'POST');
        controller.abort();
        await assert.rejects(request);
        await harness.sandbox.whenCalled(({ method }) => method === 'GET');
        while (linesOf(harness).length === 0) await new Promise((resolve) => setImmediate(resolve));
        assert.deepEqual(knownOf(linesOf(harness)), [{ ...mutation, gets: 1, creates: 1 }]);
      } finally {
        await server.stop(0);
      }
    },
    { JUSPAY_TIMEOUT_MS: '250' },
  ));

test('the hash MUST be the same for documents that differ in literals, aliases, comments and white space only', () =>
  withHarness(async (harness) => {
    const same = [
      '{ customer(id: "u7") { id firstName } }',
      '{ customer(id: "nobody") { id firstName } }',
      '{ customer ( id : """asha""" ) { id, firstName } } # asha@example.com',
      '{ asha: customer(id: "\\u0061") { mine: id firstName } }',
      '{ asha # asha@example.com\n: customer(id: 9000000001) { id firstName } }',
    ];
    for (const text of same) await harness.ask(text);
    const other = [
      '{ customer(id: "u7") { firstName id } }',
      '{ customerByReference(objectReferenceId: "u7") { id firstName } }',
    ];
    for (const text of other) await harness.ask(text);
    const hashes = linesOf(harness).map(({ documentHash }) => documentHash);
    assert.equal(new Set(hashes.slice(0, same.length)).size, 1);
    assert.equal(new Set(hashes).size, 1 + other.length);
  }));

test('the line MUST have nothing of a person: no literals, variables, aliases or ids', () =>
  withHarness(async (harness) => {
    await harness.ask('query ($id: ID!) { canary1: customer(id: $id) { id } b: customer(id: "canary2") { id } }', {
      id: 'canary3',
    });
    await harness.ask('{ customer(id: "canary4" }');
    await harness.ask('{ customer(id: "canary5") { canary6 } }');
    const lines = linesOf(harness);
    assert.equal(lines.length, 3);
    assert.doesNotMatch(JSON.stringify(lines), /canary/);
    for (const line of lines)
      for (const name of Object.keys(line)) {
        assert.ok(name in fieldNames || ['level', 'time', 'message'].includes(name), name);
      }
  }));

test('a log without a method for operations MUST get the same fields at `info`, and none above `info` is built', async () => {
  const lines: [string, object | undefined][] = [];
  const silent = () => undefined;
  const log = {
    debug: silent,
    warn: silent,
    error: silent,
    info: (message: string, fields?: object) => lines.push([message, fields]),
  };
  const gateway = createGateway({ log: { ...log, info: (message, fields) => void log.info(message, fields) } });
  try {
    await gateway.fetch(
      new Request('http://gateway.test/graphql', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"query":"query Mine { __typename }"}',
      }),
    );
    const [[message, fields] = []] = lines.filter(([text]) => text === 'operation');
    assert.equal(message, 'operation');
    assert.equal((fields as Line | undefined)?.['operationName'], 'Mine');
  } finally {
    await gateway.dispose();
  }
  const written: string[] = [];
  const warnings = createLog('warn', (line) => written.push(line));
  warnings.operation?.(entry);
  assert.deepEqual([written, warnings.isInfoDropped], [[], true]);
});

const entry: OperationEntry = {
  requestId: 'r',
  traceId: '0af7651916cd43dd8448eb211c80319c',
  operationName: 'Name',
  documentHash: 'ab',
  type: 'query',
  codes: { NOT_FOUND: 2, RATE_LIMITED: 1 },
  counts: { gets: 1, creates: 2, updates: 3, retries: 4, mergedReads: 5, sharedReads: 6, tokens: 7 },
  durationMs: 12.3456,
  caller: 'c',
  merchant: 'a "merchant" \\',
};

test('the text of the line MUST be the line of its fields', () => {
  const {
    traceId: _,
    operationName: __,
    documentHash: ___,
    codes: ____,
    caller: _____,
    merchant: ______,
    ...rest
  } = entry;
  const absent = {
    traceId: undefined,
    operationName: undefined,
    documentHash: undefined,
    codes: undefined,
    caller: undefined,
    merchant: undefined,
  };
  const plain = { ...rest, ...absent, type: 'query' } as const;
  const changes: Partial<OperationEntry>[] = [
    ...[
      {},
      { durationMs: 7 },
      { caller: 'other' },
      { merchant: 'other' },
      { documentHash: 'cd' },
      { operationName: 'Other' },
    ],
    ...[{ traceId: entry.traceId }, { type: 'mutation' as const }, { codes: { NOT_FOUND: 1 } }],
    ...Object.keys(entry.counts).map((name) => ({ counts: { ...entry.counts, [name]: 99 } })),
  ];
  const operationLine = createOperationLines();
  // Each after a line that differs in one field, whose parts are kept.
  const entries = [
    entry,
    { ...plain, type: undefined },
    ...changes.flatMap((change) => [plain, { ...plain, ...change }]),
  ];
  for (const one of entries) {
    const written: string[] = [];
    createLog('info', (line) => written.push(line)).info('operation', operationFields(one));
    const time = /"time":"([^"]*)"/.exec(written[0] ?? '')?.[1] ?? '';
    assert.equal(operationLine(one, time), written[0]);
  }
});
