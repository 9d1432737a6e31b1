import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anonymous } from '../../src/auth/caller.ts';
import { never } from '../../src/customers/cancellation.ts';
import type { Customer, CustomerApi } from '../../src/customers/customer.ts';
import { LazyPromise } from '../../src/customers/lazy-promise.ts';
import { createEngine } from '../../src/execution/engine.ts';
import type { OperationContext } from '../../src/graphql/context.ts';
import { buildSubgraph } from '../../src/graphql/schema.ts';
import { createLog } from '../../src/telemetry/log.ts';

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
  const customers: CustomerApi = {
    get: () => customer,
    create: () => Promise.reject(new Error('not used')),
    update: () => Promise.reject(new Error('not used')),
  };
  const context: OperationContext = {
    requestId: 'r',
    caller: anonymous,
    customers,
    audit: () => undefined,
    write: { isSent: false, isReplayed: false },
    onUnexpected: (cause) => assert.fail(String(cause)),
  };
  const answer = engine.run(
    { query: '{ customer(id: "a") { id } }' },
    {
      correlation: { requestId: 'r' },
      isGet: false,
      mediaType: 'application/json',
      requester: '',
      cancellation: never,
      createContext: () => context,
    },
  );
  customer.reject(new TypeError('a bug'));
  const { body, outcome } = await answer;
  assert.equal(outcome, 'INTERNAL_SERVER_ERROR');
  assert.match(body, /Unexpected error/);
  assert.match(lines.join(), /"message":"unexpected error"/);
});
