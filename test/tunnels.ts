import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer } from 'node:tls';
import type { Certificate } from './certificates.ts';

/** A forward proxy. */
export interface ForwardProxy {
  /** Host and port. */
  readonly address: string;
  /** The requested tunnels: the host, and the credentials if there are any. */
  readonly requested: readonly string[];
  /** Resolves when no connection is open. */
  closed(): Promise<void>;
}

/** The reaction to a CONNECT: an error status, no response, a closed connection, or a tunnel to this local port. */
export type Behaviour = { status: number } | 'hang' | 'close' | { port: number };

export async function withProxy(
  behave: () => Behaviour,
  run: (proxy: ForwardProxy) => Promise<void>,
  certificate?: Certificate,
): Promise<void> {
  const requested: string[] = [];
  const open = new Set<Socket>();
  const server: Server = certificate ? createSecureServer(certificate) : createServer();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => undefined).once('close', () => open.delete(socket));
  });
  server.on('connect', (request, socket: Duplex, head: Buffer) => {
    requested.push(`${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
    socket.on('error', () => undefined);
    const behaviour = behave();
    // Reading is necessary to detect the end of the connection.
    if (behaviour === 'hang') return void socket.resume().once('end', () => socket.destroy());
    if (behaviour === 'close') return void socket.destroy();
    if ('status' in behaviour) {
      socket.end(`HTTP/1.1 ${behaviour.status} Refused\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const onward = connect(behaviour.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    onward.on('error', () => socket.destroy()).once('close', () => socket.destroy());
    socket.once('close', () => onward.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await run({
      address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
      requested,
      async closed() {
        await Promise.all([...open].map((socket) => once(socket, 'close')));
      },
    });
  } finally {
    for (const socket of open) socket.destroy();
    server.close();
  }
}

/** Terminates TLS and forwards the bytes to another local port. `passes` decides whether a request is forwarded. */
export async function withTls(
  certificate: Certificate,
  onward: { port: () => number; passes?: (received: string) => boolean },
  run: (port: number, received: readonly string[]) => Promise<void>,
): Promise<void> {
  const received: string[] = [];
  const sockets = new Set<Socket>();
  const server = createTlsServer(certificate, (socket) => {
    sockets.add(socket);
    const inner = connect(onward.port(), '127.0.0.1');
    inner.on('error', () => socket.destroy()).once('close', () => socket.destroy());
    socket.on('error', () => undefined).once('close', () => inner.destroy());
    socket.on('data', (bytes) => {
      const text = bytes.toString('latin1');
      received.push(text);
      if (onward.passes?.(text) ?? true) inner.write(bytes);
      else socket.destroy();
    });
    inner.pipe(socket);
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await run((server.address() as AddressInfo).port, received);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}
