import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GCProfiler } from 'node:v8';
import { loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { openGateway } from '../../src/gateway.ts';
import type { NodeGateway } from '../../src/http/handler.ts';
import { type Server, startServer } from '../../src/http/server.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

/** The provider. The process of its own allocates nothing in this one. The message `calls` is answered with their number. */
const provider = `
let calls = 0;
require('node:http').createServer((request, response) => {
  calls += 1;
  const id = decodeURIComponent(request.url.split(/[/?]/)[2] ?? '');
  const token = { client_auth_token: 'tkn_' + id, client_auth_token_expiry: new Date(Date.now() + 900000).toISOString() };
  const body = { id, object_reference_id: 'reference', first_name: 'Asha', date_created: '2024-05-01T10:00:00Z', juspay: token };
  request.resume().on('end', () => response.writeHead(200).end(JSON.stringify(body)));
}).listen(0, '127.0.0.1', function () { process.send(this.address().port) });
process.on('message', () => process.send(calls));
`;

/** Sends requests over 16 connections. Answers a message with the number of responses without errors. */
const client = `
const { connect } = require('node:net');
process.on('message', ({ port, query, variables, first, count }) => {
  let sent = 0, good = 0, ended = 0;
  for (let n = 0; n < 16; n += 1) {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    const next = () => {
      if (sent === count) return socket.end();
      const fill = (part) => part.replaceAll('#', String(first + sent));
      sent += 1;
      const body = JSON.stringify({ query: fill(query), variables: JSON.parse(fill(JSON.stringify(variables))) });
      const head = ['POST /graphql HTTP/1.1', 'host: a', 'content-type: application/json', 'x-api-key: key', 'content-length: ' + body.length];
      socket.write(head.join('\\r\\n') + '\\r\\n\\r\\n' + body);
    };
    socket.on('data', (data) => {
      text += data;
      const end = text.indexOf('\\r\\n\\r\\n');
      const length = /content-length: (\\d+)/i.exec(text)?.[1];
      if (end < 0 || text.length < end + 4 + Number(length)) return;
      if (text.startsWith('HTTP/1.1 200') && !text.includes('"errors"')) good += 1;
      text = '';
      next();
    });
    socket.on('close', () => { ended += 1; if (ended === 16) process.send(good); });
    socket.on('error', () => undefined);
    next();
  }
});
`;

const fields =
  'id objectReferenceId firstName lastName emailAddress mobileNumber mobileCountryCode dateCreated lastUpdated';
const letters = [...'abcdefghij'];
const aliases = Array.from(
  { length: 50 },
  (_, n) => `${letters[n % 10]}${n}: customer(id: $${letters[n % 10]}) { ...F }`,
);

interface Workload {
  /** The character # becomes the number of the operation. */
  readonly query: string;
  readonly variables: object;
  readonly calls: number;
  /** Measured with Node 24.21, plus 10 %. */
  readonly promises: number;
  readonly bytes: number;
  /** Maximum share of the allocation that survives a scavenge. */
  readonly surviving: number;
  readonly operations: number;
}

/** Three workloads of the benchmark. */
const workloads: Readonly<Record<string, Workload>> = {
  'a read with the token': {
    query: `query ($id: ID!) { customer(id: $id) { ${fields} clientAuthToken { token } } }`,
    variables: { id: 'w1-#' },
    calls: 1,
    promises: 14,
    bytes: 53_500,
    surviving: 0.08,
    operations: 6_000,
  },
  '50 aliases of 10 customers': {
    query: `query (${letters.map((letter) => `$${letter}: ID!`).join(', ')}) { ${aliases.join(' ')} } fragment F on Customer { ${fields} }`,
    variables: Object.fromEntries(letters.map((letter) => [letter, `w2-#-${letter}`])),
    calls: 10,
    promises: 175,
    bytes: 400_000,
    // 16 of these operations in flight are a third of the new space.
    surviving: 0.13,
    operations: 1_500,
  },
  'a read by a document that no other operation sends': {
    query: `{ customer(id: "w8-#") { ${fields} } }`,
    variables: {},
    calls: 1,
    promises: 16,
    bytes: 53_500,
    surviving: 0.13,
    operations: 6_000,
  },
};

const folder = mkdtempSync(join(tmpdir(), 'costs-'));
let children: ChildProcess[];
let gateway: NodeGateway;
let server: Server;
let first = 0;

before(async () => {
  const start = (program: string) =>
    spawn(process.execPath, ['--eval', program], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  children = [start(provider), start(client)];
  const [port] = await once(children[0] as ChildProcess, 'message');
  const keys = [
    {
      name: 'a',
      sha256: createHash('sha256').update('key').digest('hex'),
      scopes: ['customer:read', 'customer:token'],
    },
  ];
  writeFileSync(join(folder, 'keys.json'), JSON.stringify(keys));
  const environment = {
    AUTH_MODE: 'api-key',
    AUTH_API_KEYS_FILE: join(folder, 'keys.json'),
    RATE_LIMIT_PER_MINUTE: '1000000',
  };
  const access = { baseUrl: `http://127.0.0.1:${port}`, merchantId: 'm', apiKey: new Secret('key') };
  const config = { ...loadConfig(environment), provider: access };
  gateway = openGateway(config, { log: createLog('info', () => undefined), metrics: createMetrics('0') });
  server = await startServer(gateway, { host: '127.0.0.1', port: 0 });
});

after(async () => {
  await server.stop(0);
  await gateway.dispose();
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function replyOf(child: ChildProcess | undefined, message: object): Promise<number> {
  assert(child);
  child.send(message);
  const [reply] = await once(child, 'message');
  return reply as number;
}

/** Sends operations, and expects that all succeed. @returns the number of upstream calls. */
async function send({ query, variables }: Workload, count: number): Promise<number> {
  const before = await replyOf(children[0], {});
  const good = await replyOf(children[1], { port: server.port, query, variables, first, count });
  first += count;
  assert.equal(good, count);
  return (await replyOf(children[0], {})) - before;
}

for (const [name, workload] of Object.entries(workloads)) {
  const { calls, promises, bytes, surviving, operations } = workload;

  test(`${name} MUST cost ${calls} calls, at most ${promises} promises and no timer of its own`, async () => {
    await send(workload, 100);
    let created = 0;
    let timers = 0;
    const hook = createHook({
      init(_id, type) {
        if (type === 'PROMISE') created += 1;
        if (type === 'Timeout' && /node:timers[^\n]*\n[^\n]*\/src\//.test(new Error().stack ?? '')) timers += 1;
      },
    });
    hook.enable();
    const sent = await send(workload, 400);
    hook.disable();
    assert.equal(sent, calls * 400);
    assert.ok(created / 400 <= promises, `${created / 400} promises`);
    // A few that all operations share, and one for a response that its client reads slowly.
    assert.ok(timers <= 40, `${timers} timers of 400 operations`);
  });

  test(`${name} MUST allocate at most ${bytes} bytes, of which at most ${surviving} survive a scavenge`, async (context) => {
    // Long enough for the compiler, which removes some allocations.
    await send(workload, operations);
    let best = await collectionOf(workload);
    // A busy machine keeps more requests open at once, and what they hold survives: other processes only ever add to both figures.
    for (let round = 1; round < 4 && (best.bytes > bytes || best.surviving > surviving); round += 1) {
      const next = await collectionOf(workload);
      best = {
        bytes: Math.min(best.bytes, next.bytes),
        surviving: Math.min(best.surviving, next.surviving),
      };
    }
    context.diagnostic(`${Math.round(best.bytes)} bytes, ${best.surviving} survive`);
    assert.ok(best.bytes <= bytes, `${best.bytes} bytes`);
    assert.ok(best.surviving <= surviving, `${best.surviving}`);
  });
}

/** @returns the bytes that an operation allocates, and the share of the new space that survives a scavenge. */
async function collectionOf(workload: Workload): Promise<{ bytes: number; surviving: number }> {
  globalThis.gc?.();
  const profiler = new GCProfiler();
  const usedAtStart = process.memoryUsage().heapUsed;
  profiler.start();
  await send(workload, workload.operations);
  let allocated = process.memoryUsage().heapUsed - usedAtStart;
  let inNewSpace = 0;
  let survived = 0;
  for (const { gcType, beforeGC, afterGC } of profiler.stop().statistics) {
    const freed = beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
    allocated += freed;
    if (gcType !== 'Scavenge') continue;
    const size = beforeGC.heapSpaceStatistics.find(({ spaceName }) => spaceName === 'new_space')?.spaceUsedSize ?? 0;
    inNewSpace += size;
    survived += size - freed;
  }
  return { bytes: allocated / workload.operations, surviving: survived / inNewSpace };
}
