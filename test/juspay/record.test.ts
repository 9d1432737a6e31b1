import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { after, before, beforeEach, test } from 'node:test';
import { Secret } from '../../src/config/secret.ts';
import { batched } from '../../src/customers/batching.ts';
import { createCancellation } from '../../src/customers/cancellation.ts';
import { type Attempt, type AttemptEnd, OperationRecord } from '../../src/customers/record.ts';
import { type Merchants, openMerchants } from '../../src/juspay/merchants.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { createLog } from '../../src/telemetry/log.ts';

let sandbox: Sandbox;
let merchants: Merchants;

before(async () => {
  sandbox = await startSandbox();
  const { url: baseUrl, merchantId, apiKey } = sandbox;
  const juspay = { version: undefined, timeoutMs: 5_000, connections: 8 };
  merchants = openMerchants(
    { provider: { baseUrl, merchantId, apiKey: new Secret(apiKey) }, merchants: [] },
    { juspay, operationTimeoutMs: 10_000 },
    createLog('silent'),
  );
});

beforeEach(() => sandbox.reset());

after(async () => {
  await merchants.close();
  await sandbox.close();
});

/** Access to customers as one operation has it, and the record of this operation. */
function open(record = new OperationRecord(), from = merchants) {
  const merchant = from.of({ merchant: undefined });
  assert(merchant);
  const cancellation = createCancellation();
  const deadlineAtMs = performance.now() + 10_000;
  const operation = { requestId: 'r', caller: 'c', record, deadlineAtMs, cancellation };
  return { record, cancellation, customers: batched(merchant.open(operation), { maxReads: 100, record }) };
}

/** The counters that are not zero. */
function countsOf({ observer: _, failures: __, ...counts }: OperationRecord): object {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}

const asha = 'cth_A1b2C3d4E5f6G7h8';
const token = { withClientAuthToken: true };
const input = { objectReferenceId: 'r-new', mobileNumber: '9000000000', emailAddress: 'new@example.com' };

test('a record MUST count the reads that were sent and the reads that were merged', async () => {
  const { record, customers } = open();
  const reads = Array.from({ length: 50 }, (_, n) => customers.get({ any: `u${n % 10}` }));
  await Promise.all(reads);
  assert.equal(sandbox.calls.length, 10);
  assert.deepEqual(countsOf(record), { gets: 10, mergedReads: 40 });
});

test('a record MUST count each token that the provider created, once', async () => {
  const { record, customers } = open();
  await Promise.all([
    customers.get({ any: 'u7' }, token),
    customers.get({ any: 'u7' }),
    customers.get({ any: 'u7' }, token),
    customers.get({ any: 'nobody' }, token),
    customers.create(input, token),
    customers.update(asha, { firstName: 'Asha' }),
  ]);
  assert.equal(sandbox.calls.length, 4);
  assert.deepEqual(countsOf(record), { gets: 2, creates: 1, updates: 1, mergedReads: 2, tokens: 2 });
});

test('a shared read MUST count in the record of the operation that started it', async () => {
  const [first, second, third] = [open(), open(), open()];
  await Promise.all([first, second, third].map(({ customers }) => customers.get({ any: 'u7' })));
  assert.equal(sandbox.calls.length, 1);
  assert.deepEqual(countsOf(first.record), { gets: 1 });
  assert.deepEqual(countsOf(second.record), { sharedReads: 1 });
  assert.deepEqual(countsOf(third.record), { sharedReads: 1 });
});

test('a retry of a shared read whose first operation has gone MUST count in the record of one that waits', async () => {
  sandbox.arm({ fault: '503', on: 'get', delayMs: 0, retryAfter: null });
  const [first, second] = [open(), open()];
  const reads = [first, second].map(({ customers }) => customers.get({ any: 'u7' }));
  const gone = assert.rejects(reads[0] as Promise<unknown>);
  await sandbox.whenCalled(() => true);
  first.cancellation.cancel();
  await gone;
  await reads[1];
  assert.equal(sandbox.calls.length, 2);
  assert.deepEqual(countsOf(first.record), { gets: 1 });
  assert.deepEqual(countsOf(second.record), { gets: 1, retries: 1, sharedReads: 1 });
});

test('a record MUST count retries, and the reads that settle a write', async () => {
  sandbox.arm({ fault: '503', on: 'get', pathId: 'u7', times: 2, retryAfter: null });
  sandbox.arm({ fault: 'reset', on: 'create', afterCommit: true });
  const { record, customers } = open();
  await customers.get({ any: 'u7' });
  const { origin } = await customers.create(input);
  assert.equal(origin, 'RECONCILED');
  assert.equal(sandbox.calls.length, 5);
  assert.deepEqual(countsOf(record), { gets: 4, creates: 1, retries: 2 });
});

