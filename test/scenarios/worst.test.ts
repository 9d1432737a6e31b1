import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bearer, codesOf, type Harness, jwtSettings, withHarness } from '../support.ts';

/** Number of requests to try. `WORST_REQUESTS=2000` searches longer. */
const tries = Number(process.env['WORST_REQUESTS'] ?? 40);
const maxBodyBytes = 65_536;
const maxStallMs = 250;
const maxHeapBytes = 64 * 1024 * 1024;

/** Parameters of a request: the repeated parts and their number. `bodyOf` stops at the maximum size of a body. */
interface Genes {
  readonly root: number;
  readonly rootAliases: number;
  readonly items: number;
  readonly isDistinct: boolean;
  readonly field: number;
  readonly fieldAliases: number;
  readonly nameLength: number;
  readonly fragments: number;
  readonly fillers: number;
  readonly caller: number;
}

const ranges: { readonly [Gene in keyof Genes]: number } = {
  root: 5,
  rootAliases: 60,
  items: 2100,
  isDistinct: 2,
  field: 6,
  fieldAliases: 60,
  nameLength: 128,
  fragments: 60,
  fillers: 1900,
  caller: 4,
};
const genes = Object.keys(ranges) as (keyof Genes)[];
const callers = [
  { scope: '', customer: 'u7' },
  { scope: 'customer:read customer:any' },
  { scope: 'customer:read customer:token customer:any' },
  { scope: 'customer:read customer:token', customer: 'u7' },
];
const fields = [
  'id',
  'firstName',
  '__typename',
  'dateCreated',
  'clientAuthToken { token }',
  'clientAuthToken { expiresAt }',
];

/** The worst known requests for each limit and for combinations. The search starts with them. */
const seeds: readonly Partial<Genes>[] = [
  { root: 0, items: 2000, caller: 0, field: 4, fieldAliases: 55 },
  { root: 0, items: 1200, caller: 1, field: 4, fieldAliases: 55 },
  { root: 0, items: 1200, caller: 2, field: 4, fieldAliases: 55 },
  { root: 0, items: 1200, caller: 1, field: 3, fieldAliases: 59, nameLength: 128 },
  { root: 0, items: 1100, caller: 3, isDistinct: true, field: 4, fieldAliases: 20 },
  { root: 1, rootAliases: 20, items: 100, caller: 2, field: 4, fieldAliases: 2 },
  { root: 2, rootAliases: 60, items: 1, caller: 1, fillers: 1900 },
  { root: 3, items: 2000 },
  { root: 4, rootAliases: 4, caller: 1 },
  { root: 2, rootAliases: 1, fragments: 28, caller: 1 },
];

