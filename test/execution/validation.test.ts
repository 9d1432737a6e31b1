import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  GraphQLError,
  getLocation,
  NoFragmentCyclesRule,
  OverlappingFieldsCanBeMergedRule,
  parse,
  Source,
  specifiedRules,
  validate,
} from 'graphql';
import { anonymous } from '../../src/auth/caller.ts';
import { never } from '../../src/customers/cancellation.ts';
import { owned } from '../../src/customers/ownership.ts';
import { RequestError } from '../../src/errors.ts';
import { createDocuments } from '../../src/execution/documents.ts';
import { createEngine } from '../../src/execution/engine.ts';
import { parsePositions, withLocations } from '../../src/execution/locations.ts';
import { needsComparisons } from '../../src/execution/merging.ts';
import { resolversOf } from '../../src/execution/plan.ts';
import { validateAtOnce, validateInSteps } from '../../src/execution/validation.ts';
import { buildSubgraph } from '../../src/graphql/schema.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { fakeCustomers, runOperation } from './customers.ts';
import { createGenerator, createRandom, type Random } from './generator.ts';

const schema = buildSubgraph({ exposesSdl: true });
const limits = { depth: 10, tokens: 2_000, aliases: 60, rootMutations: 10, items: 2_000, responseBytes: 4_194_304 };
const repeat = (count: number, item: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => item(i)).join(' ');

/** A document in which few names repeat, with fragments, so that many selections conflict or nearly do. */
function repeating(random: Random): string {
  const one = (items: readonly string[]): string => items[random(items.length)] ?? '';
  const fragments = random(5);
  const spread = () => (fragments > 0 ? `...F${random(fragments)}` : '__typename');
  const alias = () => one(['', '', '', 'id: ', 'a: ']);
  const many = (part: () => string) => `{ ${repeat(1 + random(4), part)} }`;
  const tokenPart = (): string => one([`${alias()}token`, 'expiresAt', `${alias()}expiresInSeconds`, '... { token }']);
  const customerPart = (): string =>
    one([
      `${alias()}id`,
      `${alias()}firstName`,
      `${alias()}clientAuthToken ${many(tokenPart)}`,
      `... on Customer ${many(() => `${alias()}id`)}`,
      spread(),
      `${alias()}unknown`,
    ]);
  const argument = () =>
    one(['id: "a"', 'id: "b"', 'id: 1', 'id: $id', 'id: ["a"]', 'id: { a: 1, b: $id }', 'ID: "a"']);
  const queryPart = (): string =>
    one([`${alias()}customer(${argument()}) ${many(customerPart)}`, `${alias()}__typename`, spread()]);
  const errorPart = (): string =>
    one([
      `... on CustomerError { ${alias()}message }`,
      `... on CustomerUpstreamError { ${alias()}retryAfterSeconds message }`,
      `... on CreateCustomerSuccess { ${alias()}origin customer ${many(customerPart)} }`,
    ]);
  const operations = [`query Q($id: ID!) ${many(queryPart)}`];
  if (random(3) === 0) operations.push(`query R($id: ID!) ${many(queryPart)}`);
  if (random(3) === 0) operations.push(`mutation M { createCustomer(input: {}) ${many(errorPart)} }`);
  const definitions = Array.from({ length: fragments }, (_, index) =>
    one([`fragment F${index} on Customer ${many(customerPart)}`, `fragment F${index} on Query ${many(queryPart)}`]),
  );
  return [...operations, ...definitions].join(' ');
}

const documentsOf = (seed: number): (() => string) => {
  const random = createRandom(seed);
  const generate = createGenerator(schema, random);
  return () => (random(3) === 0 ? generate().query : repeating(random));
};

const textsOf = (errors: readonly GraphQLError[]) => errors.map((error) => JSON.stringify(error));

/** `RUNS=100000 node test/execution/validation.test.ts` compares more documents. */
const runs = Number(process.env['RUNS'] ?? 1_000);

