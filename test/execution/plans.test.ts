import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  GraphQLError,
  type GraphQLField,
  type GraphQLSchema,
  getOperationAST,
  parse,
  specifiedRules,
  validate,
} from 'graphql';
import { anonymous, type Caller } from '../../src/auth/caller.ts';
import { owned } from '../../src/customers/ownership.ts';
import { answerOf, type Result } from '../../src/execution/answer.ts';
import { withBoundedFailures } from '../../src/execution/bounded.ts';
import { createCompiler, type Operation } from '../../src/execution/compiler.ts';
import { interpret, runPlan } from '../../src/execution/executor.ts';
import { maxReportedErrors } from '../../src/execution/outcome.ts';
import { plannableFields, type Resolver, type Resolvers, resolversOf } from '../../src/execution/plan.ts';
import type { OperationContext } from '../../src/graphql/context.ts';
import { buildSubgraph } from '../../src/graphql/schema.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { fakeCustomers } from './customers.ts';
import { createGenerator, createRandom, type GeneratedOperation } from './generator.ts';

type Field = GraphQLField<unknown, unknown>;

const callers: readonly Caller[] = [
  anonymous,
  { ...anonymous, scopes: new Set(['customer:read', 'customer:write']) },
  { ...anonymous, scopes: new Set(['customer:token', 'customer:write']) },
  { ...anonymous, scopes: new Set() },
  { ...anonymous, customers: ['reference-1'] },
];

/** Everything that an execution does: its answer, and its calls, audit entries and log lines in order. */
interface Observed {
  readonly body: string;
  readonly effects: readonly string[];
}

type Execute = (operation: Operation, variables: Record<string, unknown>, context: object) => Promise<Result>;

