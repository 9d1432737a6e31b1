import { EventEmitter } from 'node:events';
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
  /** Base URL, without a path. */
  readonly url: string;
  /**
   * Drains and closes the server. `/ready` returns 503 at once. After `delayMs`, new operations get 503, and in-flight
   * operations have `graceMs` to finish. The listener closes when nothing is in flight. Requests that arrive on open
   * connections still get a response and are not reset. Takes at most 500 ms longer than `graceMs`.
   *
   * @param others the other processes that listen on the same port.
   */
  stop(graceMs: number, delayMs?: number, others?: OtherListeners): Promise<void>;
}

/**
 * `drained`: no operation is in flight, or the grace time is over. `closed`: the listener is closed; requests that arrived before wait
 * for their response.
 */
export type DrainPhase = 'drained' | 'closed';

/**
 * Processes that listen on the same port and stop at the same time. They wait for each other before they close their listeners, and
 * before they respond to the requests that they have held. Otherwise the clients of the first process would reconnect while the last
 * one closes, and the system resets connections in the accept queue of a listener that closes.
 */
export interface OtherListeners {
  /** Resolves when all processes have reached the phase, and after `timeoutMs` at the latest. Never rejects. */
  reach(phase: DrainPhase, timeoutMs: number): Promise<void>;
}

/**
 * Options of `createServer` against slow senders. Idle connections close after 65 s, later than the usual 60 s of load
 * balancers: otherwise the server could close a connection while the load balancer sends a request on it.
 */
export const socketLimits = {
  headersTimeout: 3_000,
  requestTimeout: 5_000,
  connectionsCheckingInterval: 500,
  keepAliveTimeout: 65_000,
  maxHeaderSize: 16_384,
} as const;

/**
 * Before the listener closes, requests are accepted and held until none has arrived for `quietMs`. Clients that reconnect
 * after each 503 then wait for a response. None of them is in the accept queue, which the system resets on close.
 */
const holdPhase = { quietMs: 50, atMostMs: 250 };
/** Time limit for accepting the rest of the accept queue, one connection in each turn of the event loop. */
const acceptQueueMs = 100;
/** Maximum wait for the other processes to close their listeners: the longest time that this takes. */
const maxSkewMs = holdPhase.atMostMs + acceptQueueMs;
/** After the listener closes, open connections are served until no request has arrived for `quietMs`, at most for `atMostMs`. */
const closePhase = { quietMs: 500, atMostMs: 2_000 };
/** After `closePhase`, time for clients to close their side of the connection. */
const lingerMs = 100;
/** Time for `holdPhase` and `closePhase` after the grace time. If the drain ends early, they also use the rest of the grace time. */
const afterGraceMs = 400;
const pollMs = 5;

/**
 * Starts a server with {@link socketLimits}.
 *
 * @param options.port 0 selects a free port.
 * @param options.reusePort whether other processes may listen on the same port. The system then distributes the connections.
 * @param options.keepAliveTimeoutMs time after which an idle connection is closed. Default 65000.
 * @param options.deliveryTimeoutMs time after which a client that does not read its response is disconnected. Default 30000.
 * @throws the system error, such as `EADDRINUSE`.
 */
export async function startServer(
  gateway: Pick<NodeGateway, 'listener' | 'drain'>,
  options: {
    host: string;
    port: number;
    reusePort?: boolean;
    keepAliveTimeoutMs?: number | undefined;
    deliveryTimeoutMs?: number | undefined;
  },
): Promise<Server> {
  const { keepAliveTimeoutMs: keepAliveTimeout = socketLimits.keepAliveTimeout, deliveryTimeoutMs } = options;
  // `hasValidHost` replaces this check, because Node's error response has no body.
  const server = createServer({ ...socketLimits, keepAliveTimeout, requireHostHeader: false });
  // The OpenTelemetry instrumentation of `node:http` replaces this method of the prototype, and exports the address of the client and
  // the URL, which over GET contains the document and its variables. The span of the operation replaces its span.
  server.emit = EventEmitter.prototype.emit;
  const delivery = createDelivery(deliveryTimeoutMs === undefined ? {} : { timeoutMs: deliveryTimeoutMs });
  const connections = trackConnections(server, delivery);
  let held: (() => void)[] | undefined;
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    if (held) held.push(() => gateway.listener(request, response));
    else gateway.listener(request, response);
  };
  const refuseExpectation = (_request: IncomingMessage, response: ServerResponse) => refuseRequest(response, 417);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    connections.begin(request, response, serve);
  });
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    connections.begin(request, response, refuseExpectation);
  });

  return {
    ...(await listen(server, options)),
    async stop(graceMs, delayMs = 0, others) {
      connections.closeAfterResponses();
      const drained = gateway.drain(delayMs);
      if (delayMs > 0) await wait(delayMs);
      connections.shortenDelivery();
      const endsAtMs = performance.now() + graceMs + afterGraceMs;
      await Promise.race([drained, wait(graceMs, undefined, { ref: false })]);
      if (graceMs === 0) {
        const closed = closeListener(server);
        server.closeAllConnections();
        return closed;
      }
      await others?.reach('drained', Math.max(0, endsAtMs - afterGraceMs - performance.now()));
      held = [];
      await waitUntilQuiet(connections, { ...holdPhase, endsAtMs: endsAtMs - afterGraceMs / 2 });
      const closed = await emptyAndClose(server, connections);
      await others?.reach('closed', Math.max(0, Math.min(maxSkewMs, endsAtMs - afterGraceMs / 4 - performance.now())));
      const heldRequests = held;
      held = undefined;
      for (const serve of heldRequests) serve();
      const isDone = () => connections.open() === 0;
      await waitUntilQuiet(connections, { ...closePhase, endsAtMs }, isDone);
      connections.endIdle();
      await waitUntilQuiet(
        connections,
        { quietMs: lingerMs, atMostMs: lingerMs, endsAtMs: endsAtMs + lingerMs },
        isDone,
      );
      server.closeAllConnections();
      await closed.done;
    },
  };
}

