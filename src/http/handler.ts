import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GraphQLSchema } from 'graphql';

/** Connection data that a `Request` does not contain. The server that mounts the gateway provides it. */
export interface Peer {
  /** Remote address of the socket. The rate limit counts anonymous callers by address. */
  readonly clientAddress?: string | undefined;
}

/** A gateway as a handler for the Fetch API. */
export interface Gateway {
  /** The served schema, federation fields included. Resolvers need the gateway's own context, so execute operations with `fetch`. */
  readonly schema: GraphQLSchema;
  /** Handles one HTTP request. For servers that use the Fetch API. */
  readonly fetch: (request: Request, peer?: Peer) => Promise<Response>;
  /** Releases sockets, timers and watched files. In-flight operations fail; new operations get 503. */
  readonly dispose: () => Promise<void>;
}

export interface NodeGateway extends Gateway {
  /** Handles one request of `node:http`, or of a framework that passes on its request and response. */
  readonly listener: (request: IncomingMessage, response: ServerResponse) => void;
  /**
   * Starts a drain. `/ready` returns 503 at once; new operations get 503 after `delayMs` (default 0). Resolves when no
   * request or write is in flight.
   */
  readonly drain: (delayMs?: number) => Promise<void>;
}
