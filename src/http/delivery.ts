import type { ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';

export interface DeliveryLimits {
  /** How long a client may take for an answer, from the moment at which all of it was handed to the socket. */
  readonly timeoutMs: number;
  /** What all answers together may hold that wait longer than `lookMs`. Beyond it their clients are disconnected early. */
  readonly maxBytes: number;
  /** How often an answer that was not taken at once is looked at. */
  readonly lookMs: number;
}

export const deliveryLimits: DeliveryLimits = { timeoutMs: 30_000, maxBytes: 64 * 1024 * 1024, lookMs: 1_000 };

export interface Delivery {
  /** Disconnects the client if it does not take this answer in time. The first limit of a response counts. */
  limit(response: ServerResponse): void;
}

/** A gateway that is mounted in the server of this package is behind two of them. */
const limited = new WeakSet<ServerResponse>();

/** Bounds what clients can hold by not reading their answers: the rest of each answer stays in memory until it is taken. */
export function createDelivery(limits: Partial<DeliveryLimits> = {}): Delivery {
  const { timeoutMs, maxBytes, lookMs } = { ...deliveryLimits, ...limits };
  const waiting = new Set<ServerResponse>();
  let waitingBytes = 0;
  return {
    limit(response) {
      if (limited.has(response)) return;
      limited.add(response);
      response.once('prefinish', () => {
        const bytes = response.socket?.writableLength ?? 0;
        const handedOverAtMs = performance.now();
        waitingBytes += bytes;
        const settle = () => {
          clearInterval(timer);
          if (waiting.delete(response)) waitingBytes -= bytes;
        };
        waiting.add(response);
        const timer = setInterval(
          () => {
            const isLate = performance.now() - handedOverAtMs >= timeoutMs;
            if (!isLate && waitingBytes <= maxBytes) return;
            // At once, not when the socket is closed: one too many must not disconnect all.
            settle();
            response.destroy();
          },
          Math.min(lookMs, timeoutMs),
        ).unref();
        response.once('close', settle);
      });
    },
  };
}
