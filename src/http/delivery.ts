import type { ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';

export interface DeliveryLimits {
  /** Time limit for reading a response, from when its last byte is written to the socket. */
  readonly timeoutMs: number;
  /** Limit of bytes that all unread responses hold together. Beyond it, clients are disconnected before `timeoutMs`. */
  readonly maxBytes: number;
  /** Interval of the checks. */
  readonly checkIntervalMs: number;
}

export const deliveryLimits: DeliveryLimits = { timeoutMs: 30_000, maxBytes: 64 * 1024 * 1024, checkIntervalMs: 1_000 };

export interface Delivery {
  /** Disconnects the client if it does not read this response in time. Further calls for the same response do nothing. */
  limit(response: ServerResponse): void;
}

/** Marks a response that is limited: `startServer` and the gateway's listener both limit the same one. */
const isLimited = Symbol('isLimited');

/** Limits time and memory of responses that clients do not read. An unread response stays in memory. */
export function createDelivery(limits: Partial<DeliveryLimits> = {}): Delivery {
  const { timeoutMs, maxBytes, checkIntervalMs } = { ...deliveryLimits, ...limits };
  const waiting = new Set<ServerResponse>();
  let waitingBytes = 0;
  return {
    limit(response: ServerResponse & { [isLimited]?: true }) {
      if (response[isLimited]) return;
      response[isLimited] = true;
      response.on('prefinish', onWritten);
    },
  };

  /** The last byte of the response is written to the socket. Nothing is left to limit if the system has taken all of them. */
  function onWritten(this: ServerResponse): void {
    const bytes = this.socket?.writableLength ?? 0;
    if (bytes > 0) watch(this, bytes);
  }

  function watch(response: ServerResponse, bytes: number): void {
    const writtenAtMs = performance.now();
    waitingBytes += bytes;
    const settle = () => {
      clearInterval(timer);
      if (waiting.delete(response)) waitingBytes -= bytes;
    };
    waiting.add(response);
    const timer = setInterval(
      () => {
        const isLate = performance.now() - writtenAtMs >= timeoutMs;
        if (!isLate && waitingBytes <= maxBytes) return;
        // Subtract the bytes now, not on `close`: otherwise one excess response would disconnect all clients.
        settle();
        response.destroy();
      },
      Math.min(checkIntervalMs, timeoutMs),
    ).unref();
    response.once('close', settle);
  }
}
