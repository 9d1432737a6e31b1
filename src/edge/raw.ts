import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { EdgeError, refusalBody } from './outcome.ts';

/** Whether there is an address that can be read: a request names its host, and both together make a URL. */
export function isAddressed({ headers, url = '' }: IncomingMessage): boolean {
  return headers.host !== undefined && URL.canParse(`http://${headers.host || 'localhost'}${url}`);
}

/** Refuses a request that never becomes one of the Fetch API, in the shape of every other refusal. */
export function refuseRequest(response: ServerResponse, status: 400 | 417): void {
  const { body, headers } = refusal(status);
  response.writeHead(status, headers).end(body);
}

/**
 * Takes what still comes in of a request that was answered early. A connection that is closed on unread bytes is reset,
 * and the answer can be lost with it; the server's time limit for a whole request ends it.
 */
export function discardRest(request: IncomingMessage): void {
  // A reader that gave up is still listening, and holds the stream.
  request.removeAllListeners('readable').resume();
}

/** Refuses what is no HTTP, or too slow, or too long for its head, where there is only a socket yet. */
export function refuseSocket(socket: Duplex, { code }: { code?: string | undefined }): void {
  const [status, reason] = reasons[code ?? ''] ?? [400, 'Bad Request'];
  const { body, headers } = refusal(status);
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${reason}\r\n${head.join('')}\r\n${body}`, () => socket.destroy());
}

/** By the code of Node's error. */
const reasons: Partial<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Payload Too Large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
};

function refusal(status: number) {
  const requestId = randomUUID();
  const body = refusalBody(
    new EdgeError('BAD_USER_INPUT', { status, message: 'This is no request that can be read.' }),
    requestId,
  );
  return {
    body,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'content-length': String(Buffer.byteLength(body)),
      'cache-control': 'no-store',
      'x-request-id': requestId,
      connection: 'close',
    },
  };
}
