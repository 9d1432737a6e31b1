import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anonymous, type Caller } from '../../src/auth/caller.ts';
import { never } from '../../src/customers/cancellation.ts';
import { owned } from '../../src/customers/ownership.ts';
import { createDocuments } from '../../src/execution/documents.ts';
import { createEngine, type Engine, type OperationParams } from '../../src/execution/engine.ts';
import { resolversOf } from '../../src/execution/plan.ts';
import type { OperationContext } from '../../src/graphql/context.ts';
import { buildSubgraph } from '../../src/graphql/schema.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { fakeCustomers } from './customers.ts';
import { createGenerator, createRandom, type Random } from './generator.ts';

const limits = { depth: 8, tokens: 2_000, aliases: 100, rootMutations: 5, items: 8, responseBytes: 6_000 };

const callers: readonly Caller[] = [
  anonymous,
  { ...anonymous, scopes: new Set(['customer:read']) },
  { ...anonymous, customers: ['plain'] },
];

/** Runs one operation. The result is the whole answer, and the calls, audit entries and log lines. */
async function observe(
  params: OperationParams,
  caller: Caller,
  isGet: boolean,
  engine: Engine,
  log: string[],
): Promise<string> {
  const { api, calls } = fakeCustomers();
  log.length = 0;
  const context: OperationContext = {
    requestId: 'r',
    caller,
    customers: owned(api, caller),
    audit: (entry) => calls.push(JSON.stringify(entry)),
    write: { isSent: false, isReplayed: false },
    onUnexpected: () => calls.push('unexpected'),
  };
  const answer = await engine.run(params, {
    correlation: { requestId: 'r' },
    isGet,
    mediaType: 'application/graphql-response+json',
    requester: '',
    cancellation: never,
    createContext: (operation) => {
      calls.push(JSON.stringify(operation));
      return context;
    },
  });
  const lines = log.map((line) => line.replace(/"time":"[^"]*"|"cause":.*/g, ''));
  // A syntax error at the end of the text is after the added comment.
  const body = answer.outcome === 'GRAPHQL_PARSE_FAILED' ? '' : answer.body;
  return JSON.stringify([{ ...answer, document: answer.document?.hash(), body }, calls, lines], null, 1);
}

/** Replaces the string literals of a text by other ones. */
function withOtherLiterals(text: string, random: Random): string {
  const values = ['other', 'token', '', 'none', 'a longer text', 'fails', 'é', '\u{1f600}'];
  return text.replace(/"[^"\\]*"/g, () => JSON.stringify(values[random(values.length)]));
}

/**
 * Runs generated documents twice each, as they are and with `mark` at the end: a comment prevents that a document shares its
 * template. Returns the number of documents that share one, and the first that differs.
 */
async function compare(runs: number, seed: number, unshared: (text: string) => string) {
  const random = createRandom(seed);
  const log: string[] = [];
  const schema = buildSubgraph({ exposesSdl: true });
  const options = { schema, limits, introspection: true, log: createLog('debug', (line) => log.push(line)) };
  const documents = createDocuments({ schema, limits, introspection: true, resolvers: resolversOf(schema) });
  const engine = createEngine(options);
  const generate = createGenerator(schema, random);
  let shared = 0;
  for (let run = 0; run < runs; run += 1) {
    const { query, operationName, variables } = generate();
    const caller = callers[random(callers.length)] ?? anonymous;
    const isGet = random(8) === 0;
    for (const text of [query, withOtherLiterals(query, random), withOtherLiterals(query, random)]) {
      const params = { operationName, variables };
      const actual = await observe({ query: text, ...params }, caller, isGet, engine, log);
      const expected = await observe({ query: unshared(text), ...params }, caller, isGet, engine, log);
      if (actual !== expected) return { shared, difference: { text, variables, actual, expected } };
      try {
        if ((await documents.read(text, '', never, false)).literals.length > 0) shared += 1;
      } catch {
        // It cannot be parsed.
      }
    }
  }
  return { shared, difference: undefined };
}

/** The full size, without the time limit of `npm test`: `RUNS=100000 SEEDS=1,2,3 node test/execution/templates.test.ts`. */
const runs = Number(process.env['RUNS'] ?? 400);
const seeds = (process.env['SEEDS'] ?? '1').split(',').map(Number);

for (const seed of seeds) {
  test(`${runs} generated documents, each with three sets of literals, MUST have the same answers with and without a shared plan (seed ${seed})`, async (context) => {
    const { shared, difference } = await compare(runs, seed, (text) => `${text}#`);
    context.diagnostic(`${shared} documents share a plan`);
    assert.equal(difference?.actual, difference?.expected, JSON.stringify(difference, null, 1));
    assert.ok(shared > runs / 8);
  });
}

test('the comparison MUST find planted differences: another literal, and another position', async () => {
  assert.ok((await compare(200, 2, (text) => `${text.replace('"token"', '"plain"')}#`)).difference);
  assert.ok((await compare(200, 2, (text) => ` ${text}#`)).difference);
});

function openDocuments() {
  const schema = buildSubgraph({ exposesSdl: true });
  return createDocuments({ schema, limits, introspection: true, resolvers: resolversOf(schema) });
}

test('documents that differ only in literals MUST share one plan, without parsing or validation', async () => {
  const documents = openDocuments();
  const first = await documents.read(
    '{ customer(id: "a") { id } b: customers(ids: ["b", "c"]) { id } }',
    '',
    never,
    false,
  );
  const other = documents.find('{ customer(id: "") { id } b: customers(ids: ["long text", "é"]) { id } }', false);
  assert.equal(other?.document, first.document);
  assert.deepEqual(other?.literals, ['', 'long text', 'é']);
});

for (const [reason, text] of [
  ['a comment', '{ customer(id: "a") { id } } # "'],
  ['a block string', '{ customer(id: """a""") { id } }'],
  ['an escape', '{ customer(id: "\\u0061") { id } }'],
  ['literals without code between them', '{ customers(ids: ["a""b"]) { id } }'],
  ['a write', 'mutation { updateCustomer(id: "a", input: {}) { __typename } }'],
  ['several operations', 'query A { customer(id: "a") { id } } query B { customer(id: "b") { id } }'],
  ['two fields of one response name', '{ customer(id: "a") { id } customer(id: "a") { id } }'],
  ['a literal in an object', '{ _entities(representations: [{__typename: "Customer"}]) { __typename } }'],
  ['a literal that is coerced to a list', '{ customers(ids: "a") { id } }'],
  ['a list with other values', '{ customers(ids: ["a", 1]) { id } }'],
  ['a literal in a directive', '{ customer(id: "a") @include(if: "a") { id } }'],
  ['the default of a variable', 'query ($id: ID = "a") { customer(id: $id) { id } }'],
  ['introspection', '{ __type(name: "Customer") { name } }'],
] as const) {
  test(`a document MUST NOT share a plan if it has ${reason}`, async () => {
    const documents = openDocuments();
    const { literals } = await documents.read(text, '', never, false);
    assert.deepEqual(literals, []);
  });
}
