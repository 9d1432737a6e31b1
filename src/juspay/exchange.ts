import type { Cancellation } from '../customers/cancellation.ts';
import type { Waiter } from './lanes.ts';

/** One HTTP call to the provider. */
export interface Call {
  readonly method: 'GET' | 'POST';
  /** Relative to the base URL, percent-encoded. Sent unchanged. */
  readonly path: string;
  /** The path id, percent-encoded. Routes all calls about one customer to the same site of the provider. */
  readonly routingId: string;
  /** `application/x-www-form-urlencoded`. */
  readonly form?: string;
  /** Whether the call requests a client auth token. */
  readonly withToken: boolean;
}

/** A response of the provider, successful or not. */
export interface UpstreamResponse {
  readonly kind: 'response';
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /**
   * `null` if it cannot be read: a compressed body, a success longer than the limit, or a truncated body of a response that does not
   * need one (`isStatusEnough`). Empty for an error longer than the limit.
   */
  readonly body: Buffer | null;
  /** After a 401: the other key, if there is one. Nothing was changed. */
  readonly otherKey?: Key | undefined;
}

/** The result of one attempt. */
export type Exchange =
  | UpstreamResponse
  | {
      readonly kind: 'failure';
      /** `false`: no byte of the request was written, so the call has no effect. */
      readonly sent: boolean;
      readonly timedOut: boolean;
      readonly cause: unknown;
    };

export interface Key {
  reveal(): string;
}

/** One attempt of a call, with the callbacks of the transport. No method may throw. */
export interface Sending {
  readonly call: Call;
  /** The caller and operation that wait. Connections are shared fairly between them. */
  readonly waiter: Waiter;
  /**
   * Cancels the wait for a connection, and a GET in progress. A POST that was sent is not cancelled, because it may already have taken
   * effect.
   */
  readonly cancellation: Cancellation;
  /** The key to use because the other one was refused. If it is accepted, it becomes the preferred key. */
  readonly key: Key | undefined;
  /**
   * Returns when an attempt that started at `startedAtMs` ends, in ms on the clock of `performance.now()`. Called again at that time,
   * because a caller with a later deadline may have joined.
   */
  endsAtMs(startedAtMs: number): number;
  /** When the wait for a free connection ends. Read again like `endsAtMs`. */
  readonly waitsUntilMs: number;
  /** Called when a connection is free, right before the call is sent. `true` prevents the call. */
  isRefused(): boolean;
  /** Called with the result of each call that was sent, before the connection is released. */
  onExchange(exchange: Exchange): void;
  /**
   * Called at the end. `refused`: `isRefused` returned `true`, or the wait ended without a connection. `full`: too many calls wait.
   * In both cases nothing was sent.
   */
  onEnd(result: Exchange | 'refused' | 'full'): void;
  /** Called instead of `onEnd` after an unexpected error. */
  onFault(cause: unknown): void;
}

export interface Transport {
  /** Makes one attempt. Waits for a free connection first. The time of the attempt starts then and ends with the last byte. */
  send(sending: Sending): void;
  /** Closes all sockets, including those in use. */
  close(): Promise<void>;
}
