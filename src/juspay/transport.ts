import { performance } from 'node:perf_hooks';
import { type Dispatcher, Pool } from 'undici';
import type { Cancellation } from '../customers/cancellation.ts';
import { createSlots, type Waiter } from './slots.ts';
import { createTunnels } from './tunnels.ts';

/** One HTTP call to the provider. */
export interface Call {
  readonly method: 'GET' | 'POST';
  /** Relative to the base URL, percent-encoded. Sent unchanged. */
  readonly path: string;
  /** The path id, percent-encoded. Routes all calls about one customer to the same site of the provider. */
  readonly routingId: string;
  /** `application/x-www-form-urlencoded`. */
  readonly form?: string;
}

/** The result of one attempt. */
export type Exchange =
  | {
      readonly kind: 'response';
      readonly status: number;
      readonly headers: Readonly<Record<string, string | string[] | undefined>>;
      /**
       * `null` if it cannot be read: a compressed body, a success longer than the limit, or a truncated body of a 408, 429 or
       * 5xx. Empty for an error longer than the limit.
       */
      readonly body: Buffer | null;
      /** After a 401: the other key, if there is one. Nothing was changed. */
      readonly otherKey?: Key | undefined;
    }
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

export interface TransportOptions {
  /** Origin and optional path prefix, without a trailing slash. */
  readonly baseUrl: string;
  readonly merchantId: string;
  /** Returns the current keys. During a key rotation the second one is tried if the first is refused. */
  readonly keys: () => readonly [Key, ...Key[]];
  /** The `version` header. Not sent if absent. */
  readonly version?: string | undefined;
  /** Maximum number of sockets and of concurrent calls. */
  readonly connections: number;
  /** Timeout in ms for opening a connection. */
  readonly connectTimeoutMs: number;
  /** The proxy to the provider. The connection is direct if absent. */
  readonly proxy?: URL | undefined;
}

export interface Transport {
  /**
   * Makes one attempt. Waits for a free connection first. The time of the attempt starts then and ends with the last byte.
   *
   * @param limits.waiter the caller and operation that wait. Connections are shared fairly between them.
   * @param limits.leftMs returns the remaining time in ms of an attempt that started at `startedAtMs`. Called again when this
   *   time is over, because a caller with a later deadline may have joined.
   * @param limits.waitMs returns the remaining time in ms to wait for a free connection. Called again like `leftMs`.
   * @param limits.isRefused called when a connection is free, right before the call is sent. `true` prevents the call.
   * @param limits.onExchange called with the result of each call that was sent, before the connection is released.
   * @param limits.cancellation aborts the attempt. It counts as failed.
   * @param limits.key the key to use because the other one was refused. If it is accepted, it becomes the preferred key.
   * @returns `refused` if `isRefused` returned `true`, or if the wait ended without a connection; `full` if too many calls wait.
   *   In both cases nothing was sent.
   */
  send(
    call: Call,
    limits: {
      waiter: Waiter;
      leftMs: (startedAtMs: number) => number;
      waitMs: () => number;
      isRefused: () => boolean;
      onExchange: (exchange: Exchange) => void;
      cancellation?: Cancellation;
      key?: Key | undefined;
    },
  ): Promise<Exchange | 'refused' | 'full'>;
  /** Closes all sockets, including those in use. */
  close(): Promise<void>;
}

/** Limit of a response body. A customer has about 1 KiB. */
const maxBodyBytes = 1024 * 1024;

/**
 * Calls the provider over one pool of sockets. Uses `Pool.dispatch` instead of `request()`: it costs less (31–49 µs for a GET
 * instead of 50), its handler knows exactly whether a call was sent, and the size limit applies to the buffered bytes. Does not
 * follow redirects, decompress bodies or normalise paths.
 */
