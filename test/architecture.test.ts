import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

/** What a room may import: rooms of `src`, packages, and whether it may name parts of Node. */
interface Room {
  readonly rooms: readonly string[];
  readonly packages: readonly string[];
}

/** Who may import whom. A room is a file of `src`, or one of its folders; a room may always import from itself. */
const table: Readonly<Record<string, Room>> = {
  errors: { rooms: [], packages: [] },
  secret: { rooms: [], packages: ['node:util'] },
  privacy: { rooms: [], packages: [] },
  telemetry: { rooms: ['privacy'], packages: ['pino'] },
  settings: { rooms: [], packages: ['zod'] },
  merchants: { rooms: ['secret', 'settings'], packages: ['zod'] },
  'operator-files': { rooms: ['caller'], packages: ['zod'] },
  config: { rooms: ['merchants', 'operator-files', 'secret', 'settings'], packages: ['zod', 'node:fs'] },
  caller: { rooms: [], packages: [] },
  audit: { rooms: ['caller', 'telemetry'], packages: [] },
  ownership: { rooms: ['caller', 'customer', 'errors'], packages: [] },
  customer: { rooms: ['errors', 'input'], packages: [] },
  input: { rooms: ['customer', 'errors'], packages: ['zod'] },
  context: { rooms: ['audit', 'caller', 'customer', 'telemetry'], packages: [] },
  juspay: {
    rooms: ['customer', 'input', 'errors', 'telemetry'],
    packages: ['undici', 'zod', 'node:perf_hooks', 'node:timers/promises'],
  },
  batching: { rooms: ['customer', 'errors'], packages: ['dataloader'] },
  coalescing: { rooms: ['customer', 'errors'], packages: ['node:perf_hooks'] },
  graphql: {
    rooms: ['caller', 'customer', 'input', 'errors', 'context', 'privacy'],
    packages: ['@pothos/core', '@pothos/plugin-scope-auth', 'graphql'],
  },
  edge: {
    rooms: ['caller', 'errors', 'operator-files', 'telemetry'],
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
      'node:stream',
    ],
  },
  gateway: {
    rooms: [
      'audit',
      'batching',
      'caller',
      'coalescing',
      'config',
      'context',
      'customer',
      'edge',
      'graphql',
      'handler',
      'juspay',
      'ownership',
      'telemetry',
    ],
    packages: ['graphql-yoga', 'graphql', 'node:crypto', 'node:http', 'node:perf_hooks', 'node:url'],
  },
  server: { rooms: ['edge', 'handler'], packages: ['node:http', 'node:net', 'node:stream', 'node:timers/promises'] },
  help: { rooms: ['config', 'settings'], packages: [] },
  cli: {
    rooms: ['config', 'graphql', 'gateway', 'help', 'sandbox', 'secret', 'server', 'telemetry', 'tokens'],
    packages: ['node:fs', 'node:util'],
  },
  // What a gateway is to those who mount it, in types that drag no server library along.
  handler: { rooms: [], packages: ['graphql', 'node:http'] },
  options: { rooms: ['config', 'settings', 'telemetry'], packages: ['node:fs'] },
  mount: { rooms: ['gateway', 'handler', 'options', 'sandbox', 'secret', 'telemetry'], packages: [] },
  // The doors of the package; `./sandbox` is the room itself.
  index: {
    rooms: ['config', 'errors', 'handler', 'input', 'mount', 'options', 'secret', 'settings', 'stitching', 'telemetry'],
    packages: [],
  },
  node: { rooms: ['handler', 'mount', 'options', 'server'], packages: [] },
  schema: { rooms: ['graphql'], packages: [] },
  stitching: { rooms: [], packages: [] },
  tokens: { rooms: ['edge', 'secret'], packages: ['node:crypto', 'node:util'] },
  // For apps: the rules of input, names and codes are all that it shares with the server. Its packages are its optional peers.
  client: {
    rooms: ['errors', 'input', 'schema'],
    packages: [
      'react',
      '@tanstack/react-query',
      'urql',
      '@urql/core',
      '@apollo/client',
      '@apollo/client/react',
      'rxjs',
      'zod',
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

const roomOf = (path: string) => path.replace(/^src\//, '').replace(/(\.ts|\/.*)$/, '');

function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([\w@.][^'"]*)'/g)].map(([, specifier = '']) => specifier);
}

/** What is wrong with the imports of one file, as sentences. */
function violations(path: string, text: string): string[] {
  const room = roomOf(path);
  const rule = table[room];
  if (rule === undefined) return [`${path} is in no room of the table: say what \`${room}\` may import.`];
  return importsOf(text).flatMap((specifier) => {
    if (specifier.startsWith('.')) {
      const other = roomOf(join(dirname(path), specifier));
      const allowed = other === room || rule.rooms.includes(other);
      return allowed ? [] : [`${path} imports ${specifier}, and \`${room}\` may not know \`${other}\`.`];
    }
    return rule.packages.includes(specifier) ? [] : [`${path} names ${specifier}, and \`${room}\` may not.`];
  });
}

const files = globSync('src/**/*.ts').map((path) => path.replaceAll('\\', '/'));

test('every import MUST be one that the table of rooms allows', () => {
  assert.ok(files.length > 25);
  assert.deepEqual(
    files.flatMap((path) => violations(path, readFileSync(path, 'utf8'))),
    [],
  );
});

test('a forbidden import MUST be found', () => {
  const planted =
    "import type { Pool } from 'undici';\nimport { send } from '../juspay/transport.ts';\nawait import('pino');";
  assert.deepEqual(violations('src/graphql/customer.ts', planted).length, 3);
  assert.equal(violations('src/services/x.ts', '').length, 1);
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
