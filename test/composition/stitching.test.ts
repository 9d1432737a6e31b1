import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { buildHTTPExecutor } from '@graphql-tools/executor-http';
import { stitchSchemas } from '@graphql-tools/stitch';
import { stitchingDirectives } from '@graphql-tools/stitching-directives';
import { buildSchema, graphql } from 'graphql';
import { createOrders } from '../../examples/bff/subgraphs.ts';
import { withHarness } from '../support.ts';
import { inGraph } from './graph.ts';

const print = readFileSync(new URL('../../schema/stitching.graphql', import.meta.url), 'utf8');

test('more customers than the limit of one field MUST be requested in batches of 100', () => {
  const tickets = Array.from({ length: 150 }, (_, n) => ({
    id: `t${n}`,
    subject: 'Hello',
    customer: { objectReferenceId: `reference-${n}` },
  }));
  const asked: number[] = [];
  return inGraph(
    {
      tickets,
      onCustomersRequest: async (request, next) => {
        const { variables } = (await request.clone().json()) as { variables: Record<string, string[]> };
        asked.push(...Object.values(variables).map(({ length }) => length));
        return next(request);
      },
    },
    async ({ harness, ask }) => {
      const answer = await ask('stitching, served by Yoga', '{ tickets { customer { firstName } } }');
      assert.equal(answer.errors, undefined);
      assert.deepEqual(asked, [100, 50]);
      assert.equal(harness.upstream().length, 150);
    },
  );
});

test('the directives of the stitching print MUST suffice to merge customers by id', () =>
  withHarness(async (harness) => {
    const { stitchingDirectivesTransformer } = stitchingDirectives();
    const subgraph = createOrders([{ id: '1', total: '10 INR', customer: { id: 'cth_A1b2C3d4E5f6G7h8' } }]);
    const executorOf = (fetch: (request: Request) => Response | Promise<Response>) =>
      buildHTTPExecutor({
        endpoint: 'http://subgraph.test/graphql',
        fetch: async (url, { method = 'POST', headers, body } = {}) =>
          fetch(new Request(url, { method, headers: { ...headers }, body: String(body) })),
      });
    const orders = {
      schema: buildSchema(
        'type Query { order(id: ID!): Order } type Order { customer: Customer } type Customer { id: ID! }',
      ),
      executor: executorOf((request) => subgraph.fetch(request)),
    };
    const customers = stitchingDirectivesTransformer({
      schema: buildSchema(print),
      executor: executorOf((request) => harness.gateway.fetch(request)),
    });
    const schema = stitchSchemas({ subschemas: [customers, orders] });
    const source = '{ order(id: "1") { customer { firstName objectReferenceId } } }';
    const answer = await graphql({ schema, source });
    assert.deepEqual(JSON.parse(JSON.stringify(answer)), {
      data: { order: { customer: { firstName: 'Asha', objectReferenceId: 'asha.rao@example.com' } } },
    });
    assert.deepEqual(harness.upstream(), ['GET /customers/cth_A1b2C3d4E5f6G7h8']);
  }));
