import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What the network does to one request. */
const meanings = {
  reset: 'the connection is reset, and the request does not arrive',
  close: 'the connection is closed while the request is sent, as an idle one is',
  half: 'half of the request arrives',
  lost: 'the answer is lost',
  cut: 'half of the answer arrives',
  early: 'the connection is reset while the gateway executes the request',
  late: 'the connection is reset, and the request arrives later, possibly after its repeat',
  slow: 'request and answer are delayed',
} as const;
export type NetworkFault = keyof typeof meanings;
const names = Object.keys(meanings) as NetworkFault[];

export interface Network {
  readonly port: number;
  /** Requests by their fault. `none`: without one. */
  readonly counts: Readonly<Record<NetworkFault | 'none', number>>;
  /** From now on, nothing fails. */
  heal(): void;
  /** Resolves when no request is on its way to the gateway and no answer is due. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

const maxSlowMs = 10;
const maxLateMs = 40;

/**
 * Opens a TCP port in front of another one.
 *
 * @param options.share the share of requests with a fault.
 */
export async function openNetwork(
  port: number,
  {
    random,
    share,
    faults = names,
  }: { random: () => number; share: number; faults?: readonly NetworkFault[] | undefined },
): Promise<Network> {
  const counts = { none: 0, ...Object.fromEntries(names.map((name) => [name, 0])) } as Record<
    NetworkFault | 'none',
    number
  >;
  const sockets = new Set<Socket>();
  let left = share;
  /** Requests that were or will be forwarded and have no answer yet. */
  let due = 0;
  const idle = new Set<() => void>();
  const settle = () => {
    due -= 1;
    if (due > 0) return;
    for (const resolve of idle) resolve();
    idle.clear();
  };

  const server = createServer({ noDelay: true }, (client) => {
    const gateway = connect({ port, host: '127.0.0.1', noDelay: true });
    for (const socket of [client, gateway]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    /** The answers that are due on this connection. */
    const answers: (NetworkFault | 'none')[] = [];
    let isForwarding = false;
    gateway.on('close', () => {
      client.destroySoon();
      for (const _ of answers.splice(0)) settle();
    });
    // A client that leaves, as one with a time limit does, is seen by the gateway.
    client.on('close', () => {
      if (!isForwarding) gateway.destroy();
    });
    let received = Buffer.alloc(0);
    client.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (isComplete(received)) {
        const length = lengthOf(received);
        begin(received.subarray(0, length));
        received = received.subarray(length);
      }
    });

    function begin(request: Buffer): void {
      // Health checks of proxies are no operations.
      const isOperation = request.toString('latin1', 0, 5) === 'POST ';
      const fault = isOperation && random() < left ? (faults[Math.floor(random() * faults.length)] ?? 'none') : 'none';
      if (isOperation) counts[fault] += 1;
      if (fault === 'reset') client.resetAndDestroy();
      else if (fault === 'close') client.destroySoon();
      else if (fault === 'half') {
        gateway.write(request.subarray(0, Math.floor(request.length / 2)));
        client.resetAndDestroy();
      } else forward(request, fault);
    }

    function forward(request: Buffer, fault: NetworkFault | 'none'): void {
      // The gateway has already closed its connection, so no answer is due.
      if (gateway.closed) return;
      due += 1;
      answers.push(fault);
      const send = () => {
        if (gateway.destroyed) return;
        gateway.write(request);
      };
      if (fault === 'early' || fault === 'late') {
        isForwarding = true;
        client.resetAndDestroy();
      }
      const afterMs = fault === 'late' ? random() * maxLateMs : fault === 'slow' ? random() * maxSlowMs : 0;
      if (afterMs > 0) setTimeout(send, afterMs);
      else send();
    }

    let isAnswering: NetworkFault | 'none' | undefined;
    gateway.on('data', (chunk: Buffer) => {
      if (chunk.toString('latin1', 0, 5) === 'HTTP/') {
        isAnswering = answers.shift();
        settle();
      }
      switch (isAnswering) {
        case 'lost':
          gateway.destroy();
          client.resetAndDestroy();
          break;
        case 'cut':
          client.write(chunk.subarray(0, Math.floor(chunk.length / 2)));
          client.destroySoon();
          gateway.destroy();
          break;
        case 'early':
        case 'late':
          gateway.destroy();
          break;
        case 'slow':
          setTimeout(() => client.write(chunk), random() * maxSlowMs);
          break;
        default:
          client.write(chunk);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    counts,
    heal() {
      left = 0;
    },
    settled: () => (due === 0 ? Promise.resolve() : new Promise((resolve) => idle.add(resolve))),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const headEnd = '\r\n\r\n';

/** The bytes of the first request. Requests have `content-length`. */
function lengthOf(bytes: Buffer): number {
  const end = bytes.indexOf(headEnd);
  const [, length = '0'] = /\r\ncontent-length: *(\d+)/i.exec(bytes.toString('latin1', 0, end)) ?? [];
  return end + headEnd.length + Number(length);
}

function isComplete(bytes: Buffer): boolean {
  return bytes.includes(headEnd) && bytes.length >= lengthOf(bytes);
}