async function observe(
  execute: Execute,
  operation: Operation,
  variables: Record<string, unknown>,
  caller: Caller,
): Promise<Observed> {
  const { api, calls } = fakeCustomers();
  const log = createLog('debug', (line) => calls.push(line.replace(/"time":"[^"]*"|"cause":.*/g, '')));
  const context: OperationContext = {
    requestId: 'r',
    caller,
    customers: owned(api, caller),
    audit: (entry) => calls.push(JSON.stringify(entry)),
    write: { isSent: false, isReplayed: false },
    onUnexpected: (cause) => calls.push(`unexpected ${cause}`),
  };
  const result = await execute(operation, variables, context);
  const request = { correlation: { requestId: 'r' }, mediaType: 'application/json' } as const;
  const { body } = answerOf(result, request, log, { type: undefined, name: undefined, document: undefined });
  // The calls of a query are a race between its fields.
  const isQuery = operation.node.operation === 'query';
  return { body: withSortedBugs(body), effects: isQuery ? calls.sort() : calls };
}

/**
 * graphql-js reports errors of values in the order of execution, which is a race between fields. Sorts them, and leaves out
 * which of them are among the first five.
 */
function withSortedBugs(body: string): string {
  const { errors = [], ...rest } = JSON.parse(body) as { errors?: { extensions: { code: string } }[] };
  const isBug = ({ extensions }: (typeof errors)[number]) => extensions.code === 'INTERNAL_SERVER_ERROR';
  const bugs = errors
    .filter(isBug)
    .map((error) => JSON.stringify(errors.length < maxReportedErrors ? error : 'one bug'));
  const data = body.slice(body.indexOf('"data":'));
  return JSON.stringify([errors.filter((error) => !isBug(error)), bugs.sort(), Object.keys(rest), data]);
}

const maxBytes = 4_000;

const withGraphql =
  (schema: GraphQLSchema, bytes = maxBytes): Execute =>
  (operation, variables, context) =>
    interpret(operation, schema, variables, context, bytes);

const withPlan =
  (bytes = maxBytes): Execute =>
  (operation, variables, context) => {
    const prepared = operation.prepare(variables, []);
    assert.ok(prepared);
    return new Promise((resolve) => runPlan(operation, prepared, context, bytes, resolve));
  };

/**
 * Whether one of two answers exceeds the size limit and the other has several bugs. The reported bugs count for the size, and
 * which of them are reported is a race.
 */
function isRaceOfSizes(one: Observed, other: Observed): boolean {
  const sizes = [one, other].map(({ body }) => body.includes('The response exceeds the size limit.'));
  const bugs = [one, other].map(({ body }) => body.split('one bug').length > 2);
  return (sizes[0] === true && bugs[1] === true) || (sizes[1] === true && bugs[0] === true);
}

/** Runs generated operations both ways. Returns how many of them had a plan, and the first that differs. */
async function compare(
  runs: number,
  seed: number,
  change: (resolvers: Resolvers) => Resolvers = (resolvers) => resolvers,
) {
  const schema = buildSubgraph({ exposesSdl: true });
  const compile = createCompiler(schema, change(resolversOf(schema)), plannableFields(schema));
  withBoundedFailures(schema);
  const random = createRandom(seed);
  const generate = createGenerator(schema, random);
  let planned = 0;
  let refused = 0;
  let races = 0;
  for (let run = 0; run < runs; run += 1) {
    const generated = generate();
    const operation = operationOf(schema, compile, generated);
    if (operation?.prepare(generated.variables, []) === undefined) {
      refused += 1;
      continue;
    }
    const caller = callers[random(callers.length)] ?? anonymous;
    planned += 1;
    const observed = (execute: Execute) => observe(execute, operation, generated.variables, caller);
    let expected = await observed(withGraphql(schema));
    let actual = await observed(withPlan());
    if (isRaceOfSizes(actual, expected)) {
      races += 1;
      expected = await observed(withGraphql(schema, 2 * maxBytes));
      actual = await observed(withPlan(2 * maxBytes));
    }
    if (JSON.stringify(actual) !== JSON.stringify(expected))
      return { planned, refused, races, difference: { generated, actual, expected, caller } };
  }
  return { planned, refused, races, difference: undefined };
}

function operationOf(
  schema: GraphQLSchema,
  compile: ReturnType<typeof createCompiler>,
  { query, operationName }: GeneratedOperation,
): Operation | undefined {
  try {
    const document = parse(query);
    const node = getOperationAST(document, operationName);
    if (!node || validate(schema, document, specifiedRules).length > 0) return undefined;
    return compile(document, node, new Map(), () => undefined);
  } catch (error) {
    if (error instanceof GraphQLError) return undefined;
    throw error;
  }
}

/** The full size, without the time limit of `npm test`: `RUNS=100000 SEEDS=1,2,3 node test/execution/plans.test.ts`. */
const runs = Number(process.env['RUNS'] ?? 2_000);
const seeds = (process.env['SEEDS'] ?? '1').split(',').map(Number);

for (const seed of seeds) {
  test(`${runs} generated operations MUST have the same answers and effects with a plan as with graphql-js (seed ${seed})`, async (context) => {
    const { planned, refused, races, difference } = await compare(runs, seed);
    context.diagnostic(
      `${planned} operations ran, ${refused} were invalid or have no plan, ${races} ran again with a larger limit`,
    );
    assert.deepEqual(difference?.actual, difference?.expected, JSON.stringify(difference, null, 1));
    assert.ok(planned > runs / 4);
  });
}

/** Changes of resolvers that the comparison must notice. */
const planted: Readonly<Record<string, (resolve: Resolver | undefined, field: Field) => Resolver | undefined>> = {
  'a scope that is not checked': (resolve, { extensions }) =>
    'direct' in extensions ? (extensions['pothosOriginalResolve'] as Resolver) : resolve,
  'one value of one field': (resolve, { name }) => (name === 'expiresInSeconds' ? () => 1 : resolve),
  'a second call': (resolve, { name }) =>
    name !== 'customer' || resolve === undefined
      ? resolve
      : (source, args, context, info) => {
          if ('id' in args) void (context as OperationContext).customers.get({ any: String(args['id']) });
          return resolve(source, args, context, info);
        },
  'the text null': (resolve, { name }) =>
    name === 'lastName' ? (source) => String((source as { lastName: unknown }).lastName) : resolve,
};

for (const [name, change] of Object.entries(planted)) {
  test(`the comparison MUST find a planted difference: ${name}`, async () => {
    const { difference } = await compare(
      3_000,
      2,
      (resolvers) => new Map([...resolvers].map(([field, resolve]) => [field, change(resolve, field)])),
    );
    assert.ok(difference);
  });
}
