import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import DataLoader from 'dataloader';
import { startServer } from '../../src/http/server.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { startHarness } from '../support.ts';

/** An operation of a crowd. */
export interface Asked {
  readonly body: string;
  /** The name of an API key of {@link callers}. */
  readonly caller: keyof typeof callers;
  /** Header lines. */
  readonly headers?: readonly string[];
}

export interface Reply {
  readonly status: number;
  readonly requestId: string;
  readonly contentType: string;
  /** The body, with `<id>` instead of the id of the request. */
  readonly text: string;
}

export interface Upstream {
  readonly status: number;
  readonly body: string;
}

const all = ['customer:read', 'customer:write', 'customer:token'];
export const callers = {
  one: { scopes: all },
  two: { scopes: all.toReversed() },
  reader: { scopes: ['customer:read'] },
  nothing: { scopes: [] },
  bound: { scopes: all, customer: 'u7' },
  other: { scopes: all, customer: 'u8' },
} as const;

export const customer: Upstream = {
  status: 200,
  body: JSON.stringify({
    id: 'cth_1',
    object_reference_id: 'u7',
    first_name: 'Zoë',
    juspay: { client_auth_token: 'tkn_1', client_auth_token_expiry: '2099-01-01T00:00:00Z' },
  }),
};

/** A gateway whose provider holds its responses, so that all operations of a crowd are in progress at the same time. */
export interface Crowd {
  /** Sends an operation over a connection of its own. Closing the socket disconnects the client. */
  send(
    asked: Asked,
    options?: { readonly door?: 'plain' | 'yoga' },
  ): { readonly socket: Socket; readonly reply: Promise<Reply> };
  /** Resolves when this number of requests is in progress. */
  inProgress(count: number): Promise<void>;
  /** Number of requests that have arrived. With API keys and the plain handler, each waits for its reads in the next turn. */
  readonly arrivals: () => number;
  /** Resolves when this number of requests has arrived. */
  arrived(count: number): Promise<void>;
  /** Resolves when the provider holds this number of calls. */
  held(count: number): Promise<void>;
  /** Answers the held calls, and all later ones at once. */
  release(upstream: Upstream): void;
  /** Holds calls again. */
  hold(): void;
  /** `METHOD target` of each call. */
  readonly calls: string[];
  readonly log: readonly string[];
  /** Number of reads that resolvers have asked for. */
  readonly executed: () => number;
  close(): Promise<void>;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

export async function openCrowd(environment: Readonly<Record<string, string>> = {}): Promise<Crowd> {
  const folder = mkdtempSync(join(tmpdir(), 'crowd-'));
  const keysFile = join(folder, 'keys.json');
  const entries = Object.entries(callers).map(([name, rights]) => ({
    name,
    sha256: createHash('sha256').update(`key-of-${name}`).digest('hex'),
    ...rights,
  }));
  writeFileSync(keysFile, JSON.stringify(entries));

  const calls: string[] = [];
  const held: ServerResponse[] = [];
  let answer: Upstream | undefined;
  const respond = (response: ServerResponse, { status, body }: Upstream) => response.writeHead(status).end(body);
  const provider = createServer((request, response) => {
    calls.push(`${request.method} ${request.url}`);
    request.resume();
    if (answer === undefined) held.push(response);
    else respond(response, answer);
  }).listen(0, '127.0.0.1');
  await once(provider, 'listening');

  const metrics = createMetrics('0');
  let inFlight = 0;
  let arrived = 0;
  const harness = await startHarness(
    { AUTH_MODE: 'api-key', AUTH_API_KEYS_FILE: keysFile, ...environment },
    {
      provider: { baseUrl: `http://127.0.0.1:${(provider.address() as AddressInfo).port}` },
      metrics: {
        ...metrics,
        inFlight(count) {
          if (count > inFlight) arrived += 1;
          inFlight = count;
        },
      },
    },
  );
  const server = await startServer(harness.gateway, { host: '127.0.0.1', port: 0 });

  const { load } = DataLoader.prototype;
  let executed = 0;
  DataLoader.prototype.load = function (...args) {
    executed += 1;
    return load.apply(this, args);
  };

  return {
    calls,
    log: harness.log,
    executed: () => executed,
    send({ body, caller, headers = [] }, { door = 'plain' } = {}) {
      const socket = connect(server.port, '127.0.0.1');
      const bytes = Buffer.from(body);
      const head = [
        'POST /graphql HTTP/1.1',
        'host: a',
        'content-type: application/json',
        `x-api-key: key-of-${caller}`,
      ];
      // Only Yoga serves a target with a query.
      if (door === 'yoga') head[0] = 'POST /graphql?yoga HTTP/1.1';
      socket.write(`${[...head, ...headers, `content-length: ${bytes.length}`].join('\r\n')}\r\n\r\n`);
      socket.write(bytes);
      const reply = readReply(socket);
      reply.catch(() => undefined);
      return { socket, reply };
    },
    async inProgress(count) {
      while (inFlight !== count) await turn();
      await turn();
    },
    arrivals: () => arrived,
    async arrived(count) {
      while (arrived < count) await turn();
      await turn();
    },
    async held(count) {
      while (held.length < count) await turn();
    },
    release(upstream) {
      answer = upstream;
      for (const response of held.splice(0)) respond(response, upstream);
    },
    hold() {
      answer = undefined;
    },
    async close() {
      DataLoader.prototype.load = load;
      await server.stop(0);
      await harness.close();
      provider.closeAllConnections();
      provider.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function readReply(socket: Socket): Promise<Reply> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    const [head = '', body] = Buffer.concat(chunks).toString('utf8').split('\r\n\r\n', 2);
    const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim() ?? '';
    if (body === undefined || Buffer.byteLength(body) < Number(header('content-length'))) continue;
    const requestId = header('x-request-id');
    socket.destroy();
    return {
      status: Number(head.split(' ')[1]),
      requestId,
      contentType: header('content-type'),
      text: body.replaceAll(requestId, '<id>'),
    };
  }
  throw new Error('The connection ended before the response.');
}
