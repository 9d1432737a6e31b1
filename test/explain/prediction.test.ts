import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Plan, PlannedCall, RefusedField } from '../../src/explain/explanation.ts';
import type { Call } from '../../src/sandbox/calls.ts';
import type { Sandbox } from '../../src/sandbox/server.ts';
import { createRandom, type GeneratedOperation, type Random } from '../execution/generator.ts';
import { type Answer, type Harness, withHarness } from '../support.ts';
import { createShapeGenerator, type Shape } from './operations.ts';

const all = ['customer:read', 'customer:write', 'customer:token', 'gateway:explain'];

/** A caller, with an API key: to verify a token would take most of the time. */
interface TestCaller {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly customer?: string;
}

const unbound: readonly TestCaller[] = [
  { name: 'all', scopes: all },
  { name: 'no-token', scopes: ['customer:read', 'customer:write', 'gateway:explain'] },
  { name: 'no-read', scopes: ['customer:token', 'customer:write', 'gateway:explain'] },
  { name: 'nothing', scopes: ['gateway:explain'] },
];

/** Bound by reference and by id, without a scope, and to customers that do not exist until the caller creates them. */
const bound: readonly TestCaller[] = [
  { name: 'reference', scopes: all, customer: 'u7' },
  { name: 'id', scopes: all, customer: 'cst_0123456789abcdef' },
  { name: 'bound-no-token', scopes: ['customer:read', 'customer:write', 'gateway:explain'], customer: 'u7' },
  ...Array.from({ length: 20 }, (_, n) => ({ name: `new-${n}`, scopes: all, customer: `new-reference-${n}` })),
];

const keyOf = ({ name }: TestCaller) => `the key of the caller ${name}`;

function writeKeys(folder: string): string {
  const path = join(folder, 'keys.json');
  const entries = [...unbound, ...bound].map((caller) => ({
    ...caller,
    sha256: createHash('sha256').update(keyOf(caller)).digest('hex'),
  }));
  writeFileSync(path, JSON.stringify(entries));
  return path;
}

async function send(
  harness: Harness,
  operation: GeneratedOperation,
  caller: TestCaller,
  mode?: string,
): Promise<Answer> {
  const headers = { 'content-type': 'application/json', 'x-api-key': keyOf(caller) };
  return harness.fetch({
    method: 'POST',
    headers: { ...headers, ...(mode !== undefined && { 'x-gateway-explain': mode }) },
    body: JSON.stringify(operation),
  });
}

/** What was seen in a run, so that the test knows that the operations were worth it. */
type Seen = Record<string, number>;

interface Difference {
  readonly what: string;
  readonly operation: GeneratedOperation;
  readonly caller: TestCaller;
  readonly calls: readonly string[];
  readonly plan: unknown;
}

/** Plans and executes generated operations. @returns the first one whose calls differ from its plan. */
async function compare(
  harness: Harness,
  { runs, seed, callerOf }: { runs: number; seed: number; callerOf: (random: Random) => TestCaller },
  seen: Seen,
): Promise<Difference | undefined> {
  const random = createRandom(seed);
  const generate = createShapeGenerator(random);
  // Each document is executed several times, because to parse and validate one costs more than to plan and execute it.
  const shapes: Shape[] = Array.from({ length: Math.ceil(runs / 8) }, generate);
  const count = (name: string) => {
    seen[name] = (seen[name] ?? 0) + 1;
  };
  for (let run = 0; run < runs; ) {
    const caller = callerOf(random);
    const shape = shapes[random(shapes.length)] as Shape;
    if (caller.customer !== undefined && shape.hasLiterals) continue;
    const operation = shape.operation(run, caller.customer);
    harness.sandbox.clearCalls();
    const planned = await send(harness, operation, caller, 'plan');
    const early = harness.upstream();
    const answer = await send(harness, operation, caller);
    const calls = harness.sandbox.calls;
    const plan = planOf(planned);
    const differs = (what: string) => ({
      what,
      operation,
      caller,
      calls: harness.upstream(),
      plan: plan ?? planned.text,
    });
    if (early.length > 0) return differs('the plan sent a call');
    if (plan === undefined) {
      // The document was refused, for the same reason.
      if (withoutIds(planned.text) !== withoutIds(answer.text)) return differs(`another refusal: ${answer.text}`);
      count('refused');
      continue;
    }
    run += 1;
    count(calls.length > 0 ? 'with calls' : 'without calls');
    for (const call of plan.calls) for (const { kind } of call.reasons) count(kind);
    const isMutation = operation.query.startsWith('mutation');
    const fault = isMutation
      ? faultOfMutation(plan, calls, harness.sandbox, caller, count)
      : faultOfQuery(plan, calls, harness.sandbox, caller, /_entities|customerByReference/.test(operation.query));
    const missing = unreportedErrors(plan.refused, answer, calls);
    if (fault !== undefined || missing !== undefined) return differs(fault ?? `not predicted: ${missing}`);
  }
  return undefined;
}