/** A random number generator with a seed, so that a failing run can be repeated. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const repeat = (count: number, make: (n: number) => string, separator = ' ') =>
  Array.from({ length: count }, (_, n) => make(n)).join(separator);

function bodyOf(given: Genes, salt: number): string {
  const alias = (n: number) => `a${n}`.padEnd(Math.max(4, given.nameLength), '_');
  const selection = `{ ${fields[given.field] ?? 'id'} ${repeat(given.fieldAliases, (n) => `${alias(n)}: ${fields[given.field] ?? 'id'}`)} ${repeat(given.fillers, () => 'id')} }`;
  const spreads = (from: number) => repeat(given.fragments - from, (n) => `...F${from + n}`);
  const fragments = repeat(
    given.fragments,
    (n) => `fragment F${n} on Query { ${spreads(n + 1)} customer(id: "x") { id } }`,
  );
  const id = (n: number) => (given.isDistinct ? `i${n}` : 'u7');
  const roots: readonly [variables: string, field: string, item: (n: number) => unknown][] = [
    [
      '$v: [_Any!]!',
      `_entities(representations: $v) { ... on Customer ${selection} }`,
      (n) => ({ __typename: 'Customer', objectReferenceId: id(n) }),
    ],
    ['$v: [ID!]!', `customers(ids: $v) ${selection}`, id],
    ['', `customer(id: "u7") ${selection}`, id],
    // Items of the wrong type in a field that is not included, so that LIMIT_ITEMS does not count them.
    ['$v: [ID!]!, $off: Boolean = false', `customers(ids: $v) @include(if: $off) ${selection}`, () => ({})],
    ['', '__schema { types { name fields { name args { name type { name } } type { name ofType { name } } } } }', id],
  ];
  const [declared, field, item] = roots[given.root] ?? assert.fail();
  const aliased = repeat(given.rootAliases, (n) => `r${n}: ${field}`);
  const query = `query W${salt} ${declared && `(${declared})`} { ${field} ${aliased} ${spreads(0)} } ${fragments}`;
  const variables: unknown[] = [];
  let left = maxBodyBytes - query.length * 1.1 - 100;
  for (let n = 0; n < given.items && declared; n += 1) {
    left -= JSON.stringify(item(n)).length + 1;
    if (left < 0) break;
    variables.push(item(n));
  }
  return JSON.stringify({ query, variables: { v: variables } }).slice(0, maxBodyBytes);
}

async function measure(harness: Harness, given: Genes, salt: number, onTurn?: () => void): Promise<number> {
  const { longestMs } = await send(harness, callers[given.caller] ?? {}, bodyOf(given, salt), onTurn);
  return longestMs;
}

/** Returns the CPU time of a request and of its longest turn of the event loop. CPU time does not depend on other processes. */
async function send(harness: Harness, caller: object, body: string, onTurn: () => void = () => undefined) {
  let longestMs = 0;
  let totalMs = 0;
  let isOver = false;
  let before = process.cpuUsage();
  const sample = () => {
    const { user, system } = process.cpuUsage(before);
    longestMs = Math.max(longestMs, (user + system) / 1000);
    totalMs += (user + system) / 1000;
    onTurn();
    before = process.cpuUsage();
    if (!isOver) setImmediate(sample);
  };
  globalThis.gc?.();
  before = process.cpuUsage();
  setImmediate(sample);
  const answer = await harness.fetch({
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${bearer(caller)}` },
    body,
  });
  isOver = true;
  sample();
  return { answer, longestMs, totalMs };
}

/** Returns a function for the turns of a request, and the memory that was used at most in one of them. */
function watchHeap() {
  const collect = globalThis.gc ?? assert.fail('run with --expose-gc');
  collect();
  const idleBytes = process.memoryUsage().heapUsed;
  let mostBytes = 0;
  let turns = 0;
  return {
    onTurn() {
      turns += 1;
      if (turns % 20 !== 0) return;
      collect();
      mostBytes = Math.max(mostBytes, process.memoryUsage().heapUsed - idleBytes);
    },
    mostBytes: () => mostBytes,
  };
}

test('the worst 64 KiB request found by a search MUST NOT block the event loop or exhaust memory', (context) =>
  withHarness(
    async (harness) => {
      const random = createRandom(7);
      const none: Genes = {
        root: 0,
        rootAliases: 0,
        items: 0,
        isDistinct: false,
        field: 0,
        fieldAliases: 0,
        nameLength: 4,
        fragments: 0,
        fillers: 0,
        caller: 1,
      };
      const pick = (gene: keyof Genes) => (gene === 'isDistinct' ? random(2) === 1 : random(ranges[gene]));
      const found: { given: Genes; ms: number }[] = [];
      let salt = 0;
      const attempt = async (given: Genes) => {
        salt += 1;
        found.push({ given, ms: await measure(harness, given, salt) });
        found.sort((one, other) => other.ms - one.ms);
        harness.sandbox.clearCalls();
      };
      // Warm up the JIT compiler.
      await measure(harness, { ...none, items: 500, field: 4, fieldAliases: 10, caller: 2 }, 0);
      for (const seed of seeds) await attempt({ ...none, ...seed });
      while (salt < tries) {
        const [parent] = found.slice(random(3));
        const isNew = random(4) === 0;
        const changed = genes.filter(() => isNew || random(4) === 0).map((gene) => [gene, pick(gene)]);
        await attempt({ ...(isNew ? none : (parent?.given ?? none)), ...Object.fromEntries(changed) });
      }
      for (const { given } of found.slice(0, 3)) {
        const costs: number[] = [];
        for (let n = 0; n < 3; n += 1) costs.push(await measure(harness, given, 1_000_000 + n));
        const heap = watchHeap();
        await measure(harness, given, 2_000_000, heap.onTurn);
        const heapBytes = heap.mostBytes();
        const stalls = costs.map((ms) => Math.round(ms)).join(', ');
        context.diagnostic(`${stalls} ms, ${Math.round(heapBytes / 1e6)} MB: ${JSON.stringify(given)}`);
        assert.ok(Math.min(...costs) < maxStallMs, `${stalls} ms: ${JSON.stringify(given)}`);
        assert.ok(heapBytes < maxHeapBytes, `${heapBytes} bytes: ${JSON.stringify(given)}`);
      }
    },
    { ...jwtSettings, LOG_LEVEL: 'error' },
  ));

/** Requests that exceed a limit, and whose execution would take seconds. */
const refused: readonly [name: string, caller: object | undefined, query: string, item: unknown, items: number][] = [
  [
    '60 aliases of 20,000 representations',
    callers[0],
    `query ($v: [_Any!]!) { ${repeat(60, (n) => `a${n}: _entities(representations: $v) { __typename }`)} }`,
    0,
    20_000,
  ],
  [
    '60 aliases of 20,000 ids',
    callers[1],
    `query ($v: [ID!]!) { ${repeat(60, (n) => `a${n}: customers(ids: $v) { id }`)} }`,
    0,
    20_000,
  ],
  [
    'an alias of 58,000 characters for 2,900 customers',
    callers[1],
    `query ($v: [ID!]!) { ${repeat(29, (n) => `a${n}: customers(ids: $v) { ...F }`)} } fragment F on Customer { ${'n'.repeat(58_000)}: id }`,
    'u7',
    100,
  ],
  [
    'an alias of 58,000 characters for 1,900 customers',
    callers[1],
    `query ($v: [ID!]!) { ${repeat(19, (n) => `a${n}: customers(ids: $v) { ...F }`)} } fragment F on Customer { ${'n'.repeat(58_000)}: id }`,
    'u7',
    100,
  ],
];

for (const [name, caller, query, item, items] of refused) {
  test(`${name} MUST be refused without a stall of the event loop and without a call`, () =>
    withHarness(async (harness) => {
      const body = JSON.stringify({ query, variables: { v: Array(items).fill(item) } });
      assert.ok(body.length <= maxBodyBytes);
      const stalls: number[] = [];
      for (let n = 0; n < 3; n += 1) {
        const heap = watchHeap();
        const { answer, longestMs } = await send(harness, caller ?? {}, body, heap.onTurn);
        assert.deepEqual(codesOf(answer), { '': 'OPERATION_TOO_COMPLEX' });
        assert.ok(heap.mostBytes() < maxHeapBytes, `${heap.mostBytes()} bytes`);
        stalls.push(longestMs);
      }
      assert.ok(Math.min(...stalls) < maxStallMs, stalls.join());
      assert.deepEqual(harness.upstream(), []);
    }, jwtSettings));
}

// graphql-js executes an operation with introspection. All others have a plan.
for (const [name, field] of [
  ['an operation with a plan', ''],
  ['an operation of graphql-js', '__type(name: "Customer") { name }'],
] as const)
  test(`a long list of ${name} MUST be completed in several turns of the event loop`, (context) =>
    withHarness(async (harness) => {
      const fields = repeat(30, (n) => `a${n}: clientAuthToken { token }`);
      const body = JSON.stringify({
        query: `query ($v: [_Any!]!) { ${field} _entities(representations: $v) { ... on Customer { ${fields} } } }`,
        variables: { v: Array(1_100).fill({ __typename: 'Customer', objectReferenceId: 'u7' }) },
      });
      const shares: number[] = [];
      for (let n = 0; n < 3; n += 1) {
        const { answer, longestMs, totalMs } = await send(harness, callers[1] ?? {}, body);
        assert.equal(Object.values(answer.data?.['_entities'] ?? {}).length, 1_100);
        shares.push(longestMs / totalMs);
      }
      context.diagnostic(`the longest turns take ${shares.map((share) => share.toFixed(2)).join(', ')} of the time`);
      assert.ok(Math.min(...shares) < 0.5);
    }, jwtSettings));
