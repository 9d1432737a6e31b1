import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { type Connections, trackConnections } from './connections.ts';
import type { NodeGateway } from './handler.ts';
import { hasValidHost, limitDelivery, refuseRequest } from './raw.ts';
import { readTarget } from './target.ts';

export interface Server {
  readonly port: number;
  /** Base address, without a path. */
  readonly url: string;
  /**
   * Drains and closes. `/ready` answers 503 at once; after `delayMs` new operations answer 503 too, and those in flight
   * have `graceMs` to finish. No request is reset meanwhile: the listener closes when nothing is in flight, and every
   * connection that is still open then gets an answer to what it sends.
   */
  stop(graceMs: number, delayMs?: number): Promise<void>;
}

/**
 * Against slow senders, for `node:http`'s `createServer`: 3 s for the head of a request, 5 s for all of it; heads end at
 * 16 KiB. Idle connections close after 65 s: load balancers keep theirs for 60 s, and a connection must not be closed by
 * the server while a request is on its way.
 */
export const socketLimits = {
  headersTimeout: 3_000,
  requestTimeout: 5_000,
  connectionsCheckingInterval: 500,
  keepAliveTimeout: 65_000,
  maxHeaderSize: 16_384,
} as const;

/**
 * Before the listener closes: new connections are accepted and held until none has arrived for `quietMs`. Clients that
 * connect again after each 503 wait for their answer then, so none of them is in the accept queue, which the system
 * resets. `atMostMs` bounds it where connections never stop arriving.
 */
const lastAccepts = { quietMs: 50, atMostMs: 500, everyMs: 5 };
/** After that: how long an open connection may stay silent before it is closed, and how long all of this may take. */
const lastRequests = { quietMs: 500, atMostMs: 2_000, everyMs: 20 };

/**
 * Listens, within {@link socketLimits}.
 *
 * @param options.port 0 stands for a free one.
 * @param options.keepAliveTimeoutMs how long an idle connection stays open. Default 65000.
 * @throws the system's error, such as `EADDRINUSE`.
 */
export async function startServer(
  gateway: Pick<NodeGateway, 'listener' | 'drain'>,
  options: { host: string; port: number; keepAliveTimeoutMs?: number | undefined },
): Promise<Server> {
  const { keepAliveTimeoutMs: keepAliveTimeout = socketLimits.keepAliveTimeout } = options;
  // `hasValidHost` refuses instead, with a body that says so.
  const server = createServer({ ...socketLimits, keepAliveTimeout, requireHostHeader: false });
  const connections = trackConnections(server);
  let held: (() => void)[] | undefined;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    connections.begin(request, response);
    if (held) held.push(() => gateway.listener(request, response));
    else gateway.listener(request, response);
  });
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    connections.begin(request, response);
    limitDelivery(response);
    refuseRequest(response, 417);
  });

  return {
    ...(await listen(server, options)),
    async stop(graceMs, delayMs = 0) {
      connections.closeAfterAnswers();
      const drained = gateway.drain(delayMs);
      if (delayMs > 0) await wait(delayMs);
      connections.hurry();
      await Promise.race([drained, wait(graceMs, undefined, { ref: false })]);
      if (graceMs > 0) {
        held = [];
        await quiet(connections, lastAccepts);
        // One turn of the event loop accepts all that is queued; after one that accepts nothing the queue is empty.
        for (let turns = 0, before = -1; before !== connections.arrived() && turns < 100; turns += 1) {
          before = connections.arrived();
          await turn();
        }
      }
      // `close` of `node:http` would also close idle connections, on which a request may be on its way.
      const closed = new Promise((resolve) => NetServer.prototype.close.call(server, resolve));
      for (const serve of held ?? []) serve();
      held = undefined;
      if (graceMs > 0) await quiet(connections, lastRequests, () => connections.open() === 0);
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Resolves when no connection or request has arrived for a while, when `isDone`, or when it takes too long. */
async function quiet(
  connections: Connections,
  { quietMs, atMostMs, everyMs }: { quietMs: number; atMostMs: number; everyMs: number },
  isDone = () => false,
): Promise<void> {
  const startedAtMs = performance.now();
  let arrivedAtMs = startedAtMs;
  for (let arrived = connections.arrived(); !isDone(); await wait(everyMs)) {
    const nowMs = performance.now();
    if (connections.arrived() !== arrived) arrivedAtMs = nowMs;
    arrived = connections.arrived();
    if (nowMs - arrivedAtMs >= quietMs || nowMs - startedAtMs >= atMostMs) return;
  }
}

/** What can be read at `/metrics`. */
export interface Readable {
  readonly contentType: string;
  read(): Promise<string>;
}

/**
 * Shows the numbers on a port of their own, which need not be open to those who ask for customers.
 *
 * @param options.port 0 stands for a free one.
 * @throws the system's error, such as `EADDRINUSE`.
 */
export async function startMetricsServer(
  { contentType, read }: Readable,
  options: { host: string; port: number },
): Promise<Omit<Server, 'stop'> & { close(): Promise<void> }> {
  const server = createServer({ ...socketLimits, requireHostHeader: false });
  const connections = trackConnections(server);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    connections.begin(request, response);
    limitDelivery(response);
    answerMetrics(request, response).catch(() => response.writeHead(500).end());
  });
  return {
    ...(await listen(server, options)),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };

  async function answerMetrics(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    if (!hasValidHost(request)) return refuseRequest(response, 400);
    const { method, url = '' } = request;
    if (readTarget(url).path !== '/metrics')
      return response.writeHead(404, { 'content-type': 'text/plain' }).end('The metrics are at /metrics.\n');
    if (method !== 'GET' && method !== 'HEAD') return response.writeHead(405, { allow: 'GET, HEAD' }).end();
    const numbers = await read();
    return response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' }).end(numbers);
  }
}

async function listen(server: HttpServer, { host, port }: { host: string; port: number }) {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const { port: bound, address, family } = server.address() as AddressInfo;
  return { port: bound, url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}` };
}
