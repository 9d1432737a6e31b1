import type { Socket } from 'node:net';
import { buildConnector, Client, errors, fetch as fetchOver } from 'undici';

/** The proxy refused the tunnel. */
class ProxyRefusal extends Error {
  readonly code: 'PROXY_DENIED' | 'PROXY_REFUSED';

  constructor(status: number) {
    super(`the proxy responded with ${status}`);
    // Denied: the proxy does not accept the credentials or the host, so the next attempt fails too.
    this.code = [401, 403, 407].includes(status) ? 'PROXY_DENIED' : 'PROXY_REFUSED';
  }
}

/** The connection to the proxy failed. */
class ProxyFailure extends Error {
  readonly code = 'PROXY_FAILED';
}

/** Connections through one proxy. */
export interface Tunnels {
  readonly connect: buildConnector.connector;
  /** Aborts the tunnels that are being opened. Open ones belong to the pool that asked for them. */
  close(): void;
}

/**
 * A connector for undici's pools. Concurrency limit, deadlines and the detection of sent requests work as without a proxy.
 * undici's `ProxyAgent` gives the status of a refusal only as part of a message, has no deadline for the answer to CONNECT,
 * and adds two pools to each request.
 *
 * @param timeoutMs the deadline of a connection: to the proxy, CONNECT, and TLS with the host.
 */
export function createTunnels(proxy: URL, timeoutMs: number): Tunnels {
  const secure = buildConnector({ allowH2: false, timeout: timeoutMs });
  const credentials = credentialsOf(proxy);
  const pending = new Set<(cause: Error) => void>();

  return {
    connect(options, callback) {
      const client = new Client(proxy.origin, { allowH2: false, connect: { timeout: timeoutMs } });
      let tunnel: { destroy(): unknown } | undefined;
      let isSettled = false;
      const settle = (...result: [null, Socket] | [Error, null]): void => {
        if (isSettled) {
          result[1]?.destroy();
          return;
        }
        isSettled = true;
        clearTimeout(timer);
        pending.delete(fail);
        // An open tunnel is detached from this client and stays open.
        client.destroy().catch(() => undefined);
        if (result[0] !== null) tunnel?.destroy();
        callback(...result);
      };
      const fail = (cause: Error): void => settle(cause, null);
      const timer = setTimeout(() => fail(new errors.ConnectTimeoutError('opening the tunnel timed out')), timeoutMs);
      pending.add(fail);

      const authority = `${options.hostname.includes(':') ? `[${options.hostname}]` : options.hostname}:${options.port || '443'}`;
      const headers = { host: authority, ...(credentials !== undefined && { 'proxy-authorization': credentials }) };
      client.connect({ path: authority, headers }, (cause, answer) => {
        if (cause !== null) return fail(failureOf(cause));
        const { statusCode, socket } = answer;
        tunnel = socket.on('error', () => undefined);
        if (isSettled) return void socket.destroy();
        if (statusCode < 200 || statusCode > 299) return fail(new ProxyRefusal(statusCode));
        secure({ ...options, httpSocket: socket as Socket }, settle);
      });
    },
    close() {
      for (const fail of pending) fail(new errors.ClientDestroyedError());
    },
  };
}

/**
 * Wraps a failure of the connection to the proxy. undici would take `UND_ERR_SOCKET` and `ERR_TLS_CERT_ALTNAME_INVALID` for
 * errors of an open connection, keep the request, and connect again without end.
 */
function failureOf(cause: Error): Error {
  return cause instanceof errors.ConnectTimeoutError
    ? cause
    : new ProxyFailure('no connection to the proxy', { cause });
}

/** A `fetch` for rare calls. Each call opens and closes its own connection, through the proxy that `proxyOf` returns. */
export function fetchThrough(
  proxyOf: (address: string) => URL | undefined,
  timeoutMs: number,
): typeof globalThis.fetch {
  return async (input, init) => {
    const { origin, href } = new URL(String(input));
    const proxy = proxyOf(href);
    const tunnels = proxy && createTunnels(proxy, timeoutMs);
    const dispatcher = new Client(origin, { allowH2: false, connect: tunnels?.connect ?? { timeout: timeoutMs } });
    try {
      const response = await fetchOver(href, { ...(init as object), dispatcher });
      // Closes the connection after the body. The reader of the body limits its size.
      dispatcher.close().catch(() => undefined);
      return response as unknown as Response;
    } catch (cause) {
      dispatcher.destroy().catch(() => undefined);
      tunnels?.close();
      throw cause;
    }
  };
}

function credentialsOf({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  return `Basic ${Buffer.from(`${decode(username)}:${decode(password)}`).toString('base64')}`;
}

/** Returns credentials with an invalid percent-encoding unchanged. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
