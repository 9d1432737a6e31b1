import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultName } from '../src/sandbox/faults.ts';
import { countDifferences, createRandom, noDifferences } from './fault-injection.ts';
import {
  bearer,
  createOperation,
  type Harness,
  jwtSettings,
  newCustomer,
  startHarness,
  updateOperation,
} from './support.ts';

/** Faults that damage a response, before or after the commit. None of them reports a false result. */
const faults: readonly FaultName[] = [
  '500',
  '501',
  '502',
  '503',
  '504',
  'html',
  'empty',
  'array',
  'null',
  'no_id',
  'reset',
  'close',
  'hang_body',
  'truncated',
  'timeout',
  'slow',
];
/**
 * The share of operations whose client disconnects before the response. The required one is `leavingBound`. Many operations end before
 * their client would disconnect, on a fast machine more than on a slow one, so the run adjusts the number of such clients.
 */
const leavingShare = 0.14;
const leavingBound = 0.12;
const deadlineMs = 2_000;
const concurrency = 20;
/** Low enough that most calls succeed, and high enough that breakers open sometimes. */
const faultyShare = 0.12;
const targets = 100;
const operationsPerEpoch = 600;

const all = 'customer:read customer:write customer:token';
/** Claims by role. `undefined`: no credentials. `own` is bound to the requested customer, `foreign` to another one. */
const roles = {
  unbound: () => ({ scope: `${all} customer:any` }),
  own: (id: string) => ({ scope: all, customer: id }),
  foreign: (_id: string) => ({ scope: all, customer: 'another-customer' }),
  'read only': () => ({ scope: 'customer:read customer:any' }),
  'no scope': () => ({ scope: 'customer:any' }),
  'no customer': () => ({ scope: all }),
  anonymous: () => undefined,
} as const;
type Role = keyof typeof roles;

const reads = [
  (id: string) => `{ customer(id: "${id}") { objectReferenceId } }`,
  (id: string) =>
    `{ a: customer(id: "${id}") { objectReferenceId clientAuthToken { token } } b: customer(id: "${id}") { objectReferenceId clientAuthToken { token } } }`,
  (id: string) => `{ customerByReference(objectReferenceId: "${id}") { objectReferenceId clientAuthToken { token } } }`,
  (id: string) => `{ customers(ids: ["${id}", "unknown", "${id}"]) { objectReferenceId } }`,
  (id: string) =>
    `{ _entities(representations: [{ __typename: "Customer", objectReferenceId: "${id}" }]) { ... on Customer { objectReferenceId } } }`,
] as const;

/** A requirement of a run. */
interface Bound {
  readonly name: string;
  readonly value: number;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly isMet: boolean;
}

export interface SoakReport {
  readonly seed: number;
  readonly operations: number;
  /** Number of operations whose client disconnected before the response. */
  readonly disconnected: number;
  readonly unhandledRejections: number;
  readonly differences: typeof noDifferences;
  /** Number of customers that were disclosed to or changed by a caller without the right. */
  readonly violations: number;
  /** Used heap in bytes after a garbage collection, at five equal intervals. */
  readonly heap: readonly number[];
  /** Number of calls by the fault that they met. */
  readonly faults: Readonly<Record<string, number>>;
  readonly outcomes: Readonly<Record<string, number>>;
}

/**
 * Runs all operations with all roles for `durationMs`, against a provider with 16 kinds of faults, with clients that disconnect
 * and deadlines from 1 ms. Then compares the responses with the stored customers. Needs `--expose-gc` to measure the heap.
 */
