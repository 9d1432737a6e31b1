import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GraphQLSchema } from 'graphql';

/** What the server around a mounted gateway knows, and a `Request` does not tell. */
export interface Peer {
  /** The address at the other end of the socket: anonymous callers are counted by it. */
  readonly clientAddress?: string | undefined;
}

/** What a gateway is to those who mount it, in types that drag no server library along. */
export interface Gateway {
  /** What is served, routers' fields included. Its resolvers run in a context of this gateway's own: execute with `fetch`. */
  readonly schema: GraphQLSchema;
  /** One HTTP request, one answer: to mount in any server that speaks fetch. */
  readonly fetch: (request: Request, peer?: Peer) => Promise<Response>;
  /** Releases sockets, timers and watched files. What still runs fails, new operations answer 503. */
  readonly dispose: () => Promise<void>;
}

export interface NodeGateway extends Gateway {
  /** The same as `fetch` for `node:http`, and for frameworks that hand out its request and response. */
  readonly listener: (request: IncomingMessage, response: ServerResponse) => void;
  /**
   * From now on `/ready` answers 503, after `delayMs` (default 0) new operations do so too. Resolves when the last request
   * in flight was answered.
   */
  readonly drain: (delayMs?: number) => Promise<void>;
}
