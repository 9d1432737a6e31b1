import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import { type Connections, trackConnections } from './connections.ts';
import { createDelivery } from './delivery.ts';
import type { NodeGateway } from './handler.ts';
import { hasValidHost, refuseRequest } from './raw.ts';
import { readTarget } from './target.ts';

export interface Server {
  readonly port: number;
  /** Base address, without a path. */
  readonly url: string;
  /**
   * Drains and closes. `/ready` answers 503 at once; after `delayMs` new operations answer 503 too, and those in flight
   * have `graceMs` to finish. No request is reset meanwhile: the listener closes when nothing is in flight, and every
   * connection that is still open then gets an answer to what it sends. Takes 500 ms more than `graceMs` at most.
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
 * Before the listener closes: requests are accepted and held until none has arrived for `quietMs`. Clients that connect
 * again after each 503 wait for their answer then, so none of them is in the accept queue, which the system resets.
 */
const lastAccepts = { quietMs: 50, atMostMs: 250 };
/** The rest of the accept queue, one connection in a turn of the event loop. */
const acceptQueueMs = 100;
/** After that: how long all connections may be silent before they are closed, and how long all of this may take. */
const lastRequests = { quietMs: 500, atMostMs: 2_000 };
/** How long clients have to close their side after that. */
const lingerMs = 100;
/** What these steps may take together after the grace time; they take more only of what is left of it. */
const afterGraceMs = 400;
const lookMs = 5;

/**
 * Listens, within {@link socketLimits}.
 *
 * @param options.port 0 stands for a free one.
 * @param options.keepAliveTimeoutMs how long an idle connection stays open. Default 65000.
 * @param options.deliveryTimeoutMs how long a client may take for an answer before it is disconnected. Default 30000.
 * @throws the system's error, such as `EADDRINUSE`.
 */
export async function startServer(
  gateway: Pick<NodeGateway, 'listener' | 'drain'>,
  options: {
    host: string;
    port: number;
    keepAliveTimeoutMs?: number | undefined;
    deliveryTimeoutMs?: number | undefined;
  },
): Promise<Server> {
  const { keepAliveTimeoutMs: keepAliveTimeout = socketLimits.keepAliveTimeout, deliveryTimeoutMs } = options;
  // `hasValidHost` refuses instead, with a body that says so.
  const server = createServer({ ...socketLimits, keepAliveTimeout, requireHostHeader: false });
  const delivery = createDelivery(deliveryTimeoutMs === undefined ? {} : { timeoutMs: deliveryTimeoutMs });
  const connections = trackConnections(server, delivery);
  let held: (() => void)[] | undefined;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const serve = () => gateway.listener(request, response);
    connections.begin(request, response, () => (held ? held.push(serve) : serve()));
  });
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    connections.begin(request, response, () => refuseRequest(response, 417));
  });

  return {
    ...(await listen(server, options)),
    async stop(graceMs, delayMs = 0) {
      connections.closeAfterAnswers();
      const drained = gateway.drain(delayMs);
      if (delayMs > 0) await wait(delayMs);
      connections.hurry();
      const endsAtMs = performance.now() + graceMs + afterGraceMs;
      await Promise.race([drained, wait(graceMs, undefined, { ref: false })]);
      if (graceMs === 0) {
        const closed = closeListener(server);
        server.closeAllConnections();
        return closed;
      }
      held = [];
      await quiet(connections, { ...lastAccepts, endsAtMs: endsAtMs - afterGraceMs / 2 });
      const closed = await emptyAndClose(server, connections);
      const waiting = held;
      held = undefined;
      for (const serve of waiting) serve();
      const isDone = () => connections.open() === 0;
      await quiet(connections, { ...lastRequests, endsAtMs }, isDone);
      connections.endIdle();
      await quiet(connections, { quietMs: lingerMs, atMostMs: lingerMs, endsAtMs: endsAtMs + lingerMs }, isDone);
      server.closeAllConnections();
      await closed.done;
    },
  };
}

/** Resolves when no connection or request has arrived for a while, when `isDone`, or when it takes too long. */
async function quiet(
  connections: Connections,
  { quietMs, atMostMs, endsAtMs }: { quietMs: number; atMostMs: number; endsAtMs: number },
  isDone = () => false,
): Promise<void> {
  let nowMs = performance.now();
  let arrivedAtMs = nowMs;
  const untilMs = Math.min(nowMs + atMostMs, endsAtMs);
  for (
    let arrived = connections.arrived();
    nowMs - arrivedAtMs < quietMs && nowMs < untilMs && !isDone();
    nowMs = performance.now()
  ) {
    await wait(lookMs);
    if (connections.arrived() !== arrived) arrivedAtMs = performance.now();
    arrived = connections.arrived();
  }
}

/**
 * Closes the listener directly after a turn of the event loop in which nobody connected: what is in the accept queue then
 * would be reset. A turn accepts one connection.
 *
 * @returns `done` resolves when all connections are closed too.
 */
function emptyAndClose(server: HttpServer, connections: Connections): Promise<{ done: Promise<void> }> {
  const untilMs = performance.now() + acceptQueueMs;
  return new Promise((resolve) => {
    let before = -1;
    const look = () => {
      const accepted = connections.accepted();
      if (accepted === before || performance.now() >= untilMs) return resolve({ done: closeListener(server) });
      before = accepted;
      setImmediate(look);
    };
    look();
  });
}

/** `close` of `node:http` would also close idle connections, on which a request may be on its way. */
function closeListener(server: HttpServer): Promise<void> {
  return new Promise((resolve) => NetServer.prototype.close.call(server, () => resolve()));
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
  const connections = trackConnections(server, createDelivery());
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    connections.begin(request, response, () => {
      answerMetrics(request, response).catch(() => response.writeHead(500).end());
    });
  });
  return {
    ...(await listen(server, options)),
    async close() {
      connections.closeAfterAnswers();
      const closed = new Promise((resolve) => server.close(resolve));
      // Answers under way are finished; `close` has closed the idle connections.
      await Promise.race([closed, wait(lingerMs, undefined, { ref: false })]);
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
