import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { refuseRequest, refuseSocket } from './edge/raw.ts';
import type { Gateway } from './gateway.ts';

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

/**
 * Listens. Slow senders are cut off: 3 s for the head of a request, 5 s for all of it; idle sockets go after 5 s.
 *
 * @throws the system's error, such as `EADDRINUSE`.
 */
export async function startServer(gateway: Gateway, options: { host: string; port: number }): Promise<Server> {
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    // While it stops, each answer is the last one of its socket.
    if (stopping) response.setHeader('connection', 'close');
    answers.set(request.socket, response);
    gateway.listener(request, response);
  };
  const server = createServer(
    {
      headersTimeout: 3_000,
      requestTimeout: 5_000,
      connectionsCheckingInterval: 500,
      keepAliveTimeout: 5_000,
      maxHeaderSize: 16_384,
      // Ours to refuse, with a body that says so.
      requireHostHeader: false,
    },
    answer,
  );
  const answers = new WeakMap<Duplex, ServerResponse>();
  server.on('checkExpectation', (_request, response) => refuseRequest(response, 417));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const last = answers.get(socket);
    const isHalfSent = last?.headersSent === true && !last.writableFinished;
    if (isHalfSent || !socket.writable) socket.destroy();
    else refuseSocket(socket, error);
  });
  let stopping = false;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  const { port, address, family } = server.address() as AddressInfo;

  return {
    port,
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    async stop(graceMs) {
      stopping = true;
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, graceMs);
      // The listener stays open until here, so that a load balancer sees 503 rather than a refused connection.
      await Promise.race([gateway.drain(), late.promise]);
      clearTimeout(timer);
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