export async function soak({ seed, durationMs }: { seed: number; durationMs: number }): Promise<SoakReport> {
  const random = createRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const outcomes: Record<string, number> = {};
  const seenFaults: Record<string, number> = {};
  const differences = { ...noDifferences };
  const heap: number[] = [];
  const counts = { operations: 0, disconnected: 0, violations: 0, unhandledRejections: 0 };
  const onRejection = () => {
    counts.unhandledRejections += 1;
  };
  process.on('unhandledRejection', onRejection);
  let pauseUntilMs = 0;
  const harness = await startHarness({
    ...jwtSettings,
    JUSPAY_TIMEOUT_MS: '400',
    OPERATION_TIMEOUT_MS: String(deadlineMs),
  });
  const startedAtMs = performance.now();
  const elapsedMs = () => performance.now() - startedAtMs;

  try {
    do {
      await runEpoch();
      // The first sample follows the warm-up, the last one is taken at the end.
      if (elapsedMs() >= (durationMs * (heap.length + 1)) / 5 && heap.length < 5) heap.push(heapUsed());
    } while (elapsedMs() < durationMs);
  } finally {
    await harness.close();
    process.off('unhandledRejection', onRejection);
  }
  return { seed, ...counts, differences, heap, faults: seenFaults, outcomes };

  /** Compares when no call is in flight. Then clears sandbox and log, so that only the gateway's memory can grow. */
  async function runEpoch(): Promise<void> {
    const created = new Map<string, Record<string, unknown>[]>();
    const updates: { value: string; result: Record<string, unknown> }[] = [];
    for (let n = 0; n < targets; n += 1) {
      // Retry, because breakers may still be open from the previous epoch.
      while ((await setUp(n)) !== 'CreateCustomerSuccess') await delay(500);
    }
    harness.sandbox.clearCalls();
    let left = operationsPerEpoch;
    const work = async () => {
      while (left-- > 0) {
        // Pause while a breaker is open, so that most operations reach the provider.
        await delay(Math.max(0, pauseUntilMs - performance.now()));
        await operate(created, updates);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    // Writes continue after their clients have disconnected.
    await delay(deadlineMs + 250);
    const compared = countDifferences(harness.sandbox, { created, updates });
    for (const { fault } of harness.sandbox.calls)
      if (fault !== undefined) seenFaults[fault] = (seenFaults[fault] ?? 0) + 1;
    for (const kind of Object.keys(differences) as (keyof typeof differences)[]) differences[kind] += compared[kind];
    harness.sandbox.reset();
    (harness.log as string[]).length = 0;
  }

  async function setUp(n: number): Promise<unknown> {
    const answer = await ask('unbound', '', createOperation, { input: newCustomer(`target-${n}`) });
    const result = answer?.data?.['createCustomer'] as { __typename?: string; code?: string } | undefined;
    return result?.code === 'ALREADY_EXISTS' ? 'CreateCustomerSuccess' : result?.__typename;
  }

  async function operate(
    created: Map<string, Record<string, unknown>[]>,
    updates: { value: string; result: Record<string, unknown> }[],
  ): Promise<void> {
    counts.operations += 1;
    const number = counts.operations;
    const role = pick(Object.keys(roles) as Role[]);
    const kind = random();
    const id =
      kind < 0.3 ? (random() < 0.25 ? `shared-${number % 50}` : `reference-${number}`) : `target-${number % targets}`;
    provoke(kind < 0.3 ? 'create' : kind < 0.6 ? 'update' : 'get', id);
    const isBehind = counts.disconnected < leavingShare * number;
    const signal = random() < (isBehind ? 0.7 : 0.2) ? AbortSignal.timeout(Math.floor(random() * 30)) : undefined;
    const headers = random() < 0.1 ? { 'x-request-timeout-ms': String(Math.ceil(random() * 100)) } : {};
    const send = (query: string, variables?: object) =>
      ask(role, id, query, variables, { headers, ...(signal && { signal }) });

    if (kind < 0.3) {
      const answer = await send(createOperation, { input: newCustomer(id, { firstName: `Name ${id}` }) });
      const result = resultOf(answer, 'createCustomer');
      created.set(id, [...(created.get(id) ?? []), result]);
      if (role === 'foreign' && result['__typename'] === 'CreateCustomerSuccess') counts.violations += 1;
      count('create', role, result);
    } else if (kind < 0.6) {
      // A value that no customer has before, so that a lost update is detected.
      const value = `8${String(number).padStart(9, '0')}`;
      const result = resultOf(await send(updateOperation, { id, input: { mobileNumber: value } }), 'updateCustomer');
      updates.push({ value, result });
      if (role === 'foreign' && harness.sandbox.calls.some(({ form }) => form?.['mobile_number'] === value))
        counts.violations += 1;
      count('update', role, result);
    } else {
      const answer = await send(pick(reads)(id));
      const text = answer?.text ?? '';
      const shown = [...text.matchAll(/"objectReferenceId":"([^"]*)"/g)].map(([, reference]) => reference);
      if (shown.some((reference) => reference !== id)) counts.violations += 1;
      if (shown.length > 0 && !['unbound', 'own', 'read only'].includes(role)) counts.violations += 1;
      count('read', role, { code: answer === undefined ? 'DISCONNECTED' : answer.errors?.[0]?.extensions['code'] });
    }
  }

  function count(operation: string, role: Role, { __typename: name, code }: Record<string, unknown>): void {
    if (code === 'UPSTREAM_UNAVAILABLE') pauseUntilMs = performance.now() + 500;
    const key = `${operation} ${role} ${code ?? name ?? 'SUCCESS'}`;
    outcomes[key] = (outcomes[key] ?? 0) + 1;
  }

  function provoke(on: 'create' | 'get' | 'update', pathId: string): void {
    for (let more = random() < faultyShare ? Math.ceil(random() * 3) : 0; more > 0; more -= 1) {
      const target = random() < 0.7 ? on : 'get';
      const afterCommit = target !== 'get' && random() < 0.5;
      harness.sandbox.arm({ fault: pick(faults), on: target, pathId, delayMs: 100, afterCommit });
    }
  }

  /** Returns `undefined` if the client disconnected. */
  async function ask(
    role: Role,
    id: string,
    query: string,
    variables?: object,
    { headers = {}, signal }: { headers?: Record<string, string>; signal?: AbortSignal } = {},
  ): Promise<Awaited<ReturnType<Harness['fetch']>> | undefined> {
    const claims = roles[role](id);
    try {
      return await harness.fetch({
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(claims && { authorization: `Bearer ${bearer({ sub: role, ...claims })}` }),
          ...headers,
        },
        body: JSON.stringify({ query, variables }),
        ...(signal && { signal }),
      });
    } catch (error) {
      if (!signal?.aborted) throw error;
      counts.disconnected += 1;
      return undefined;
    }
  }
}

/** A client that disconnected does not know the outcome of its write. A field without the right has an error instead of a result. */
function resultOf(answer: Awaited<ReturnType<Harness['fetch']>> | undefined, field: string): Record<string, unknown> {
  if (answer === undefined) return { code: 'OUTCOME_UNKNOWN' };
  const refused = { code: answer.errors?.[0]?.extensions['code'] };
  return (answer.data?.[field] ?? refused) as Record<string, unknown>;
}

function heapUsed(): number {
  for (let times = 0; times < 3; times += 1) globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

/** The requirements of a run. @param options.isLong whether the run was long enough to judge faults and the growth of the heap. */
export function boundsOf(report: SoakReport, { isLong }: { isLong: boolean }): Bound[] {
  const { operations, disconnected, unhandledRejections, differences, violations, heap, outcomes } = report;
  const covered = new Set(Object.keys(outcomes).map((key) => key.split(' ').slice(0, -1).join(' ')));
  const successes = ['read own SUCCESS', 'create own CreateCustomerSuccess', 'update unbound UpdateCustomerSuccess'];
  const [, second = 0, , , fifth = Number.POSITIVE_INFINITY] = heap;
  const none = (name: string, value: number) => ({ name, value, atMost: 0 });
  const bounds: Omit<Bound, 'isMet'>[] = [
    none('unhandled rejections', unhandledRejections),
    ...Object.entries(differences).map(([name, count]) => none(name, count)),
    none('customers disclosed or changed without the right', violations),
    { name: 'share of clients that left', value: disconnected / operations, atLeast: leavingBound },
    { name: 'pairs of role and operation', value: covered.size, atLeast: 3 * Object.keys(roles).length },
    ...successes.map((name) => ({ name, value: outcomes[name] ?? 0, atLeast: 1 })),
  ];
  if (isLong) {
    bounds.push({ name: 'kinds of faults', value: Object.keys(report.faults).length, atLeast: faults.length });
    bounds.push({ name: 'heap, fifth sample to second', value: fifth / second, atMost: 1.05 });
  }
  return bounds.map((bound) => {
    const { value, atLeast = value, atMost = value } = bound;
    return { ...bound, isMet: value >= atLeast && value <= atMost };
  });
}

/** Prints the report as JSON. Exits with 1 if a bound is missed. */
if (import.meta.main) {
  const minutes = Number(process.env['SOAK_MINUTES'] ?? 20);
  const seed = Number(process.env['SOAK_SEED'] ?? Date.now() % 1_000_000);
  process.stderr.write(`seed ${seed}, ${minutes} minutes\n`);
  const report = await soak({ seed, durationMs: minutes * 60_000 });
  const bounds = boundsOf(report, { isLong: true });
  const isSound = bounds.every(({ isMet }) => isMet);
  process.stdout.write(`${JSON.stringify({ minutes, isSound, bounds, ...report }, null, 2)}\n`);
  process.exitCode = isSound ? 0 : 1;
}