/** Resolves when nothing has arrived for `quietMs`, when `isDone` returns `true`, or at the time limit. */
async function waitUntilQuiet(
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
    await wait(pollMs);
    if (connections.arrived() !== arrived) arrivedAtMs = performance.now();
    arrived = connections.arrived();
  }
}

/**
 * Closes the listener after a turn of the event loop without a new connection. One turn accepts one connection, and closing
 * resets the connections that are still in the accept queue.
 *
 * @returns `done` resolves when all connections are closed.
 */
function emptyAndClose(server: HttpServer, connections: Connections): Promise<{ done: Promise<void> }> {
  const untilMs = performance.now() + acceptQueueMs;
  return new Promise((resolve) => {
    let before = -1;
    const acceptNext = () => {
      const accepted = connections.accepted();
      if (accepted === before || performance.now() >= untilMs) return resolve({ done: closeListener(server) });
      before = accepted;
      setImmediate(acceptNext);
    };
    acceptNext();
  });
}

/** Closes the listener only. `close` of `node:http` would also close idle connections, on which a request may arrive. */
function closeListener(server: HttpServer): Promise<void> {
  return new Promise((resolve) => NetServer.prototype.close.call(server, () => resolve()));
}

/** A text and its media type. */
interface Readable {
  readonly contentType: string;
  read(): Promise<string>;
}

/** The content of `/metrics`, also as OpenMetrics for clients that accept it. */
export interface ReadableMetrics extends Readable {
  readonly openMetrics?: Readable;
}

/**
 * Serves `/metrics` on a separate port, which API clients need not reach.
 *
 * @param options.port 0 selects a free port.
 * @throws the system error, such as `EADDRINUSE`.
 */
export async function startMetricsServer(
  metrics: ReadableMetrics,
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
      connections.closeAfterResponses();
      const closed = new Promise((resolve) => server.close(resolve));
      // `close` has closed idle connections. Give in-flight responses time to finish.
      await Promise.race([closed, wait(lingerMs, undefined, { ref: false })]);
      server.closeAllConnections();
      await closed;
    },
  };

  async function answerMetrics(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    if (!hasValidHost(request)) return refuseRequest(response, 400);
    const { method, url = '' } = request;
    if (readTarget(url).path !== '/metrics')
      return response
        .writeHead(404, { 'content-type': 'text/plain' })
        .end('Not found. Metrics are served at /metrics.\n');
    if (method !== 'GET' && method !== 'HEAD') return response.writeHead(405, { allow: 'GET, HEAD' }).end();
    const { contentType, read } = (acceptsOpenMetrics(request.headers.accept) && metrics.openMetrics) || metrics;
    const text = await read();
    const headers = { 'content-type': contentType, 'cache-control': 'no-store', vary: 'accept' };
    return response.writeHead(200, headers).end(text);
  }
}

/** Whether a client names OpenMetrics and does not prefer the other text. Prometheus names both, with weights. */
function acceptsOpenMetrics(accept = ''): boolean {
  const weights = new Map(
    accept.split(',').map((range) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
      const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
      return [type, weight === undefined ? 1 : Number(weight)] as const;
    }),
  );
  const weight = weights.get('application/openmetrics-text') ?? 0;
  return weight > 0 && weight >= (weights.get('text/plain') ?? 0);
}

async function listen(
  server: HttpServer,
  { host, port, reusePort = false }: { host: string; port: number; reusePort?: boolean },
) {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, reusePort }, resolve);
  });
  const { port: bound, address, family } = server.address() as AddressInfo;
  return { port: bound, url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}` };
}
