import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Delivery } from './delivery.ts';
import { refuseSocket } from './raw.ts';

/** Serves one request. All requests share the function: a closure for each would stay in memory until its response has ended. */
type Serve = (request: IncomingMessage, response: ServerResponse) => void;

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly serve: Serve;
}

interface Connection {
  readonly socket: Socket;
  /** In order of arrival. The first one is being served. */
  readonly exchanges: Exchange[];
  /** Listener for the end of each response of this connection. */
  readonly onClose: (this: ServerResponse) => void;
  /** Bytes received for finished exchanges. `undefined` if the rest of a request may still arrive. */
  settledBytes: number | undefined;
}

/** Time without progress after which a client that does not read its response is disconnected during a drain. */
const stalledMs = 1_000;

export interface Connections {
  /** Serves a request when the earlier responses of its connection are finished. */
  begin(request: IncomingMessage, response: ServerResponse, serve: Serve): void;
  /** From now on, sends `connection: close` with the last pending response of each connection. */
  closeAfterResponses(): void;
  /** From now on, disconnects clients that do not read their response after 1 s instead of the delivery timeout. */
  shortenDelivery(): void;
  /**
   * Ends the writable side of connections without a pending response. If part of a request has arrived, sends 503 first.
   * Keeps reading, because closing a socket with unread bytes resets the connection.
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
 * Tracks the pending responses of each connection in order. An error response to invalid bytes then cannot replace a pending
 * response, and no connection is closed before its responses are sent. Pipelined requests are served one at a time, so a
 * client that sends many requests and reads nothing holds one response in memory.
 */
export function trackConnections(server: Server, delivery: Delivery): Connections {
  const connections = new Map<Duplex, Connection>();
  const broken = new WeakSet<Duplex>();
  let accepted = 0;
  let requests = 0;
  let isClosing = false;
  let isDeliveryShort = false;

  server.on('connection', (socket) => {
    accepted += 1;
    connections.set(socket, open(socket, 0));
    socket.once('close', () => connections.delete(socket));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') return socket.destroy();
    // Node emits the error again for each further chunk.
    if (broken.has(socket)) return;
    broken.add(socket);
    socket.pause();
    const { exchanges = [] } = connections.get(socket) ?? {};
    const unfinished = exchanges.find(({ request }) => !request.complete);
    const pending = exchanges.filter((exchange) => exchange !== unfinished).map(({ response }) => closed(response));
    Promise.all(pending)
      .then(async () => {
        if (!socket.writable) return socket.destroy();
        // The invalid bytes belong to a request that already has a response, such as 413.
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
      const connection = connections.get(socket) ?? open(socket, undefined);
      const { exchanges } = connection;
      exchanges.push({ request, response, serve });
      delivery.limit(response);
      response.on('close', connection.onClose);
      if (isDeliveryShort) response.on('prefinish', shorten);
      if (isClosing) markLast(exchanges);
      if (exchanges.length === 1) serve(request, response);
    },
    closeAfterResponses() {
      isClosing = true;
      for (const { exchanges } of connections.values()) markLast(exchanges);
    },
    shortenDelivery() {
      isDeliveryShort = true;
      for (const { socket, exchanges } of connections.values()) {
        for (const { response } of exchanges) {
          if (response.writableEnded) socket.setTimeout(stalledMs);
          else response.on('prefinish', shorten);
        }
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

  function open(socket: Socket, settledBytes: number | undefined): Connection {
    const connection: Connection = {
      socket,
      exchanges: [],
      settledBytes,
      onClose() {
        end(connection, this);
      },
    };
    return connection;
  }

  function end(connection: Connection, response: ServerResponse): void {
    const { exchanges, socket } = connection;
    const [ended] = exchanges.splice(
      exchanges.findIndex((exchange) => exchange.response === response),
      1,
    );
    connection.settledBytes = ended?.request.complete && exchanges.length === 0 ? socket.bytesRead : undefined;
    const [next] = exchanges;
    // The `clientError` handler refuses an invalid request.
    if (next && socket.writable && (next.request.complete || !broken.has(socket)))
      next.serve(next.request, next.response);
  }
}

/** `node:http` destroys a socket on timeout. */
function shorten(this: ServerResponse): void {
  this.socket?.setTimeout(stalledMs);
}

/** Sets `connection: close` on the last pending response only. On an earlier one it would drop the later ones. */
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
