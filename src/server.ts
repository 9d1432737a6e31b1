import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
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
    gateway.listener(request, response);
  };
  const server = createServer(socketLimits, answer);
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
