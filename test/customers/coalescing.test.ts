import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createCancellation } from '../../src/customers/cancellation.ts';
import { coalescing } from '../../src/customers/coalescing.ts';
import { type Customer, type Operation, reading } from '../../src/customers/customer.ts';
import { InFlightReads } from '../../src/customers/in-flight-reads.ts';
import { OperationRecord } from '../../src/customers/record.ts';
import { GatewayError } from '../../src/errors.ts';
import { newCustomer } from '../support.ts';

const customer: Customer = {
  id: 'cth_1',
  objectReferenceId: null,
  firstName: null,
  lastName: null,
  emailAddress: null,
  mobileNumber: null,
  mobileCountryCode: null,
  dateCreated: null,
  lastUpdated: null,
};

/** Records the operations of the upstream reads, which end when `end` is called. */
function setUp() {
  const reads: Operation[] = [];
  const { promise, resolve } = Promise.withResolvers<Customer | null>();
  const client = (operation: Operation) =>
    reading({
      get() {
        reads.push(operation);
        return promise;
      },
      create: () => assert.fail(),
      update: () => assert.fail(),
    });
  const open = coalescing(new InFlightReads(client));
  /** Reads the customer in an operation of its own. */
  const read = (requestId: string, failed: string[] = []) => {
    const client = createCancellation();
    const onFailure = (name: string) => failed.push(name) === 1;
    const deadlineAtMs = performance.now() + 60_000;
    const record = new OperationRecord();
    const caller = `caller of ${requestId}`;
    const operation = { requestId, caller, record, deadlineAtMs, cancellation: client, onFailure };
    const get = () => open(operation).get({ any: 'cth_1' });
    return { client, record, get };
  };
  return { reads, read, end: () => resolve(customer) };
}

const isTimeout = (error: unknown) => error instanceof GatewayError && error.code === 'UPSTREAM_TIMEOUT';

test('an operation whose client has disconnected MUST NOT start a read', async () => {
  const { reads, read } = setUp();
  const gone = read('gone');
  gone.client.cancel();
  await assert.rejects(gone.get(), isTimeout);
  assert.deepEqual(reads, []);
});

test('a read MUST belong to an operation that still waits, and end for the others when they leave', async () => {
  const { reads, read, end } = setUp();
  const failures: { first: string[]; second: string[] } = { first: [], second: [] };
  const first = read('first', failures.first);
  const second = read('second', failures.second);
  const answers = [first.get(), second.get()] as const;
  const [shared] = reads;
  assert(shared);
  assert.equal(reads.length, 1);
  assert.equal(shared.requestId, 'first');
  assert.equal(shared.onFailure?.('A'), true);
  first.client.cancel();
  await assert.rejects(answers[0], isTimeout);
  assert.equal(shared.requestId, 'second');
  assert.equal(shared.caller, 'caller of second');
  assert.equal(shared.onFailure?.('A'), true);
  assert.deepEqual(failures, { first: ['A'], second: ['A'] });
  assert.equal(shared.cancellation.isCancelled, false);
  end();
  assert.equal(await answers[1], customer);
});

test('the last operation that leaves MUST cancel the read, which no later operation joins', async () => {
  const { reads, read, end } = setUp();
  const all = [read('a'), read('b'), read('c')];
  const answers = all.map(({ get }) => get());
  for (const { client } of all) client.cancel();
  for (const answer of answers) await assert.rejects(answer, isTimeout);
  assert.deepEqual(
    reads.map(({ cancellation }) => cancellation.isCancelled),
    [true],
  );
  const later = read('later').get();
  end();
  assert.equal(await later, customer);
  assert.equal(reads.length, 2);
});

test('a write MUST end when the other processes have invalidated their reads, and theirs MUST invalidate the reads here', async () => {
  const announced: unknown[] = [];
  const { promise: known, resolve: know } = Promise.withResolvers<void>();
  const reads: Operation[] = [];
  const client = (operation: Operation) =>
    reading({
      get() {
        reads.push(operation);
        return new Promise(() => undefined);
      },
      create: () => Promise.reject(new GatewayError('UPSTREAM_TIMEOUT')),
      update: () => Promise.resolve(customer),
    });
  const inFlight = new InFlightReads(client);
  const open = coalescing(inFlight, (identifiers) => {
    announced.push(identifiers);
    return known;
  });
  const api = () =>
    open({
      requestId: 'r',
      caller: 'c',
      record: new OperationRecord(),
      deadlineAtMs: performance.now() + 60_000,
      cancellation: createCancellation(),
    });
  const read = () => {
    void api().get({ any: 'cth_1' });
    return reads.length;
  };
  assert.deepEqual([read(), read()], [1, 1]);
  inFlight.invalidate(['other']);
  assert.equal(read(), 1);
  inFlight.invalidate(['CTH_1']);
  assert.deepEqual([read(), read()], [2, 2]);
  inFlight.invalidate(undefined);
  assert.equal(read(), 3);

  let ended = 0;
  const writes = [api().update('cth_1', { firstName: 'A' }), api().create(newCustomer('reference-1'))].map((write) =>
    write.then(
      () => (ended += 1),
      () => (ended += 1),
    ),
  );
  while (announced.length < 2) await turn();
  assert.deepEqual(announced.toSorted(), [['cth_1', 'cth_1'], ['reference-1']]);
  assert.equal(ended, 0);
  know();
  await Promise.all(writes);
});
