import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

/** What the files of a room may import: other rooms, and packages, modules of Node included. */
interface Room {
  readonly rooms: readonly string[];
  readonly packages: readonly string[];
}

/**
 * The rooms of `src`, from the lowest to the highest. A room is a folder of `src`, or a file at its root. A room may
 * import from itself and from the rooms that it lists, which all stand above it in this table: imports point one way.
 */
const table: Readonly<Record<string, Room>> = {
  // Imports nothing.
  errors: { rooms: [], packages: [] },
  telemetry: {
    rooms: ['errors'],
    packages: [
      '@opentelemetry/api',
      '@opentelemetry/exporter-trace-otlp-proto',
      '@opentelemetry/resources',
      '@opentelemetry/sdk-trace',
      'node:crypto',
      'node:fs',
      'node:perf_hooks',
      'node:util',
      'prom-client',
    ],
  },
  customers: { rooms: ['errors'], packages: ['dataloader', 'node:perf_hooks', 'zod'] },
  config: {
    rooms: ['telemetry', 'customers'],
    packages: [
      'node:crypto',
      'node:fs',
      'node:fs/promises',
      'node:net',
      'node:os',
      'node:path',
      'node:perf_hooks',
      'node:timers/promises',
      'node:util',
      'zod',
    ],
  },
  redis: { rooms: [], packages: ['ioredis', 'node:perf_hooks'] },
  auth: {
    rooms: ['errors', 'telemetry', 'customers', 'config', 'redis'],
    packages: ['jose', 'node:crypto', 'node:fs', 'node:net', 'node:perf_hooks'],
  },
  idempotency: {
    rooms: ['errors', 'telemetry', 'customers', 'redis', 'auth'],
    packages: ['node:crypto', 'node:perf_hooks'],
  },
  juspay: {
    rooms: ['errors', 'telemetry', 'customers'],
    packages: ['node:diagnostics_channel', 'node:net', 'node:perf_hooks', 'undici', 'zod'],
  },
  execution: {
    rooms: ['errors', 'telemetry', 'customers', 'config'],
    packages: ['graphql', 'node:crypto', 'node:fs', 'node:perf_hooks'],
  },
  graphql: {
    rooms: ['errors', 'telemetry', 'customers', 'auth', 'execution'],
    packages: ['@pothos/core', '@pothos/plugin-scope-auth', 'graphql'],
  },
  // Runs operations with the real client and without the provider, so it stands above both.
  explain: {
    rooms: ['errors', 'telemetry', 'customers', 'juspay', 'execution', 'graphql'],
    packages: ['graphql', 'node:crypto', 'node:perf_hooks'],
  },
  http: {
    rooms: ['errors', 'telemetry', 'customers', 'auth', 'idempotency', 'execution'],
    packages: [
      '@graphql-yoga/render-graphiql',
      'graphql',
      'graphql-yoga',
      'node:crypto',
      'node:events',
      'node:http',
      'node:net',
      'node:perf_hooks',
      'node:stream',
      'node:timers/promises',
    ],
  },
  // Written from the provider's document alone: shared encoders would make both sides agree on one mistake.
  sandbox: { rooms: [], packages: ['node:crypto', 'node:http', 'node:net', 'node:zlib'] },
  // The composition root.
  gateway: {
    rooms: ['telemetry', 'config', 'auth', 'idempotency', 'juspay', 'execution', 'graphql', 'explain', 'http'],
    packages: ['node:url'],
  },
  cli: {
    rooms: ['telemetry', 'config', 'auth', 'graphql', 'explain', 'http', 'sandbox', 'gateway'],
    packages: [
      'ioredis',
      'node:cluster',
      'node:crypto',
      'node:dns/promises',
      'node:events',
      'node:fs',
      'node:http',
      'node:net',
      'node:path',
      'node:perf_hooks',
      'node:stream',
      'node:tls',
      'node:util',
    ],
  },
  library: { rooms: ['telemetry', 'config', 'http', 'sandbox', 'gateway'], packages: [] },
  schema: { rooms: ['graphql'], packages: [] },
  node: { rooms: ['http', 'library'], packages: [] },
  index: { rooms: ['errors', 'telemetry', 'customers', 'config', 'graphql', 'http', 'library'], packages: [] },
};

const files = globSync('src/**/*.ts').map((path) => path.replaceAll('\\', '/'));
const textOf = (path: string) => readFileSync(path, 'utf8');

function roomOf(path: string): string {
  return path.startsWith('src/') ? path.replace(/^src\//, '').replace(/(\.ts|\/.*)$/, '') : dirname(path);
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([\w@.][^'"]*)'/g)].map(([, specifier = '']) => specifier);
}

/** The files that one file imports, as paths from the root of the repository. */
function filesNamedBy(path: string, text: string): string[] {
  return importsOf(text)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => join(dirname(path), specifier).replaceAll('\\', '/'));
}

function packagesNamedBy(text: string): string[] {
  return importsOf(text).filter((specifier) => !specifier.startsWith('.'));
}

