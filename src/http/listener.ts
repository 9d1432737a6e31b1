import type { IncomingMessage, ServerResponse } from 'node:http';
import { discardRest, sendText } from './raw.ts';
import type { RequestState } from './state.ts';
import type { Yoga } from './yoga.ts';

/** A request of `node:http`, with the properties that a framework may add. */
export type Message = IncomingMessage & {
  /** The request target before the framework removed its mount path from `url`. */
  readonly originalUrl?: string;
  /** The body, if the framework has already read the stream. */
  readonly body?: unknown;
};

/**
 * Answers a request of `node:http` with a handler for the Fetch API. The handler gets a request without a body and reads
 * the stream of `message` itself, within its limits.
 *
 * @param options.url URL of the request that the handler gets.
 * @param options.open opens the handler, which must not reject unless the client has disconnected.
 */
export async function answer(
  message: Message,
  response: ServerResponse,
  {
    url,
    state,
    open,
  }: { readonly url: string; readonly state: RequestState; readonly open: () => Yoga | Promise<Yoga> },
): Promise<void> {
  const gone = new AbortController();
  response.once('finish', () => discardRest(message));
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  try {
    const opened = open();
    const { fetchAPI, fetch } = opened instanceof Promise ? await opened : opened;
    const request = new fetchAPI.Request(url, {
      method: message.method ?? 'GET',
      headers: headersOf(message),
      signal: gone.signal,
    });
    const { status, headers, text } = await read(await fetch(request, { state }));
    // A framework in front of the gateway can have sent a response of its own, such as a timeout.
    if (response.destroyed || response.headersSent) return;
    sendText(response, status, headers, text);
  } catch (error) {
    if (gone.signal.aborted || response.headersSent) response.destroy();
    else throw error;
  }
}

async function read(answered: Response) {
  const headers = [...answered.headers].filter(([name]) => name !== 'content-length').flat();
  return { status: answered.status, headers, text: await answered.text() };
}

/** The headers without the pseudo-headers of HTTP/2. */
function headersOf({ headers }: IncomingMessage): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !name.startsWith(':')) plain[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return plain;
}

/** The body that a framework has already read, as bytes. `undefined` if the stream has not been read. */
export function parsedBody({ body }: Message): Uint8Array | undefined {
  if (body === undefined || body === null) return undefined;
  if (body instanceof Uint8Array) return body;
  if (typeof body === 'string') return Buffer.from(body);
  return typeof body === 'object' && Object.keys(body).length > 0 ? Buffer.from(JSON.stringify(body)) : undefined;
}
