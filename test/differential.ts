import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadConfig } from '../src/config/config.ts';
import { Secret } from '../src/config/secret.ts';
import { openGateway } from '../src/gateway.ts';
import { isPlain } from '../src/http/plain.ts';
import { type Server, startServer } from '../src/http/server.ts';
import { type Sandbox, startSandbox } from '../src/sandbox/server.ts';
import { createLog, type Metrics } from '../src/telemetry/log.ts';
import { createMetrics } from '../src/telemetry/metrics.ts';
import { keyOf, keys, type Post, postOf } from './differential-traffic.ts';
import { createRandom } from './fault-injection.ts';
import { jwtSettings } from './support.ts';

/** A deliberate difference of one side, to test the comparison. */
export const plantedDifferences = ['status', 'header', 'body', 'log', 'metric', 'call'] as const;
export type Plant = (typeof plantedDifferences)[number];

export interface DifferentialReport {
  readonly requests: number;
  /** Requests that the plain handler served on one side, and Yoga on the other. */
  readonly plain: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** One sentence for each difference. */
  readonly differences: readonly string[];
}

/** One gateway with a provider of its own. */
interface Side {
  readonly server: Server;
  readonly sandbox: Sandbox;
  readonly log: string[];
  /** Number of requests that {@link isPlain} accepted. */
  readonly plain: () => number;
  readonly isIdle: () => boolean;
  readonly series: () => Promise<string[]>;
  close(): Promise<void>;
}

const batchSize = 24;
const batchesPerSeries = 20;

/**
 * Sends the same generated requests to two gateways. The first one gets them with `content-length`, so the plain handler serves
 * them. The second one gets chunked bodies, which only Yoga serves. Compares status, headers, body, log lines, metrics and
 * upstream calls.
 */
export async function compareHandlers(options: {
  seed: number;
  requests: number;
  plant?: Plant | undefined;
}): Promise<DifferentialReport> {
  const random = createRandom(options.seed);
  const folder = mkdtempSync(join(tmpdir(), 'differential-'));
  const keyFile = join(folder, 'keys.json');
  writeFileSync(keyFile, JSON.stringify(Object.entries(keys).map(entryOf)));
  const sides = await Promise.all([startSide(keyFile), startSide(keyFile, options.plant)]);
  const differences: string[] = [];
  const statuses: Record<string, number> = {};
  try {
    for (let first = 0; first < options.requests && differences.length < 20; first += batchSize) {
      const posts = Array.from({ length: Math.min(batchSize, options.requests - first) }, (_, index) =>
        postOf(first + index, random),
      );
      const [plain, yoga] = await Promise.all([
        Promise.all(posts.map((post) => send(sides[0], post, withLength(post)))),
        Promise.all(posts.map((post) => send(sides[1], post, inChunks(post)))),
      ]);
      for (const [index, post] of posts.entries()) {
        const status = /^HTTP\/1\.1 (\d+)/.exec(plain[index] ?? '')?.[1] ?? 'none';
        statuses[status] = (statuses[status] ?? 0) + 1;
        if (plain[index] !== yoga[index])
          differences.push(
            `request ${first + index}: ${plain[index]}\n--- instead of ---\n${yoga[index]}\n${textOf(post)}`,
          );
      }
      await Promise.all(sides.map(idle));
      const [ownLines, otherLines] = sides.map(({ log }) => log.splice(0).map(normalized));
      differences.push(...differing(`log lines of requests ${first}…`, ownLines ?? [], otherLines ?? []));
      const [ownCalls, otherCalls] = sides.map(callsOf);
      differences.push(...differing(`upstream calls of requests ${first}…`, ownCalls ?? [], otherCalls ?? []));
      const isLast = first + batchSize >= options.requests;
      if (isLast || (first / batchSize) % batchesPerSeries === batchesPerSeries - 1) {
        const [own, other] = await Promise.all(sides.map(({ series }) => series()));
        differences.push(...differing(`metrics until request ${first}`, own ?? [], other ?? []));
      }
    }
    return { requests: options.requests, plain: sides[0].plain() - sides[1].plain(), statuses, differences };
  } finally {
    await Promise.all(sides.map((side) => side.close()));
    rmSync(folder, { recursive: true, force: true });
  }
}