/** Forbidden imports of one file, as sentences that name both ends. */
function violations(path: string, text: string): string[] {
  const room = roomOf(path);
  const rule = table[room];
  if (rule === undefined) return [`${path} is in no room of the table: add \`${room}\` and what it may import.`];
  const forbiddenFiles = filesNamedBy(path, text)
    .filter((target) => roomOf(target) !== room && !rule.rooms.includes(roomOf(target)))
    .map((target) => `${path} imports ${target}, but \`${room}\` may not import \`${roomOf(target)}\`.`);
  const forbiddenPackages = packagesNamedBy(text)
    .filter((name) => !rule.packages.includes(name))
    .map((name) => `${path} imports the package ${name}, but \`${room}\` may not import it.`);
  return [...forbiddenFiles, ...forbiddenPackages];
}

/** Rules of the table that point to a room below their own: the direction of imports, as sentences. */
function upwardRules(rooms: Readonly<Record<string, Room>>): string[] {
  const order = Object.keys(rooms);
  return order.flatMap((room, index) =>
    (rooms[room]?.rooms ?? [])
      .filter((other) => order.indexOf(other) >= index)
      .map((other) => `The table lets \`${room}\` import \`${other}\`, which does not stand above it.`),
  );
}

/** Cycles of files, as sentences. Type imports count: a reader follows them too. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      found.push(`These files import each other in a cycle: ${[...trail.slice(start), path].join(' → ')}.`);
      return;
    }
    if (finished.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    finished.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

test('every import MUST be one that the table of rooms allows', () => {
  assert.ok(files.length > 40);
  assert.deepEqual(
    files.flatMap((path) => violations(path, textOf(path))),
    [],
  );
});

test('the table MUST let imports point one way', () => {
  assert.deepEqual(upwardRules(table), []);
});

test('files MUST NOT import each other in a cycle', () => {
  assert.deepEqual(cycles(new Map(files.map((path) => [path, filesNamedBy(path, textOf(path))]))), []);
});

test('a planted forbidden import, upward rule or cycle MUST be found', () => {
  const planted =
    "import type { Pool } from 'undici';\nimport { send } from '../juspay/transport.ts';\nawait import('pino');";
  assert.deepEqual(violations('src/graphql/customer.ts', planted), [
    'src/graphql/customer.ts imports src/juspay/transport.ts, but `graphql` may not import `juspay`.',
    'src/graphql/customer.ts imports the package undici, but `graphql` may not import it.',
    'src/graphql/customer.ts imports the package pino, but `graphql` may not import it.',
  ]);
  assert.equal(violations('src/services/x.ts', '').length, 1);
  assert.equal(violations('src/sandbox/store.ts', "import { codes } from '../errors.ts';").length, 1);
  assert.deepEqual(upwardRules({ low: { rooms: ['high'], packages: [] }, high: { rooms: [], packages: [] } }), [
    'The table lets `low` import `high`, which does not stand above it.',
  ]);
  const graph = new Map([
    ['src/a.ts', ['src/b.ts']],
    ['src/b.ts', ['src/c.ts']],
    ['src/c.ts', ['src/b.ts']],
  ]);
  assert.deepEqual(cycles(graph), ['These files import each other in a cycle: src/b.ts → src/c.ts → src/b.ts.']);
});

test('the table MUST list only imports that exist', () => {
  const unused = Object.entries(table).flatMap(([room, { rooms, packages }]) => {
    const own = files.filter((path) => roomOf(path) === room);
    const namedRooms = new Set(own.flatMap((path) => filesNamedBy(path, textOf(path)).map(roomOf)));
    const namedPackages = new Set(own.flatMap((path) => packagesNamedBy(textOf(path))));
    return [
      ...rooms.filter((name) => !namedRooms.has(name)).map((name) => `${room} does not import the room ${name}.`),
      ...packages.filter((name) => !namedPackages.has(name)).map((name) => `${room} does not import ${name}.`),
    ];
  });
  assert.deepEqual(unused, []);
});

test('each run-time package MUST be imported, by one or two rooms', () => {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> };
  for (const name of Object.keys(dependencies)) {
    const rooms = new Set(files.filter((path) => importsOf(textOf(path)).includes(name)).map(roomOf));
    // Documents, errors and input checks occur in most rooms.
    const most = name === 'graphql' || name === 'zod' ? 6 : 2;
    assert.ok(rooms.size >= 1 && rooms.size <= most, `${name} is imported by ${[...rooms].join(', ') || 'no room'}.`);
  }
});

test('modules of Node MUST be imported with their prefix', () => {
  for (const path of files) {
    for (const specifier of importsOf(textOf(path)))
      assert.ok(!builtinModules.includes(specifier), `${path}: ${specifier}`);
  }
});

test('the root of src MUST hold entry points, the composition root and the errors only', () => {
  const atRoot = files.filter((path) => !path.slice('src/'.length).includes('/')).toSorted();
  assert.deepEqual(atRoot, ['src/errors.ts', 'src/gateway.ts', 'src/index.ts', 'src/node.ts', 'src/schema.ts']);
});
