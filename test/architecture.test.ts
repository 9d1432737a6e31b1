import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

/** What a room may import: other rooms, and packages, parts of Node included. */
interface Room {
  readonly rooms: readonly string[];
  readonly packages: readonly string[];
}

/** Who may import whom. A room is a file of `src`, or one of its folders; a room may always import from itself. */
const table: Readonly<Record<string, Room>> = {
  errors: { rooms: [], packages: [] },
  secret: { rooms: [], packages: ['node:util'] },
  privacy: { rooms: [], packages: [] },
  'line-writer': { rooms: [], packages: ['node:fs'] },
  telemetry: { rooms: ['errors', 'line-writer'], packages: [] },
  metrics: { rooms: ['telemetry'], packages: ['prom-client'] },
  settings: { rooms: [], packages: ['zod'] },
  merchants: { rooms: ['operator-files', 'secret', 'settings'], packages: ['zod'] },
  'operator-files': { rooms: ['caller', 'settings'], packages: ['zod'] },
  'config-rules': { rooms: ['merchants'], packages: [] },
  'config-files': { rooms: ['config-rules', 'merchants', 'operator-files', 'settings'], packages: [] },
  config: {
    rooms: ['config-files', 'config-rules', 'merchants', 'operator-files', 'secret', 'settings'],
    packages: ['zod', 'node:fs'],
  },
  'watched-file': {
    rooms: ['operator-files', 'telemetry'],
    packages: ['node:crypto', 'node:fs', 'node:fs/promises', 'node:timers/promises'],
  },
  reload: { rooms: ['config', 'operator-files', 'telemetry', 'watched-file'], packages: [] },
  caller: { rooms: [], packages: [] },
  audit: { rooms: ['caller', 'telemetry'], packages: [] },
  ownership: { rooms: ['batching', 'caller', 'customer', 'errors'], packages: [] },
  customer: { rooms: ['errors', 'input'], packages: [] },
  input: { rooms: ['customer', 'errors'], packages: ['zod'] },
  context: { rooms: ['audit', 'caller', 'customer', 'telemetry'], packages: [] },
  juspay: {
    rooms: ['customer', 'input', 'errors', 'telemetry'],
    packages: ['undici', 'zod', 'node:perf_hooks', 'node:timers/promises'],
  },
  batching: { rooms: ['customer', 'errors'], packages: ['dataloader'] },
  coalescing: { rooms: ['customer', 'errors'], packages: ['node:perf_hooks'] },
  execution: { rooms: ['errors'], packages: ['graphql'] },
  graphql: {
    rooms: ['caller', 'customer', 'input', 'errors', 'execution', 'context', 'privacy'],
    packages: ['@pothos/core', '@pothos/plugin-scope-auth', 'graphql'],
  },
  edge: {
    rooms: ['caller', 'errors', 'execution', 'operator-files', 'telemetry'],
    packages: [
      'graphql-yoga',
      'graphql',
      '@graphql-yoga/render-graphiql',
      'jose',
      'rate-limiter-flexible',
      'ioredis',
      'node:crypto',
      'node:events',
      'node:fs',
      'node:http',
      'node:net',
      'node:perf_hooks',
      'node:stream',
    ],
  },
  gateway: {
    rooms: [
      'audit',
      'batching',
      'caller',
      'config',
      'config-rules',
      'context',
      'customer',
      'edge',
      'execution',
      'graphql',
      'handler',
      'in-flight',
      'merchant-clients',
      'operator-files',
      'ownership',
      'reload',
      'telemetry',
    ],
    packages: ['graphql-yoga', 'node:crypto', 'node:perf_hooks', 'node:url'],
  },
  server: {
    rooms: ['edge', 'handler'],
    packages: ['node:http', 'node:net', 'node:perf_hooks', 'node:timers/promises'],
  },
  help: { rooms: ['config', 'settings'], packages: [] },
  'process-end': { rooms: ['line-writer', 'telemetry'], packages: ['node:perf_hooks'] },
  cli: {
    rooms: [
      'config',
      'graphql',
      'gateway',
      'help',
      'metrics',
      'process-end',
      'sandbox',
      'secret',
      'server',
      'telemetry',
      'tokens',
    ],
    packages: ['node:fs', 'node:util'],
  },
  'merchant-clients': {
    rooms: ['caller', 'coalescing', 'config', 'customer', 'juspay', 'merchants', 'secret', 'telemetry'],
    packages: ['node:crypto'],
  },
  'in-flight': { rooms: ['telemetry'], packages: ['node:timers/promises'] },
  handler: { rooms: [], packages: ['graphql', 'node:http'] },
  options: { rooms: ['config', 'settings', 'telemetry'], packages: [] },
  mount: { rooms: ['gateway', 'handler', 'options', 'sandbox', 'secret', 'telemetry'], packages: [] },
  // The doors of the package; `./sandbox` is the room itself.
  index: {
    rooms: [
      'config',
      'errors',
      'handler',
      'input',
      'merchants',
      'mount',
      'options',
      'secret',
      'settings',
      'stitching',
      'telemetry',
    ],
    packages: [],
  },
  node: { rooms: ['handler', 'mount', 'options', 'server'], packages: [] },
  schema: { rooms: ['graphql'], packages: [] },
  stitching: { rooms: [], packages: [] },
  tokens: { rooms: ['edge', 'secret'], packages: ['node:crypto', 'node:util'] },
  // For apps: the rules of input, names and codes are all that it shares with the server. Its packages are its optional peers.
  client: {
    rooms: ['errors', 'input', 'schema/generated'],
    packages: [
      'react',
      '@tanstack/react-query',
      'urql',
      '@apollo/client',
      '@apollo/client/cache',
      '@apollo/client/react',
      'msw',
      'graphql',
      '@graphql-codegen/plugin-helpers',
      '@graphql-codegen/typescript-operations',
      'juspay-customer-gateway',
      'juspay-customer-gateway/sandbox',
      'node:crypto',
      'node:fs',
      'node:path',
    ],
  },
  // Written from the provider's document alone: sharing encoders, both sides would agree on one mistake.
  sandbox: { rooms: [], packages: ['node:http', 'node:net', 'node:crypto', 'node:zlib'] },
};