function entryOf([name, { scopes, customer }]: typeof keys extends Readonly<Record<string, infer Key>>
  ? [string, Key]
  : never) {
  const sha256 = createHash('sha256').update(keyOf(name)).digest('hex');
  return { name, sha256, scopes, ...(customer !== undefined && { customer }) };
}

async function startSide(keyFile: string, plant?: Plant): Promise<Side> {
  const at = new Date('2026-01-02T03:04:05.678Z');
  const sandbox = await startSandbox({ now: () => at });
  const { url: baseUrl, merchantId, apiKey } = sandbox;
  const log: string[] = [];
  const registry = createMetrics('0');
  let inFlight = 0;
  const metrics: Metrics = {
    ...registry,
    inFlight(count) {
      inFlight = count;
      registry.inFlight(count);
    },
  };
  const environment = {
    ...jwtSettings,
    AUTH_MODE: 'jwt,api-key',
    AUTH_API_KEYS_FILE: keyFile,
    RATE_LIMIT_PER_MINUTE: '1000000',
    TRUST_PROXY: '1',
  };
  const config = { ...loadConfig(environment), provider: { baseUrl, merchantId, apiKey: new Secret(apiKey) } };
  const ownLog = createLog('debug', (line) => log.push(line));
  const gateway = openGateway(config, { log: ownLog, metrics, maxLinesPerSecond: Number.POSITIVE_INFINITY });
  let plain = 0;
  let requests = 0;
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    if (isPlain(request, '/graphql')) plain += 1;
    requests += 1;
    if (plant !== undefined && requests === 40) disturb(plant, response);
    gateway.listener(request, response);
  };
  const server = await startServer({ listener, drain: gateway.drain }, { host: '127.0.0.1', port: 0 });
  return {
    server,
    sandbox,
    log,
    plain: () => plain,
    isIdle: () => inFlight === 0,
    series: async () =>
      (await registry.read())
        .split('\n')
        // Without times and what depends on them.
        .filter((line) => line.startsWith('customer_gateway_') && !/_(bucket|sum|delay_seconds|left)\b/.test(line)),
    async close() {
      await server.stop(0);
      await gateway.dispose();
      await sandbox.close();
    },
  };

  function disturb(kind: Plant, response: ServerResponse): void {
    if (kind === 'log') ownLog.info('planted');
    if (kind === 'metric') metrics.operation({ type: 'query', outcome: 'OK', durationMs: 1 });
    if (kind === 'call') fetch(`${baseUrl}/customers/planted`).catch(() => undefined);
    if (kind === 'header') response.setHeader('x-planted', '1');
    const { writeHead, end } = response;
    if (kind === 'status')
      response.writeHead = (status: number, ...rest: unknown[]) =>
        Reflect.apply(writeHead, response, [status + 1, ...rest]);
    if (kind === 'body')
      response.end = (text: unknown, ...rest: unknown[]) =>
        Reflect.apply(end, response, [String(text).replace(/}$/, ' '), ...rest]);
  }
}

function withLength({ headers, body }: Post): Buffer[] {
  const head = ['POST /graphql HTTP/1.1', ...headers, `content-length: ${body.length}`];
  return [Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body])];
}

/** The same request in a framing that only Yoga serves. */
function inChunks({ headers, body }: Post): Buffer[] {
  const head = ['POST /graphql HTTP/1.1', ...headers, 'transfer-encoding: chunked'];
  const half = Math.floor(body.length / 2);
  const chunks = [body.subarray(0, half), body.subarray(half)].filter(({ length }) => length > 0);
  return [
    Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'),
    ...chunks.flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]),
    Buffer.from('0\r\n\r\n'),
  ];
}