export function createTransport(options: TransportOptions): Transport {
  const base = new URL(options.baseUrl);
  const pathPrefix = base.pathname.replace(/\/+$/, '');
  const tunnels = options.proxy && createTunnels(options.proxy, options.connectTimeoutMs);
  const pool = new Pool(base.origin, {
    connections: options.connections,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: 4_000,
    // The timer of the attempt bounds both. undici's timeouts restart with each byte of a slow body.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: tunnels?.connect ?? { timeout: options.connectTimeoutMs },
  });
  const slots = createSlots(options.connections);
  const { keys } = options;
  let preferredKey: Key | undefined;
  /** Returns the wanted key, or else the preferred one, unless it was replaced in the meantime. */
  const currentKey = (wanted: Key | undefined): Key => {
    const [first, ...others] = keys();
    return [first, ...others].find((key) => key === (wanted ?? preferredKey)) ?? first;
  };
  const headers = {
    accept: 'application/json',
    'x-merchantid': options.merchantId,
    ...(options.version !== undefined && { version: options.version }),
  };

  return {
    async send(call, { waiter, leftMs, waitMs, isRefused, onExchange, cancellation, key }) {
      const turn = await slots.take(waitMs, cancellation, waiter);
      if (turn !== 'taken') return turn === 'full' ? 'full' : 'refused';
      try {
        if (isRefused()) return 'refused';
        const used = currentKey(key);
        const exchange = await attempt(pool, request(call, used), leftMs, cancellation);
        onExchange(exchange);
        if (exchange.kind === 'failure') return exchange;
        if (exchange.status === 401) return { ...exchange, otherKey: keys().find((other) => other !== used) };
        if (key !== undefined) preferredKey = used;
        return exchange;
      } finally {
        slots.release();
      }
    },
    close() {
      const closed = pool.destroy();
      // Close the tunnels after the pool: an open pool would connect again.
      tunnels?.close();
      return closed;
    },
  };

  function request({ method, path, routingId, form }: Call, current: Key): Dispatcher.DispatchOptions {
    return {
      method,
      path: pathPrefix + path,
      headers: {
        ...headers,
        // The only place that reveals a key.
        authorization: `Basic ${Buffer.from(`${current.reveal()}:`).toString('base64')}`,
        'x-routing-id': routingId,
        ...(form !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      body: form ?? null,
    };
  }
}

/** Opens the transport at its first call, when the provider's address is known. */
export function lazyTransport(open: () => Promise<Transport>): Transport {
  let opening: Promise<Transport> | undefined;
  return {
    async send(call, limits) {
      opening ??= open();
      return (await opening).send(call, limits);
    },
    close: async () => (await opening)?.close(),
  };
}

function attempt(
  pool: Pool,
  request: Dispatcher.DispatchOptions,
  leftMs: (startedAtMs: number) => number,
  cancellation: Cancellation | undefined,
): Promise<Exchange> {
  const startedAtMs = performance.now();
  return new Promise((resolve) => {
    let controller: Dispatcher.DispatchController | undefined;
    let sent = false;
    let settled = false;
    let status = 0;
    let headers: Record<string, string | string[] | undefined> = {};
    let chunks: Buffer[] = [];
    let bytes = 0;

    const settle = (exchange: Exchange) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      cancellation?.remove(listener);
      resolve(exchange);
    };
    const fail = (cause: unknown, timedOut: boolean) => {
      // The status decides for 408, 429 and 5xx. A truncated body does not matter.
      if (status === 408 || status === 429 || status >= 500) settle({ kind: 'response', status, headers, body: null });
      else settle({ kind: 'failure', sent, timedOut, cause });
    };
    const abort = (cause: Error, timedOut: boolean) => {
      fail(cause, timedOut);
      controller?.abort(cause);
    };
    const watch = () => {
      const ms = leftMs(startedAtMs);
      if (ms > 0) timer = setTimeout(watch, ms);
      else abort(new Error('attempt timed out'), true);
    };
    let timer = setTimeout(watch, Math.max(1, leftMs(startedAtMs)));
    const onCancel = () => abort(new Error('the operation was cancelled'), false);
    const listener = { onCancel };
    if (cancellation?.isCancelled) return onCancel();
    cancellation?.add(listener);

    try {
      pool.dispatch(request, {
        onRequestStart(started) {
          controller = started;
          // The attempt ended while it waited for its connection. Abort before the first byte is written.
          if (settled) started.abort(new Error('attempt was aborted'));
          else sent = true;
        },
        onResponseStart(_controller, statusCode, received) {
          if (statusCode < 200) return;
          status = statusCode;
          headers = received;
        },
        onResponseData(running, chunk) {
          bytes += chunk.length;
          if (bytes <= maxBodyBytes) {
            chunks.push(chunk);
            return;
          }
          chunks = [];
          settle({ kind: 'response', status, headers, body: status < 300 ? null : Buffer.alloc(0) });
          running.abort(new Error('response body is too long'));
        },
        onResponseEnd() {
          const body = isCompressed(headers) ? null : Buffer.concat(chunks, bytes);
          settle({ kind: 'response', status, headers, body });
        },
        onResponseError(_controller, cause) {
          fail(cause, (cause as { code?: unknown }).code === 'UND_ERR_CONNECT_TIMEOUT');
        },
      });
    } catch (cause) {
      fail(cause, false);
    }
  });
}

/** The registered content codings that compress, and common unregistered ones. */
const compressions =
  /^(x-)?(gzip|compress|deflate|br|zstd|dcb|dcz|exi|pack200-gzip|aes128gcm|bzip2|lzma|xz|lz4|snappy|zip)$/i;

/**
 * Whether the body is compressed. The gateway sends no `Accept-Encoding` and never decompresses, which rules out decompression
 * bombs. Some servers put character sets and other words into `Content-Encoding`; those are ignored.
 */
function isCompressed(headers: Readonly<Record<string, string | string[] | undefined>>): boolean {
  const codings = [headers['content-encoding'] ?? []].flat().flatMap((value) => value.split(','));
  return codings.some((coding) => compressions.test(coding.trim()));
}