function planOf({ text }: Answer): Plan | undefined {
  const { extensions } = JSON.parse(text) as { extensions?: { explain: Plan } };
  return extensions?.explain;
}

function withoutIds(text: string): string {
  return text.replace(/"requestId":"[^"]*"/g, '');
}

const signatureOf = ({ method, path, token }: Pick<PlannedCall, 'method' | 'path' | 'token'>) =>
  `${method} ${path}${token ? ' with the token' : ''}`;

function realSignature({ method, route, query, form }: Call): string {
  const option = 'options.get_client_auth_token';
  const token = query[option] === 'true' || form?.[option] === 'true';
  const path = route === 'create' ? '/customers' : '/customers/{customer_id}';
  return signatureOf({ method: method as 'GET', path, token });
}

function storedOf(sandbox: Sandbox, pathId: string) {
  return sandbox.customers.find(({ id, objectReferenceId }) => id === pathId || objectReferenceId === pathId);
}

function owns(sandbox: Sandbox, { customer }: TestCaller, pathId: string): boolean {
  const stored = storedOf(sandbox, pathId);
  return stored !== undefined && (customer === undefined || [stored.id, stored.objectReferenceId].includes(customer));
}

/** The calls of a mutation are made one after the other: each is compared with its planned one, and each placeholder with its id. */
function faultOfMutation(
  plan: Plan,
  calls: readonly Call[],
  sandbox: Sandbox,
  caller: TestCaller,
  count: (name: string) => void,
): string | undefined {
  const ids = new Map<string, string>();
  const hasSucceeded = new Map<number, boolean>();
  const left = [...calls];
  const take = (planned: Pick<PlannedCall, 'method' | 'path' | 'token' | 'customer'>): Call | string => {
    const call = left.shift();
    if (call === undefined) return `not sent: ${signatureOf(planned)}`;
    if (realSignature(call) !== signatureOf(planned))
      return `${realSignature(call)} instead of ${signatureOf(planned)}`;
    const reference = /^\{id of (.*)\}$/.exec(planned.customer)?.[1];
    const expected =
      reference === undefined ? ids.get(planned.customer) : storedOf(sandbox, ids.get(`{${reference}}`) ?? '')?.id;
    if (expected === undefined && reference === undefined && ![...ids.values()].includes(call.pathId))
      ids.set(planned.customer, call.pathId);
    else if (expected !== call.pathId) return `${planned.customer} is not the id of the call`;
    return call;
  };
  for (const planned of plan.calls) {
    if (planned.after !== null && hasSucceeded.get(planned.after) !== true) {
      count('not as planned');
      // A write that is not sent does not clear the reads before it, so later fields can share them.
      if (planned.method === 'POST') return undefined;
      continue;
    }
    const call = take(planned);
    if (typeof call === 'string') return call;
    const isOwn = call.route === 'create' || owns(sandbox, caller, call.pathId);
    hasSucceeded.set(planned.call, call.status === 200 && isOwn);
    if (call.route !== 'create' || call.status === 200) continue;
    count('ALREADY_EXISTS');
    const reads = planned.conditional.filter(({ condition }) => condition === 'ALREADY_EXISTS');
    for (const conditional of reads) {
      count('EXISTING');
      const further = take(conditional);
      if (typeof further === 'string') return further;
    }
    // These reads can serve those that establish the owner for later fields.
    if (reads.length > 0 && caller.customer !== undefined) return undefined;
  }
  return left.length > 0 ? `not planned: ${left.map(realSignature)}` : undefined;
}

