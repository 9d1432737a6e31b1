import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Delivery } from './delivery.ts';
import { refuseSocket } from './raw.ts';

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly serve: () => void;
}

interface Connection {
  /** In the order of arrival: the first is being served. */
  readonly exchanges: Exchange[];
  /** Bytes that belong to finished exchanges; `undefined` where the rest of a request may still come in. */
  settledBytes: number | undefined;
}

/** How long a client may take nothing of a finished answer while the server drains. */
const stalledMs = 1_000;

export interface Connections {
  /** Serves a request when the answers that are due before it on its connection are finished. */
  begin(request: IncomingMessage, response: ServerResponse, serve: () => void): void;
  /** From now on the last answer that is due on a connection is the last one of that connection. */
  closeAfterAnswers(): void;
  /** From now on clients that stop reading their answer are disconnected after a second, not after the usual time. */
  hurry(): void;
  /**
   * Ends the sending side of connections without a request; those where a part of a request has arrived get 503 before.
   * What they send is still read, since a connection that is closed on unread bytes is reset.
   */
  endIdle(): void;
  /** Number of open connections. */
  open(): number;
  /** Number of connections that have been accepted so far. */
  accepted(): number;
  /** Number of connections and requests that have arrived so far. */
  arrived(): number;
}

/**
 * Knows which answers are due on each connection, in their order, so that nothing is written in their place and no
 * connection is closed under them. Pipelined requests are served one after the other: a connection holds one answer, also
 * when its client sends many requests and reads nothing.
 */
export function trackConnections(server: Server, delivery: Delivery): Connections {
  const connections = new Map<Duplex, Connection>();
  const broken = new WeakSet<Duplex>();
  let accepted = 0;
  let requests = 0;
  let isClosing = false;
  let isHurried = false;

  server.on('connection', (socket) => {
    accepted += 1;
    connections.set(socket, { exchanges: [], settledBytes: 0 });
    socket.once('close', () => connections.delete(socket));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') return socket.destroy();
    // Every further chunk of the same client raises the error again.
    if (broken.has(socket)) return;
    broken.add(socket);
    // Nothing that follows can be read as a request.
    socket.pause();
    const { exchanges = [] } = connections.get(socket) ?? {};
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
    begin(request, response, serve) {
      requests += 1;
      const { socket } = request;
      const connection = connections.get(socket) ?? { exchanges: [], settledBytes: undefined };
      const { exchanges } = connection;
      const exchange = { request, response, serve };
      exchanges.push(exchange);
      delivery.limit(response);
      response.once('close', () => {
        exchanges.splice(exchanges.indexOf(exchange), 1);
        connection.settledBytes = request.complete && exchanges.length === 0 ? socket.bytesRead : undefined;
        const [next] = exchanges;
        // A request that broke is refused where the error was found.
        if (next && socket.writable && (next.request.complete || !broken.has(socket))) next.serve();
      });
      response.once('prefinish', () => {
        if (isHurried) socket.setTimeout(stalledMs);
      });
      if (isClosing) markLast(exchanges);
      if (exchanges.length === 1) serve();
    },
    closeAfterAnswers() {
      isClosing = true;
      for (const { exchanges } of connections.values()) markLast(exchanges);
    },
    hurry() {
      isHurried = true;
      for (const {
        exchanges: [first],
      } of connections.values()) {
        // Without progress for this long, `node:http` destroys the socket.
        if (first?.response.writableEnded) first.request.socket.setTimeout(stalledMs);
      }
    },
    endIdle() {
      for (const [socket, { exchanges, settledBytes }] of connections) {
        if (exchanges.length > 0 || !socket.writable) continue;
        if (settledBytes !== undefined && (socket as Socket).bytesRead > settledBytes) {
          refuseSocket(socket, { code: 'OVERLOADED' });
        } else socket.end();
      }
    },
    open: () => connections.size,
    accepted: () => accepted,
    arrived: () => accepted + requests,
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
