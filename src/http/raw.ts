import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { overloaded, RequestError } from '../errors.ts';
import { errorBody } from '../execution/outcome.ts';

/**
 * Whether the request has a valid `Host` header for its version of HTTP. Routing uses the request target only, never `Host`.
 *
 * @see RFC 9112, section 3.2: 400 for a request of HTTP/1.1 without `Host`, for several of them, and for an invalid one.
 */
export function hasValidHost({ headers: { host }, rawHeaders, httpVersionMajor, httpVersionMinor }: IncomingMessage) {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    if (name.length === 'host'.length && name.toLowerCase() === 'host') count += 1;
  }
  if (count > 1) return false;
  if (host === undefined) return !(httpVersionMajor === 1 && httpVersionMinor === 1);
  return host === '' || URL.canParse(`http://${host}`);
}

/** Sends an error response for a request that does not reach Yoga. The body has the shape of all other errors. */
export function refuseRequest(response: ServerResponse, status: 400 | 417 | 500): void {
  const { body, headers } = refusal(status);
  response.writeHead(status, headers).end(body);
}

/**
 * Bytes above which a response is encoded before it is written. Node keeps a text beside its encoded copy until the client has read it,
 * and counts its characters instead of its bytes: unread responses would exceed their limit.
 */
const maxTextBytes = 16_384;
/** The same for a text of ASCII characters, which counts correctly. Two writes cost 2 % of 50 aliases. */
const maxAsciiBytes = 65_536;

/**
 * Sends a complete response.
 *
 * @param pairs names and values of its headers, alternating. Without `content-length`.
 */
export function sendText(response: ServerResponse, status: number, pairs: string[], body: string): void {
  const bytes = Buffer.byteLength(body);
  const isAscii = bytes === body.length;
  // RFC 9110, section 8.6: not with 204, the response to a preflight.
  if (status !== 204) pairs.push('content-length', String(bytes));
  response.writeHead(status, pairs);
  if (bytes > (isAscii ? maxAsciiBytes : maxTextBytes)) response.end(Buffer.from(body));
  // Head and body go out in one write. A text of ASCII characters needs no conversion.
  else response.end(body, isAscii ? 'latin1' : 'utf8');
}

/**
 * Reads and drops the rest of a request that was answered early. Closing a socket with unread bytes resets the connection,
 * and the client can lose the response. The server's request timeout bounds this.
 */
export function discardRest(request: IncomingMessage): void {
  request.resume();
}

/** Time for a refused client to close the connection after the response. */
const lingerMs = 1_000;

const retryAfterSeconds = 1;

/**
 * Sends an error response on a socket without a parsed request: for invalid HTTP, a timeout, or a request head that is too
 * long.
 *
 * @param error Node's error, or the code `OVERLOADED` for an incomplete request at shutdown.
 */
export function refuseSocket(socket: Duplex, { code }: { code?: string | undefined }): void {
  const [status, reason] = reasons[code ?? ''] ?? [400, 'Bad Request'];
  const { body, headers } = refusal(status);
  const head = Object.entries({ ...headers, connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${reason}\r\n${head.join('')}\r\n${body}`);
  // Keep reading: closing a socket with unread bytes resets it, and the client can lose the response.
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once('close', () => clearTimeout(timer));
}

/** Status and reason phrase by error code. */
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
  return new RequestError('BAD_USER_INPUT', { status, message: 'The request cannot be read.' });
}
