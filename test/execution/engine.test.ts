import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Customer } from '../../src/customers/customer.ts';
import { LazyPromise } from '../../src/customers/lazy-promise.ts';
import { createEngine } from '../../src/execution/engine.ts';
import { buildSubgraph } from '../../src/graphql/schema.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { fakeCustomers, runOperation } from './customers.ts';

const limits = { depth: 8, tokens: 2_000, aliases: 60, rootMutations: 5, items: 200, responseBytes: 100_000 };

test('an operation MUST have an answer if the log of its first error fails', { timeout: 5_000 }, async () => {
  const lines: string[] = [];
  let isBroken = true;
  const log = createLog('info', (line) => {
    if (isBroken) {
      isBroken = false;
      throw new Error('the log is broken');
    }
    lines.push(line);
  });
  const engine = createEngine({ schema: buildSubgraph({ exposesSdl: false }), limits, introspection: false, log });
  const customer = new LazyPromise<Customer | null>();
  const answer = runOperation(
    engine,
    { query: '{ customer(id: "a") { id } }' },
    { ...fakeCustomers().api, get: () => customer },
  );
  customer.reject(new TypeError('a bug'));
  const { body, outcome } = await answer;
  assert.equal(outcome, 'INTERNAL_SERVER_ERROR');
  assert.match(body, /Unexpected error/);
  assert.match(lines.join(), /"message":"unexpected error"/);
});
