import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { refuseRequest, refuseSocket } from './edge/raw.ts';
import type { NodeGateway } from './handler.ts';

export interface Server {
  readonly port: number;
  /** Base address, without a path. */
  readonly url: string;
  /**
   * Stops without losing what is under way: `/ready` and new operations answer 503 while the last ones run, at most
   * `graceMs`; then all sockets are closed.
   */
  stop(graceMs: number): Promise<void>;
}

/** How long connections may take to end by themselves once nothing is under way. */
const lastWordsMs = 250;

/**
 * Against slow senders, for `node:http`'s `createServer`: 3 s for the head of a request, 5 s for all of it; idle sockets go
 * after 5 s, heads end at 16 KiB.
 */
export const socketLimits = {
  headersTimeout: 3_000,
  requestTimeout: 5_000,
  connectionsCheckingInterval: 500,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 16_384,
} as const;

/**
 * Listens, within {@link socketLimits}.
 *
 * @param options.port 0 stands for a free one.
 * @throws the system's error, such as `EADDRINUSE`.
 */
export async function startServer(
  gateway: Pick<NodeGateway, 'listener' | 'drain'>,
  options: { host: string; port: number },
): Promise<Server> {
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    // While it stops, each answer is the last one of its socket.
    if (stopping) response.setHeader('connection', 'close');
    last.set(request.socket, { request, response });
    gateway.listener(request, response);
  };
  // No host is ours to refuse, with a body that says so.
  const server = createServer({ ...socketLimits, requireHostHeader: false }, answer);
  const last = new WeakMap<Duplex, { request: IncomingMessage; response: ServerResponse }>();
  server.on('checkExpectation', (_request, response) => refuseRequest(response, 417));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const { request, response } = last.get(socket) ?? {};
    // What is wrong belongs to a request that has its answer, or half of it: a second one would stand in its midst.
    const isAnswered = response?.headersSent === true && !(request?.complete && response.writableFinished);
    if (isAnswered || !socket.writable) socket.destroy();
    else refuseSocket(socket, error);
  });
  let stopping = false;

  return {
    ...(await listen(server, options)),
    async stop(graceMs) {
      stopping = true;
      // The listener stays open until here, so that a load balancer sees 503 rather than a refused connection.
      const isDrained = await Promise.race([gateway.drain().then(() => true), wait(graceMs, false, { ref: false })]);
      const closed = new Promise((resolve) => server.close(resolve));
      // What came in at the last moment is still refused in words; who sends nothing is not waited for.
      if (isDrained) await Promise.race([closed, wait(lastWordsMs, undefined, { ref: false })]);
      server.closeAllConnections();
      await closed;
    },
  };
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
  const server = createServer({ ...socketLimits, requireHostHeader: false }, async ({ method, url }, response) => {
    const isThere = URL.parse(url ?? '', 'http://metrics')?.pathname === '/metrics';
    if (!isThere)
      return response.writeHead(404, { 'content-type': 'text/plain' }).end('The numbers are at /metrics.\n');
    if (method !== 'GET' && method !== 'HEAD') return response.writeHead(405, { allow: 'GET, HEAD' }).end();
    return response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' }).end(await read());
  });
  return {
    ...(await listen(server, options)),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: HttpServer, { host, port }: { host: string; port: number }) {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const { port: bound, address, family } = server.address() as AddressInfo;
  return { port: bound, url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}` };
}