test('a call that is never sent MUST NOT count', async () => {
  const { record, cancellation, customers } = open();
  cancellation.cancel();
  await assert.rejects(customers.get({ any: 'u7' }));
  await assert.rejects(customers.get({ any: '..' }));
  assert.deepEqual([sandbox.calls.length, countsOf(record)], [0, {}]);
});

test('an observer MUST see the start and the end of each attempt, without the id', async () => {
  sandbox.arm({ fault: '503', on: 'get', pathId: 'u7', retryAfter: null });
  sandbox.arm({ fault: 'reset', on: 'get', pathId: asha });
  const record = new OperationRecord();
  const started: Attempt[] = [];
  const ended: (readonly [Attempt, AttemptEnd])[] = [];
  record.observer = {
    onAttemptStart: (attempt) => started.push(attempt),
    onAttemptEnd: (attempt, end) => ended.push([attempt, end]),
  };
  const { customers } = open(record);
  const startMs = performance.now();
  await customers.get({ any: 'u7' }, token);
  await customers.get({ any: asha });
  await customers.get({ any: 'nobody' });
  await customers.create(input, token);
  await customers.update(asha, { firstName: 'Asha' });
  const endMs = performance.now();

  const get = { call: 'get', method: 'GET', pathTemplate: '/customers/{customer_id}' };
  const first = { attempt: 1, resends: 0 };
  const second = { attempt: 2, resends: 1 };
  assert.deepEqual(
    ended.map(([{ startedAtMs, queuedMs, ...attempt }, { durationMs, ...end }]) => {
      assert.ok(queuedMs >= 0 && startedAtMs >= startMs && startedAtMs + durationMs <= endMs);
      return { ...attempt, ...end };
    }),
    [
      { ...get, ...first, withToken: true, status: 503, outcome: 'UPSTREAM_UNAVAILABLE' },
      { ...get, ...second, withToken: true, status: 200, outcome: 'OK' },
      { ...get, ...first, withToken: false, status: undefined, outcome: 'UPSTREAM_UNAVAILABLE' },
      { ...get, ...second, withToken: false, status: 200, outcome: 'OK' },
      { ...get, ...first, withToken: false, status: 404, outcome: 'NOT_FOUND' },
      {
        call: 'create',
        method: 'POST',
        pathTemplate: '/customers',
        ...first,
        withToken: true,
        status: 200,
        outcome: 'OK',
      },
      {
        call: 'update',
        method: 'POST',
        pathTemplate: '/customers/{customer_id}',
        ...first,
        withToken: false,
        status: 200,
        outcome: 'OK',
      },
    ],
  );
  assert.deepEqual(
    started,
    ended.map(([attempt]) => attempt),
  );
  assert.deepEqual([sandbox.calls.length, record.gets + record.creates + record.updates], [7, 7]);
});

test('an attempt that the client cancels MUST end for its observer', async () => {
  sandbox.arm({ fault: 'slow', on: 'get', delayMs: 5_000 });
  const record = new OperationRecord();
  const outcomes: string[] = [];
  record.observer = { onAttemptStart() {}, onAttemptEnd: (_attempt, { outcome }) => outcomes.push(outcome) };
  const { cancellation, customers } = open(record);
  const read = assert.rejects(customers.get({ any: 'u7' }, token));
  await sandbox.whenCalled(() => true);
  cancellation.cancel();
  assert.deepEqual(outcomes, ['UPSTREAM_UNAVAILABLE']);
  await read;
});

test('an attempt MUST say how often its call was sent before, with either key', async (context) => {
  const { url: baseUrl, merchantId, apiKey } = sandbox;
  const rotating = openMerchants(
    { provider: { baseUrl, merchantId, apiKey: new Secret('new'), olderApiKey: new Secret(apiKey) }, merchants: [] },
    { juspay: { version: undefined, timeoutMs: 5_000, connections: 8 }, operationTimeoutMs: 10_000 },
    createLog('silent'),
  );
  context.after(() => rotating.close());
  sandbox.arm({ fault: '503', on: 'get', retryAfter: null });
  const attempts: Attempt[] = [];
  const record = new OperationRecord();
  record.observer = { onAttemptStart: (attempt) => attempts.push(attempt), onAttemptEnd() {} };
  const { customers } = open(record, rotating);
  await customers.get({ any: 'u7' });
  assert.deepEqual(
    attempts.map(({ resends }) => resends),
    [0, 1, 2],
  );
  assert.ok(attempts.every(({ attempt }) => attempt <= 2));
});
