import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { after, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { anonymous, type Caller } from '../../src/auth/caller.ts';
import { batched } from '../../src/customers/batching.ts';
import { createCancellation } from '../../src/customers/cancellation.ts';
import { coalescing } from '../../src/customers/coalescing.ts';
import { type CustomerApi, type Operation, type ReadingApi, reading } from '../../src/customers/customer.ts';
import { InFlightReads } from '../../src/customers/in-flight-reads.ts';
import { owned } from '../../src/customers/ownership.ts';
import { OperationRecord } from '../../src/customers/record.ts';
import { GatewayError } from '../../src/errors.ts';
import { storedCustomer as stored } from '../support.ts';

const unhandled: unknown[] = [];
const onUnhandledRejection = (reason: unknown) => unhandled.push(reason);
process.on('unhandledRejection', onUnhandledRejection);
after(() => process.off('unhandledRejection', onUnhandledRejection));

const input = { objectReferenceId: 'reference-1', mobileNumber: '1', emailAddress: 'a@b' };

/** An API that calls `onStep` at each await. Steps are numbered across all operations. */
function createApi(onStep: (step: number) => void): (operation: Operation) => ReadingApi {
  let steps = 0;
  return ({ cancellation }) => {
    const step = async () => {
      steps += 1;
      onStep(steps);
      await Promise.resolve();
      if (cancellation.isCancelled) throw new GatewayError('UPSTREAM_TIMEOUT');
    };
    return reading({
      async get(_key, { withClientAuthToken = false } = {}) {
        for (let n = 0; n < 3; n += 1) await step();
        return withClientAuthToken ? { ...stored, clientAuthToken: null } : stored;
      },
      async create() {
        for (let n = 0; n < 2; n += 1) await step();
        return { customer: stored, origin: 'CREATED' };
      },
      async update() {
        for (let n = 0; n < 2; n += 1) await step();
        return stored;
      },
    });
  };
}

const withToken = { withClientAuthToken: true };
/** Reads the same customer by several keys at once, writes it, and reads it again. */
async function runOperation(customers: CustomerApi): Promise<void> {
  const reads = () => [
    customers.get({ any: 'cth_1' }, withToken),
    customers.get({ any: 'cth_1' }, withToken),
    customers.get({ any: 'reference-1' }, withToken),
    customers.get({ any: 'reference-1' }),
    customers.get({ reference: 'reference-1' }, withToken),
    customers.get({ id: 'cth_1' }),
    customers.get({ any: 'reference-2' }, withToken),
  ];
  await Promise.allSettled(reads());
  await Promise.allSettled([customers.update('reference-1', { firstName: 'X' })]);
  await Promise.allSettled([customers.create(input, withToken), customers.update('cth_1', { firstName: 'Y' })]);
  await Promise.allSettled(reads());
}

const callers: Readonly<Record<string, Caller>> = {
  unbound: anonymous,
  'bound by id': { ...anonymous, customers: ['cth_1'] },
  'bound by reference': { ...anonymous, customers: ['reference-1'] },
  'bound to another customer': { ...anonymous, customers: ['reference-9'] },
  'bound to no customer': { ...anonymous, customers: 'none' },
};

for (const [role, caller] of Object.entries(callers)) {
  for (const kind of ['the upstream fails', 'the client disconnects'] as const) {
    test(`two operations of a caller that is ${role} MUST leave no unhandled rejection if ${kind} at any await`, async () => {
      for (const maxReads of [1, 2, 100]) {
        for (let firstFailure = 1; firstFailure <= 60; firstFailure += 1) {
          const clients = [createCancellation(), createCancellation()];
          const api = createApi((step) => {
            // All later steps fail too, as in an outage.
            if (step < firstFailure) return;
            if (kind === 'the upstream fails') throw new GatewayError('UPSTREAM_UNAVAILABLE');
            for (const client of clients) client.cancel();
          });
          const open = coalescing(new InFlightReads(api));
          const record = new OperationRecord();
          const work = clients.map((cancellation, n) =>
            runOperation(
              owned(
                batched(
                  open({
                    requestId: `r${n}`,
                    caller: role,
                    record,
                    cancellation,
                    deadlineAtMs: performance.now() + 60_000,
                  }),
                  { maxReads, record },
                ),
                caller,
              ),
            ),
          );
          await Promise.all(work);
        }
      }
      for (let turns = 0; turns < 3; turns += 1) await turn();
      assert.deepEqual(unhandled.splice(0), []);
    });
  }
}
