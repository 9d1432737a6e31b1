import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Customer, CustomerApi } from '../../src/customers/customer.ts';
import { LazyPromise } from '../../src/customers/lazy-promise.ts';
import { createEngine, type OperationParams } from '../../src/execution/engine.ts';
import { LastPrinted, Turn } from '../../src/execution/last-printed.ts';
import { buildSubgraph } from '../../src/graphql/schema.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { storedCustomer } from '../support.ts';
import { runOperation } from './customers.ts';

const limits = { depth: 8, tokens: 2_000, aliases: 60, rootMutations: 5, items: 200, responseBytes: 100_000 };

/**
 * Counts the promises and timers that the engine creates for an operation whose plan is known.
 *
 * @param isLazy whether the customer is a lazy promise, as that of a read is.
 */
async function count(params: OperationParams, isLazy = false): Promise<Record<string, number>> {
  const engine = createEngine({
    schema: buildSubgraph({ exposesSdl: false }),
    limits,
    introspection: false,
    log: createLog('silent'),
  });
  const token = { token: 't', expiresAt: new Date('2026-01-31T09:30:00Z') };
  // One promise for all readers, so that only promises of the engine are counted.
  const found = { ...storedCustomer, clientAuthToken: token };
  const lazy = new LazyPromise<Customer | null>();
  const customer = isLazy ? lazy : Promise.resolve(found);
  const created = Promise.resolve({ customer: storedCustomer, origin: 'CREATED' as const });
  const customers: CustomerApi = {
    get: () => customer,
    create: () => created,
    update: () => Promise.reject(new Error('not used')),
  };
  const run = () => {
    const answer = runOperation(engine, params, customers);
    lazy.resolve(found);
    return answer;
  };
  const { body } = await run();
  assert.doesNotMatch(body, /errors/);
  await nextTurn();
  const counts: Record<string, number> = {};
  const hook = createHook({
    init(_id, type) {
      counts[type] = (counts[type] ?? 0) + 1;
    },
  });
  hook.enable();
  await run();
  hook.disable();
  // The `await` above creates a promise, too.
  return { ...counts, PROMISE: (counts['PROMISE'] ?? 0) - 1 };
}

const fields = 'id firstName lastName emailAddress mobileNumber dateCreated';

test('a read MUST create two promises: one for the answer and one for the reader', async () => {
  // All reads of one turn of the event loop share its `setImmediate`, which drops the printed customers.
  const query = `query ($id: ID!) { customer(id: $id) { ${fields} clientAuthToken { token expiresAt } } }`;
  assert.deepEqual(await count({ query, variables: { id: 'a' } }), { PROMISE: 2, Immediate: 1 });
  assert.deepEqual(await count({ query: `{ customer(id: "a") { ${fields} } }` }), { PROMISE: 2, Immediate: 1 });
});

test('the readers of a lazy promise MUST create no promise', async () => {
  const aliases = Array.from({ length: 50 }, (_, index) => `a${index}: customer(id: "a") { ${fields} }`);
  assert.deepEqual(await count({ query: `{ ${aliases.join(' ')} }` }, true), { PROMISE: 1, Immediate: 1 });
  const ids = Array.from({ length: 100 }, (_, index) => String(index));
  const query = `query ($ids: [ID!]!) { customers(ids: $ids) { ${fields} } }`;
  assert.deepEqual(await count({ query, variables: { ids } }, true), { PROMISE: 1, Immediate: 3 + 4 });
});

test('each further reader MUST create one promise, and 25 items of a long list one turn of the event loop', async () => {
  const aliases = Array.from({ length: 50 }, (_, index) => `a${index}: customer(id: "a") { ${fields} }`);
  assert.deepEqual(await count({ query: `{ ${aliases.join(' ')} }` }), { PROMISE: 51, Immediate: 1 });
  // Three further turns for the items. Each of the four drops its printed customers.
  const ids = Array.from({ length: 100 }, (_, index) => String(index));
  const query = `query ($ids: [ID!]!) { customers(ids: $ids) { ${fields} } }`;
  assert.deepEqual(await count({ query, variables: { ids } }), { PROMISE: 101, Immediate: 3 + 4 });
});

test('a printed customer MUST NOT be kept after the turn of the event loop', async () => {
  const printed = new LastPrinted(new Turn());
  const source = {};
  printed.set(source, 'text');
  assert.equal(printed.textOf(source), 'text');
  assert.equal(printed.textOf(undefined), undefined);
  await nextTurn();
  assert.equal(printed.textOf(source), undefined);
  printed.set(source, 'text');
  await nextTurn();
  assert.equal(printed.textOf(source), undefined);
});
