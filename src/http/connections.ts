import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { refuseSocket } from './raw.ts';

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** How long a client may take nothing of a finished answer while the server drains. */
const stalledMs = 1_000;

export interface Connections {
  /** Registers a request, before it is handled. */
  begin(request: IncomingMessage, response: ServerResponse): void;
  /** From now on the last answer that is due on a connection is the last one of that connection. */
  closeAfterAnswers(): void;
  /** From now on clients that stop reading their answer are disconnected after a second, not after the usual time. */
  hurry(): void;
  /** Number of open connections. */
  open(): number;
  /** Number of connections and requests that have arrived so far. */
  arrived(): number;
}

/**
 * Knows which answers are due on each connection, in their order, so that nothing is written in their place and no
 * connection is closed under them.
 */
export function trackConnections(server: Server): Connections {
  const connections = new Map<Duplex, Exchange[]>();
  const broken = new WeakSet<Duplex>();
  let arrivals = 0;
  let isClosing = false;
  let isHurried = false;

  server.on('connection', (socket) => {
    arrivals += 1;
    connections.set(socket, []);
    socket.once('close', () => connections.delete(socket));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') return socket.destroy();
    // Every further chunk of the same client raises the error again.
    if (broken.has(socket)) return;
    broken.add(socket);
    // Nothing that follows can be read as a request.
    socket.pause();
    const exchanges = connections.get(socket) ?? [];
    const unfinished = exchanges.find(({ request }) => !request.complete);
    const owed = exchanges.filter((exchange) => exchange !== unfinished).map(({ response }) => closed(response));
    Promise.all(owed)
      .then(async () => {
        if (!socket.writable) return socket.destroy();
        // The broken bytes belong to a request that has an answer already, such as 413.
        if (unfinished?.response.headersSent) {
          if (unfinished.response.writableEnded) await closed(unfinished.response);
          return socket.destroy();
        }
        return refuseSocket(socket, error);
      })
      .catch(() => socket.destroy());
  });

  return {
    begin(request, response) {
      arrivals += 1;
      const exchanges = connections.get(request.socket) ?? [];
      const exchange = { request, response };
      exchanges.push(exchange);
      response.once('close', () => {
        exchanges.splice(exchanges.indexOf(exchange), 1);
      });
      response.once('prefinish', () => {
        if (isHurried) request.socket.setTimeout(stalledMs);
      });
      if (isClosing) markLast(exchanges);
    },
    closeAfterAnswers() {
      isClosing = true;
      for (const exchanges of connections.values()) markLast(exchanges);
    },
    hurry() {
      isHurried = true;
      for (const [socket, exchanges] of connections) {
        // Without progress for this long, `node:http` destroys the socket.
        if (exchanges[0]?.response.writableEnded && 'setTimeout' in socket)
          exchanges[0].request.socket.setTimeout(stalledMs);
      }
    },
    open: () => connections.size,
    arrived: () => arrivals,
  };
}

/** With pipelining several answers are due; `connection: close` on any but the last would lose those behind it. */
function markLast(exchanges: readonly Exchange[]): void {
  const pending = exchanges.map(({ response }) => response).filter((response) => !response.headersSent);
  const last = pending.at(-1);
  for (const response of pending) {
    if (response === last) response.setHeader('connection', 'close');
    else response.removeHeader('connection');
  }
}

function closed(response: ServerResponse): Promise<void> {
  if (response.closed || response.destroyed) return Promise.resolve();
  return new Promise((resolve) => response.once('close', resolve));
}