test('validation in steps MUST find the same errors in the same order as graphql-js, for generated documents', (context) => {
  const next = documentsOf(1);
  const found = { valid: 0, invalid: 0, conflicts: 0, uncompared: 0 };
  for (let run = 0; run < runs; run += 1) {
    const text = next();
    let document: ReturnType<typeof parse>;
    let isCompared: boolean;
    try {
      document = parse(text);
      isCompared = needsComparisons(schema, document);
    } catch (error) {
      // Some of the largest documents repeat too many fields.
      assert.ok(error instanceof GraphQLError || text.length > 8_000, text);
      continue;
    }
    // A document with a cycle is rejected for it. Its fields are not compared.
    const isCyclic = validate(schema, document, [NoFragmentCyclesRule]).length > 0;
    const rules = specifiedRules.filter((rule) => !isCyclic || rule !== OverlappingFieldsCanBeMergedRule);
    const expected = textsOf(validateAtOnce(schema, document, rules));
    const steps = validateInSteps(schema, document, specifiedRules);
    let step = steps.next();
    while (!step.done) step = steps.next();
    assert.deepEqual(textsOf(step.value), expected, text);
    const conflicts = validate(schema, document, [OverlappingFieldsCanBeMergedRule]);
    if (!isCompared) {
      found.uncompared += 1;
      if (!isCyclic) assert.deepEqual(textsOf(conflicts), [], text);
    }
    found[expected.length > 0 ? 'invalid' : 'valid'] += 1;
    if (conflicts.length > 0) found.conflicts += 1;
  }
  context.diagnostic(JSON.stringify(found));
  for (const count of Object.values(found)) assert.ok(count > runs / 12, JSON.stringify(found));
});

const triangle = (size: number) =>
  `{ ...F0 } ${repeat(size, (i) => `fragment F${i} on Query { ${repeat(size - i, (j) => `...F${i + j + 1}`)} customer(id: "x") { id } }`)} fragment F${size} on Query { __typename }`;

/** Documents within the limits that take most time: 100 to 700 ms before they were planned in steps. */
const worst: Readonly<Record<string, string>> = {
  'equal selections': `{ customer(id: "a") { ${repeat(390, () => 'clientAuthToken { token }')} } }`,
  'unequal selections': `{ customer(id: "a") { ${repeat(390, (i) => `clientAuthToken { ${i % 2 === 0 ? 'token' : 'expiresAt'} }`)} } }`,
  'fragments that spread each other': triangle(28),
  'fragments with equal selections': `{ customer(id: "x") { ${repeat(80, (i) => `...F${i}`)} } } ${repeat(80, (i) => `fragment F${i} on Customer { id firstName lastName emailAddress mobileNumber clientAuthToken { token expiresAt } }`)}`,
  introspection: `{ ${repeat(4, () => `__schema { ${repeat(50, () => 'types { fields { name } }')} }`)} }`,
  'operations with a fragment of many variables': `${repeat(60, (i) => `query Q${i}($v: ID!) { ...F }`)} fragment F on Query { customers(ids: [${repeat(600, () => '$v')}]) { id } }`,
  'many literals': `{ customers(ids: [${repeat(1_900, (i) => `"d${i}"`)}]) { id } }`,
  'many unknown fields': `{ ${repeat(1_990, (i) => `f${i}`)} }`,
  'deep input': `mutation { createCustomer(input: ${'{ a: '.repeat(480)}1${' }'.repeat(480)}) { __typename } }`,
};

/** Documents within the limits whose selections conflict, in too many pairs to compare. */
const refused: Readonly<Record<string, string>> = {
  'conflicting aliases of an unused fragment': `{ __typename } fragment X on Customer { ${repeat(640, (i) => `a: ${['id', 'firstName', 'lastName'][i % 3]}`)} }`,
  'different arguments': `{ ${repeat(210, (i) => `customer(id: "${i}") { id }`)} }`,
  'different arguments in fragments': `{ ${repeat(90, (i) => `...F${i}`)} } ${repeat(90, (i) => `fragment F${i} on Query { customer(id: "${i}") { id } }`)}`,
};