/**
 * The calls of a query are made at the same time. Groups the planned ones by placeholder and the real ones by id, and looks for
 * pairs of equal groups.
 *
 * @param namesKind whether the query reads customers by id only or by reference only, and can name one by the other.
 */
function faultOfQuery(
  plan: Plan,
  calls: readonly Call[],
  sandbox: Sandbox,
  caller: TestCaller,
  namesKind: boolean,
): string | undefined {
  const planned = [...Map.groupBy(plan.calls, ({ customer }) => customer).values()];
  const real = [...Map.groupBy(calls, ({ pathId }) => pathId)].map(([pathId, group]) => ({
    isOwn: owns(sandbox, caller, pathId),
    text: group.map(realSignature).sort().join(),
  }));
  for (const group of planned) {
    const textOf = (isOwn: boolean) =>
      group
        .filter(({ after }) => after === null || isOwn)
        .map(signatureOf)
        .sort()
        .join();
    const index = real.findIndex(({ isOwn, text }) => text === textOf(isOwn) || (namesKind && text === textOf(false)));
    if (index < 0) return `not sent: ${group.map(signatureOf)}`;
    real.splice(index, 1);
  }
  return real.length > 0 ? `not planned: ${real.map(({ text }) => text)}` : undefined;
}

/** The first error of an answer without calls that the plan does not predict. */
function unreportedErrors(refused: readonly RefusedField[], { errors = [] }: Answer, calls: readonly Call[]) {
  if (calls.length > 0) return undefined;
  const known = refused.map(({ field, code }) => `${field} ${code}`);
  return errors
    .map(({ path = [], extensions }) => `${path.join('.')} ${extensions['code']}`)
    .find((error) => !known.includes(error));
}

/** The full size runs with the other tests. `RUNS` and `SEEDS` change it. */
const runs = Number(process.env['RUNS'] ?? 5_000);
const seeds = (process.env['SEEDS'] ?? '1').split(',').map(Number);

for (const seed of seeds) {
  test(`the plans of ${runs} generated operations MUST be the calls that are sent (seed ${seed})`, async (context) => {
    // The stacks of expected errors take a sixth of the time.
    Error.stackTraceLimit = 0;
    const seen: Seen = {};
    const folder = mkdtempSync(join(tmpdir(), 'explain-'));
    const settings = { AUTH_MODE: 'api-key', AUTH_API_KEYS_FILE: writeKeys(folder) };
    const one = (list: readonly TestCaller[], random: Random) => list[random(list.length)] as TestCaller;
    const run = (share: number, more: object, callerOf: (random: Random) => TestCaller) =>
      withHarness(
        async (harness) => {
          const difference = await compare(harness, { runs: runs * share, seed, callerOf }, seen);
          assert.equal(difference, undefined, JSON.stringify(difference, null, 1));
        },
        { ...settings, ...more },
      );
    try {
      await run(0.8, {}, (random) => one(random(10) < 6 ? unbound : bound, random));
      // Where the limit is reached, which reads fail depends on their order.
      await run(0.2, { LIMIT_UPSTREAM_READS: '3' }, (random) => one(unbound, random));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    context.diagnostic(JSON.stringify(seen));
    for (const name of [
      'READ',
      'TOKEN',
      'OWNERSHIP',
      'CREATE',
      'UPDATE',
      'TOKEN_AFTER_UPDATE',
      'ALREADY_EXISTS',
      'EXISTING',
    ])
      assert.ok((seen[name] ?? 0) >= runs / 500, `${name}: ${seen[name]}`);
  });
}
