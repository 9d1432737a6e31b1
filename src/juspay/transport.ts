import { buildConnector, Client } from 'undici';
import type { Deadlines } from '../customers/deadlines.ts';
import { Attempt, type AttemptParts } from './attempt.ts';
import type { Key, Transport } from './exchange.ts';
import { createLanes } from './lanes.ts';
import { createTunnels } from './tunnels.ts';

export interface TransportOptions {
  /** Origin and optional path prefix, without a trailing slash. */
  readonly baseUrl: string;
  readonly merchantId: string;
  /** Returns the current keys. During a key rotation the second one is tried if the first is refused. */
  readonly keys: () => readonly [Key, ...Key[]];
  /** The `version` header. Not sent if absent. */
  readonly version?: string | undefined;
  /** Maximum number of sockets and of concurrent calls. */
  readonly connections: number;
  /** Timeout in ms for opening a connection. */
  readonly connectTimeoutMs: number;
  readonly deadlines: Deadlines;
  /** The proxy to the provider. The connection is direct if absent. */
  readonly proxy?: URL | undefined;
}

/**
 * Calls the provider over one undici client for each connection. A pool would search its clients for each call, and its queue is not
 * used: waiting there takes from the attempt's time, and a call cannot leave it. Does not follow redirects, decompress bodies or
 * normalise paths.
 */
export function createTransport(options: TransportOptions): Transport {
  const base = new URL(options.baseUrl);
  const pathPrefix = base.pathname.replace(/\/+$/, '');
  const tunnels = options.proxy && createTunnels(options.proxy, options.connectTimeoutMs);
  // One connector, so that all connections share the TLS sessions.
  const connect = tunnels?.connect ?? buildConnector({ allowH2: false, timeout: options.connectTimeoutMs });
  const clients: Client[] = [];
  let closing: Promise<void> | undefined;
  const lanes = createLanes(options.connections, openClient, options.deadlines);
  const { keys } = options;
  let preferredKey: Key | undefined;
  const headersByKey = new WeakMap<Key, readonly string[]>();

  const parts: AttemptParts = {
    lanes,
    deadlines: options.deadlines,
    keyFor(wanted) {
      const current = keys();
      const key = wanted ?? preferredKey;
      // The key may have been replaced in the meantime.
      return key !== undefined && current.includes(key) ? key : current[0];
    },
    requestOf: ({ method, path, routingId, form }, key) => ({
      method,
      path: pathPrefix + path,
      headers: headersOf(key, routingId, form !== undefined),
      body: form ?? null,
    }),
    onResponse(response, used, wanted) {
      if (response.status === 401) return { ...response, otherKey: keys().find((other) => other !== used) };
      if (wanted !== undefined) preferredKey = used;
      return response;
    },
  };

  return {
    send: (sending) => lanes.take(new Attempt(sending, parts)),
    close() {
      closing ??= Promise.all(clients.map((client) => client.destroy())).then(() => undefined);
      // Close the tunnels after the clients: an open client would connect again.
      tunnels?.close();
      return closing;
    },
  };

  function headersOf(key: Key, routingId: string, hasForm: boolean): string[] {
    let fixed = headersByKey.get(key);
    if (fixed === undefined) {
      const { merchantId, version } = options;
      // The only place that reveals a key for requests of callers. `customer-gateway doctor` reveals it for its own.
      const authorization = `Basic ${Buffer.from(`${key.reveal()}:`).toString('base64')}`;
      fixed = ['accept', 'application/json', 'x-merchantid', merchantId];
      fixed = [...fixed, ...(version === undefined ? [] : ['version', version]), 'authorization', authorization];
      headersByKey.set(key, fixed);
    }
    const headers = [...fixed, 'x-routing-id', routingId];
    if (hasForm) headers.push('content-type', 'application/x-www-form-urlencoded');
    return headers;
  }

  function openClient(): Client {
    const client = new Client(base.origin, {
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: 4_000,
      // The deadline of the attempt bounds both. undici's timeouts restart with each byte of a slow body.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect,
    });
    clients.push(client);
    if (closing !== undefined) client.destroy().catch(() => undefined);
    return client;
  }
}

/** Opens the transport at its first call, when the provider's address is known. */
export function lazyTransport(open: () => Promise<Transport>): Transport {
  let opening: Promise<Transport> | undefined;
  return {
    send(sending) {
      opening ??= open();
      opening.then(
        (transport) => transport.send(sending),
        (cause) => sending.onFault(cause),
      );
    },
    close: async () => (await opening)?.close(),
  };
}
