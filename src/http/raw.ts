import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { overloaded, RequestError } from '../errors.ts';
import { errorBody } from '../execution/outcome.ts';

/**
 * Whether the request has the `Host` that its version of HTTP asks for. The value decides nothing else: the address is
 * the request target alone.
 *
 * @see RFC 9112, section 3.2: 400 for a request of HTTP/1.1 without `Host`, for several of them, and for an invalid one.
 */
export function hasValidHost({ headers: { host }, rawHeaders, httpVersionMajor, httpVersionMinor }: IncomingMessage) {
  const count = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length;
  if (count > 1) return false;
  if (host === undefined) return !(httpVersionMajor === 1 && httpVersionMinor === 1);
  return host === '' || URL.canParse(`http://${host}`);
}

/** Refuses a request that never becomes one of the Fetch API, in the shape of every other refusal. */
export function refuseRequest(response: ServerResponse, status: 400 | 417 | 500): void {
  const { body, headers } = refusal(status);
  response.writeHead(status, headers).end(body);
}

/**
 * Takes what still comes in of a request that was answered early. A connection that is closed on unread bytes is reset,
 * and the answer can be lost with it; the server's time limit for a whole request ends it.
 */
export function discardRest(request: IncomingMessage): void {
  request.resume();
}

/** How long a refused client has to close the connection after it got its answer. */
const lingerMs = 1_000;

const retryAfterSeconds = 1;

/**
 * Refuses what is no HTTP, or too slow, or too long for its head, where there is only a socket yet.
 *
 * @param error with the code of Node's error, or `OVERLOADED` for what has not become a request when the server stops.
 */
export function refuseSocket(socket: Duplex, { code }: { code?: string | undefined }): void {
  const [status, reason] = reasons[code ?? ''] ?? [400, 'Bad Request'];
  const { body, headers } = refusal(status);
  const head = Object.entries({ ...headers, connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${reason}\r\n${head.join('')}\r\n${body}`);
  // Closing a socket that holds unread bytes resets it, and the client can lose the answer.
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once('close', () => clearTimeout(timer));
}

/** By the code of Node's error. */
const reasons: Partial<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Payload Too Large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
  OVERLOADED: [503, 'Service Unavailable'],
};

function refusal(status: number) {
  const requestId = randomUUID();
  const error = refusalOf(status);
  const body = errorBody(error, requestId);
  return {
    body,
    headers: {
      ...error.headers,
      'content-type': 'application/json; charset=utf-8',
      'content-length': String(Buffer.byteLength(body)),
      'cache-control': 'no-store',
      'x-request-id': requestId,
    },
  };
}

function refusalOf(status: number): RequestError {
  if (status === 500) return new RequestError('INTERNAL_SERVER_ERROR', { status });
  if (status === 503) return overloaded(retryAfterSeconds);
  return new RequestError('BAD_USER_INPUT', { status, message: 'This is no request that can be read.' });
}
