import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { after, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { anonymous, type Caller } from '../../src/auth/caller.ts';
import { batched } from '../../src/customers/batching.ts';
import { coalescing } from '../../src/customers/coalescing.ts';
import type { Customer, CustomerApi, Operation } from '../../src/customers/customer.ts';
import { owned } from '../../src/customers/ownership.ts';
import { GatewayError } from '../../src/errors.ts';

const unhandled: unknown[] = [];
const note = (reason: unknown) => unhandled.push(reason);
process.on('unhandledRejection', note);
after(() => process.off('unhandledRejection', note));

const stored: Customer = {
  id: 'cth_1',
  objectReferenceId: 'reference-1',
  firstName: null,
  lastName: null,
  emailAddress: null,
  mobileNumber: null,
  mobileCountryCode: null,
  dateCreated: null,
  lastUpdated: null,
};
const input = { objectReferenceId: 'reference-1', mobileNumber: '1', emailAddress: 'a@b' };

/** An API that does `happen` at each of its awaits, numbered over all operations. */
function createApi(happen: (step: number) => void): (operation: Operation) => CustomerApi {
  let steps = 0;
  return ({ signal }) => {
    const step = async () => {
      steps += 1;
      happen(steps);
      await Promise.resolve();
      if (signal.aborted) throw new GatewayError('UPSTREAM_TIMEOUT');
    };
    return {
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
    };
  };
}

const withToken = { withClientAuthToken: true };
/** What an operation asks for: the same customer in several ways at once, then a write, then again. */
async function operate(customers: CustomerApi): Promise<void> {
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
  'bound to somebody else': { ...anonymous, customers: ['reference-9'] },
  'bound to nobody': { ...anonymous, customers: 'none' },
};

for (const [role, caller] of Object.entries(callers)) {
  for (const kind of ['fails', 'has its client leave'] as const) {
    test(`each await of two operations of a caller that is ${role} MUST leave no rejection unhandled when it ${kind}`, async () => {
      for (const maxReads of [1, 2, 100]) {
        for (let broken = 1; broken <= 60; broken += 1) {
          const gone = [new AbortController(), new AbortController()];
          const open = coalescing(
            createApi((step) => {
              if (step < broken) return;
              // From here on: one that fails for ever is an outage.
              if (kind === 'fails') throw new GatewayError('UPSTREAM_UNAVAILABLE');
              for (const controller of gone) controller.abort();
            }),
          );
          const work = gone.map(({ signal }, n) =>
            operate(
              owned(
                batched(
                  open({
                    requestId: `r${n}`,
                    caller: role,
                    signal,
                    deadlineAtMs: performance.now() + 60_000,
                  }),
                  { maxReads },
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