/** Sends a request on a connection of its own. @returns the response without ids and times, or `left`. */
async function send({ server, sandbox }: Side, post: Post, parts: readonly Buffer[]): Promise<string> {
  const bytes = Buffer.concat(parts);
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => undefined);
  const closed = once(socket, 'close').catch(() => undefined);
  if (post.leaves === 'body') {
    // Without the last byte of the body, and without what follows it in chunks.
    socket.end(bytes.subarray(0, bytes.length - (parts.length > 1 ? '\r\n0\r\n\r\n'.length : 0) - 1));
    socket.resume();
    await closed;
    return 'left';
  }
  if (post.leaves === 'answer') {
    const called = sandbox.whenCalled(({ target }) => target.includes(post.upstream ?? ''));
    socket.write(bytes);
    await called;
    socket.destroy();
    await closed;
    return 'left';
  }
  socket.write(bytes);
  let text = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    text += chunk.toString('latin1');
    if (isComplete(text)) break;
  }
  socket.destroy();
  return normalized(text);
}

function isComplete(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  const [, length] = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, end + 2)) ?? [];
  return end >= 0 && length !== undefined && text.length >= end + 4 + Number(length);
}

/** Resolves when no request, no write and no read that nobody waits for is in progress. */
async function idle(side: Side): Promise<void> {
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  while (!side.isIdle()) await turn();
  for (const { closed } of side.sandbox.calls) await closed;
  for (let n = 0; n < 3; n += 1) await turn();
}

function callsOf({ sandbox }: Side): string[] {
  const calls = sandbox.calls.map(({ method, target, form, headers: { host: _, ...headers } }) =>
    normalized(JSON.stringify({ method, target, form, headers })),
  );
  sandbox.clearCalls();
  return calls;
}

/** Replaces what differs between two runs of the same request: ids of requests and created customers, times, ports. */
function normalized(text: string): string {
  return (
    text
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<id>')
      .replace(/cth_Sb\w{14}/g, '<customer>')
      .replace(/tkn_[0-9a-f]{32}/g, '<token>')
      .replace(/"req_\d+"/g, '"<call>"')
      .replace(/"(time|expiresAt)":"[^"]*"/g, '"$1":"<time>"')
      .replace(/"(durationMs|expiresInSeconds)":[\d.]+/g, '"$1":0')
      // The frames of an error name the code that called it.
      .replace(/"stack":\[[^\]]*\]/g, '"stack":[]')
      .replace(/127\.0\.0\.1:\d+/g, '<host>')
      .replace(/^date: .*$/im, 'date: <date>')
  );
}

/** The entries of two lists that are not in both, order aside. */
function differing(what: string, own: readonly string[], other: readonly string[]): string[] {
  const left = [...other];
  const more = own.filter((entry) => {
    const index = left.indexOf(entry);
    if (index >= 0) left.splice(index, 1);
    return index < 0;
  });
  return [
    ...more.map((entry) => `${what}: only with the plain handler: ${entry.trim()}`),
    ...left.map((entry) => `${what}: only with Yoga: ${entry.trim()}`),
  ];
}

function textOf({ headers, body, leaves }: Post): string {
  return `${headers.join('\n')}\n${body.toString().slice(0, 400)}\n${leaves ?? ''}`;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { requests: { type: 'string', default: '100000' }, seeds: { type: 'string', default: '1,2,3' } },
  });
  for (const seed of values.seeds.split(',').map(Number)) {
    const { differences, ...report } = await compareHandlers({ seed, requests: Number(values.requests) });
    console.log(JSON.stringify({ seed, ...report, differences: differences.length }));
    for (const difference of differences) console.log(difference);
    if (differences.length > 0) process.exitCode = 1;
  }
}
