import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** One response of HTTP/1.1, parsed from the bytes of a connection. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface Connection {
  readonly socket: Socket;
  /** All complete responses. */
  readonly answers: () => RawAnswer[];
  /** All received bytes, for the messages of failed assertions. */
  readonly text: () => string;
  /** Codes of the errors of the socket. */
  readonly errors: readonly string[];
  readonly closed: Promise<unknown>;
  /** Resolves when this number of responses is complete, or the connection is closed. */
  readonly answered: (count: number) => Promise<void>;
}

/** Opens a connection without a client library, which would hide faults or repeat requests. */
export function openConnection(port: number): Connection {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  const errors: string[] = [];
  socket.on('data', (data) => {
    text += data.toString('latin1');
  });
  socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? 'unknown'));
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const answers = () => parseAnswers(text);
  return {
    socket,
    answers,
    text: () => text,
    errors,
    closed,
    async answered(count) {
      while (answers().length < count && !socket.destroyed) await Promise.race([next(socket), closed]);
    },
  };
}

async function next(socket: Socket): Promise<void> {
  // `openConnection` records the error.
  await once(socket, 'data').catch(() => undefined);
}

function parseAnswers(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = text;
  for (let end = rest.indexOf('\r\n\r\n'); end >= 0; end = rest.indexOf('\r\n\r\n')) {
    const [start = '', ...lines] = rest.slice(0, end).split('\r\n');
    const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(start) ?? [];
    if (status === undefined) throw new Error(`not a response: ${rest.slice(0, 200)}`);
    const headers = new Map(
      lines.map((line) => {
        const [name = '', value = ''] = line.split(/: ?(.*)/s);
        return [name.toLowerCase(), value] as const;
      }),
    );
    const length = Number(headers.get('content-length') ?? 0);
    const body = rest.slice(end + 4, end + 4 + length);
    if (body.length < length) break;
    answers.push({ status: Number(status), headers, body });
    rest = rest.slice(end + 4 + length);
  }
  return answers;
}

export function postRequest(body: string, headers = ''): string {
  return `POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