for (const [name, text] of Object.entries(refused)) {
  test(`a document MUST be too complex, before graphql-js compares its fields, if it has ${name}`, () => {
    assert.throws(
      () => needsComparisons(schema, parse(text)),
      (error) => error instanceof RequestError && error.code === 'OPERATION_TOO_COMPLEX',
    );
  });
}

test('fields MUST NOT be compared in pairs if all selections of a place are the same field', () => {
  for (const [name, text] of Object.entries(worst)) assert.equal(needsComparisons(schema, parse(text)), false, name);
});

function openEngine() {
  const engine = createEngine({
    schema: buildSubgraph({ exposesSdl: true }),
    limits,
    introspection: true,
    log: createLog('silent'),
  });
  return (query: string, requester: string, onContext = () => {}) =>
    runOperation(engine, { query }, owned(fakeCustomers().api, anonymous), { requester, onContext });
}

test('the first document of another caller MUST be executed between two steps of the largest documents', async () => {
  const run = openEngine();
  for (const [name, text] of Object.entries(worst)) {
    const order: string[] = [];
    const large = Promise.resolve(run(text, 'a')).then(() => order.push('large'));
    const small = run(`{ ${name.replaceAll(/\W/g, '')}: __typename }`, 'b', () => order.push('small'));
    await Promise.all([large, small]);
    assert.deepEqual(order, ['small', 'large'], name);
    await nextTurn();
  }
});

test('an ordinary document MUST be planned at once, and the largest one MUST take a step for each group of rules', () => {
  const documents = createDocuments({ schema, limits, introspection: true, resolvers: resolversOf(schema) });
  const read = documents.read(`{ ${repeat(55, (i) => `a${i}: __typename`)} }`, '', never, false);
  assert.ok(!(read instanceof Promise));
  const steps = validateInSteps(schema, parse(worst['fragments that spread each other'] ?? ''), specifiedRules);
  let count = 1;
  while (!steps.next().done) count += 1;
  assert.ok(count >= 7, `${count} steps`);
});

test('the largest documents SHOULD NOT cost more than 30 times a document of as many tokens with 58 fields', async () => {
  const run = openEngine();
  const costMs = async (text: string) => {
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 4; round += 1) {
      const beforeMs = performance.now();
      await run(text + ' '.repeat(round), 'a');
      least = Math.min(least, performance.now() - beforeMs);
    }
    return least;
  };
  const usual = `{ ${repeat(58, (i) => `a${i}: __typename`)} customers(ids: [${repeat(1_700, () => '1')}]) { id } }`;
  const usualMs = await costMs(usual);
  for (const [name, text] of Object.entries({ ...worst, ...refused })) {
    const ratio = (await costMs(text)) / usualMs;
    assert.ok(ratio < 30, `${name}: ${ratio}`);
  }
});

test('the locations of errors MUST be those of graphql-js, also after thousands of line breaks and in a template', () => {
  const random = createRandom(3);
  const parts = ['\n', '\r\n', '\r', ' ', ',', '{ id }', 'a', '# é\n', '__typename'];
  for (let run = 0; run < 200; run += 1) {
    const text = `{ ${repeat(1 + random(40), () => `${parts[random(parts.length)]} b`)} customer(id: "") { id }\n\n}`;
    let document: ReturnType<typeof parse>;
    try {
      document = parsePositions(text);
    } catch {
      continue;
    }
    const nodes = document.definitions.flatMap((node) =>
      node.kind === 'OperationDefinition' ? [node, ...node.selectionSet.selections] : [],
    );
    const [error] = withLocations([new GraphQLError('', { nodes })], text, []);
    const expected = nodes.map(({ loc }) => getLocation(new Source(text), loc?.start ?? 0));
    assert.deepEqual(error?.locations, expected);
    const [moved] = withLocations([new GraphQLError('', { nodes })], text.replace('""', '"long"'), ['long']);
    assert.deepEqual(moved?.locations?.slice(0, -1), expected.slice(0, -1));
  }
});