/** What stands outside of `src` is named by its folder: `src/schema.ts` is a door of the server, `schema/generated` is not. */
function roomOf(path: string): string {
  if (path.startsWith('client/src/')) return 'client';
  return path.startsWith('src/') ? path.replace(/^src\//, '').replace(/(\.ts|\/.*)$/, '') : dirname(path);
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([\w@.][^'"]*)'/g)].map(([, specifier = '']) => specifier);
}

/** `graphql` is the name of both a room and a package. */
const asRoom = (name: string) => `the room ${name}`;
const asPackage = (name: string) => `the package ${name}`;

/** The rooms and packages that one file names, its own room left out. */
function namedBy(path: string, text: string): string[] {
  return importsOf(text)
    .map((specifier) =>
      specifier.startsWith('.') ? asRoom(roomOf(join(dirname(path), specifier))) : asPackage(specifier),
    )
    .filter((name) => name !== asRoom(roomOf(path)));
}

const allowedBy = ({ rooms, packages }: Room) => [...rooms.map(asRoom), ...packages.map(asPackage)];

/** What is wrong with the imports of one file, as sentences. */
function violations(path: string, text: string): string[] {
  const room = roomOf(path);
  const rule = table[room];
  if (rule === undefined) return [`${path} is in no room of the table: say what \`${room}\` may import.`];
  return namedBy(path, text).flatMap((name) =>
    allowedBy(rule).includes(name) ? [] : [`${path} imports ${name}, and \`${room}\` may not know it.`],
  );
}

const files = globSync('{src,client/src}/**/*.ts').map((path) => path.replaceAll('\\', '/'));

test('every import MUST be one that the table of rooms allows', () => {
  assert.ok(files.length > 25);
  assert.deepEqual(
    files.flatMap((path) => violations(path, readFileSync(path, 'utf8'))),
    [],
  );
});

test('a forbidden import MUST be found', () => {
  const planted =
    "import type { Pool } from 'undici';\nimport { send } from '../juspay/transport.ts';\nawait import('prom-client');";
  assert.deepEqual(violations('src/graphql/customer.ts', planted).length, 3);
  assert.equal(violations('src/services/x.ts', '').length, 1);
  assert.equal(violations('src/edge/http.ts', "import { printPlain } from '../graphql/prints.ts';").length, 1);
  assert.equal(violations('client/src/kit.ts', "import { buildSchema } from '../../src/schema.ts';").length, 1);
});

test('what a room may import MUST be what it imports: nothing is allowed for later', () => {
  const named = new Set(
    files.flatMap((path) => namedBy(path, readFileSync(path, 'utf8')).map((name) => `${roomOf(path)} imports ${name}`)),
  );
  const unused = Object.entries(table).flatMap(([room, rule]) =>
    allowedBy(rule)
      .map((name) => `${room} imports ${name}`)
      .filter((sentence) => !named.has(sentence)),
  );
  assert.deepEqual(unused, []);
});

test('each run-time package MUST be used, and have one or two doors', () => {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> };
  for (const name of Object.keys(dependencies)) {
    const server = files.filter((path) => roomOf(path) !== 'client');
    const doors = new Set(server.filter((path) => importsOf(readFileSync(path, 'utf8')).includes(name)).map(roomOf));
    // The language of the whole program: types of documents and errors, and the checks of input.
    const most = name === 'graphql' || name === 'zod' ? 6 : 2;
    assert.ok(doors.size >= 1 && doors.size <= most, `${name} is named by ${[...doors].join(', ') || 'nobody'}`);
  }
});

test('what Node brings MUST be named with its prefix', () => {
  for (const path of files) {
    for (const specifier of importsOf(readFileSync(path, 'utf8')))
      assert.ok(!builtinModules.includes(specifier), `${path}: ${specifier}`);
  }
});
