import { performance } from 'node:perf_hooks';
import { type Dispatcher, Pool } from 'undici';
import { createSlots, type Waiter } from './slots.ts';
import { createTunnels } from './tunnels.ts';

/** One HTTP call to the provider. */
export interface Call {
  readonly method: 'GET' | 'POST';
  /** Below the base URL, percent-encoded, sent as it stands. */
  readonly path: string;
  /** Keeps all calls about one customer on one of the provider's sites: the path id, percent-encoded. */
  readonly routingId: string;
  /** `application/x-www-form-urlencoded`. */
  readonly form?: string;
}

/** What came back from one attempt. */
export type Exchange =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly headers: Readonly<Record<string, string | string[] | undefined>>;
      /**
       * `null` where it cannot be read: compressed, a success longer than the cap, or cut off (kept for 408, 429
       * and 5xx only). An error longer than the cap has an empty one: its status alone speaks.
       */
      readonly body: Buffer | null;
      /** Where the key alone was refused, so that nothing has happened, and there is another one: that one. */
      readonly otherKey?: Key | undefined;
    }
  | {
      readonly kind: 'failed';
      /** `false`: no connection was made or no byte was written, so the call has surely not happened. */
      readonly sent: boolean;
      readonly timedOut: boolean;
      readonly cause: unknown;
    };

export interface Key {
  reveal(): string;
}

export interface TransportOptions {
  /** Origin, and path prefix where there is one, without a slash at the end. */
  readonly baseUrl: string;
  readonly merchantId: string;
  /** The keys as they are now: while a key rotates, a second one to be tried where the first is refused. */
  readonly keys: () => readonly [Key, ...Key[]];
  /** The `version` header; not sent when absent. */
  readonly version?: string | undefined;
  /** Sockets, and calls at a time. */
  readonly connections: number;
  /** After this many ms a connection that is not there yet is given up. */
  readonly connectTimeoutMs: number;
  /** The proxy to the provider; called directly when absent. */
  readonly proxy?: URL | undefined;
}

export interface Transport {
  /**
   * Makes one attempt. Waits for a free connection first; the attempt starts then, and lasts from connect to last byte.
   * Refused is, too, who waited in vain: nothing was sent, and nothing is counted. `full`: too many calls wait already.
   *
   * @param leftMs how long an attempt that started then may still take. Asked anew when it is over, since somebody with more
   *   time may have joined.
   * @param waiter for whom it waits: connections are shared fairly.
   * @param waitMs how much longer the wait for a free connection may take. Asked anew likewise.
   * @param isRefused asked when there is one, right before the call is sent: whether it must not be after all.
   * @param onExchange told of each call that was not refused, before the connection is free for the next one.
   * @param signal ends the attempt, which counts as failed.
   * @param key to be tried because the other one was refused. The one that is taken comes first from then on.
   */
  send(
    call: Call,
    limits: {
      waiter: Waiter;
      leftMs: (startedAtMs: number) => number;
      waitMs: () => number;
      isRefused: () => boolean;
      onExchange: (exchange: Exchange) => void;
      signal?: AbortSignal;
      key?: Key | undefined;
    },
  ): Promise<Exchange | 'refused' | 'full'>;
  /** Closes all sockets, the busy ones included. */
  close(): Promise<void>;
}

/** Longer bodies are cut off: a customer is about 1 KiB. */
const maxBodyBytes = 1024 * 1024;

/**
 * The provider behind one pool of sockets. `Pool.dispatch` rather than `request()`: it is the cheaper of the two (a GET
 * costs 31–49 µs instead of 50), its handler tells exactly whether a call was sent, and the cap counts what is kept.
 * Redirects are not followed, bodies not inflated, paths not normalised.
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
    // The attempt's own timer is the bound: these two would let a dripping body run on and on.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: tunnels?.connect ?? { timeout: options.connectTimeoutMs },
  });
  const slots = createSlots(options.connections);
  const { keys } = options;
  let preferredKey: Key | undefined;
  /** A key that was replaced since is not used again, neither as the preferred one nor by a repeat. */
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
    async send(call, { waiter, leftMs, waitMs, isRefused, onExchange, signal, key }) {
      const turn = await slots.take(waitMs, signal, waiter);
      if (turn !== 'taken') return turn === 'full' ? 'full' : 'refused';
      try {
        if (isRefused()) return 'refused';
        const used = currentKey(key);
        const exchange = await attempt(pool, request(call, used), leftMs, signal);
        onExchange(exchange);
        if (exchange.kind === 'failed') return exchange;
        if (exchange.status === 401) return { ...exchange, otherKey: keys().find((other) => other !== used) };
        if (key !== undefined) preferredKey = used;
        return exchange;
      } finally {
        slots.release();
      }
    },
    close() {
      const closed = pool.destroy();
      // After it: a pool that is not closed yet would connect again.
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
        // The one place where a key is revealed.
        authorization: `Basic ${Buffer.from(`${current.reveal()}:`).toString('base64')}`,
        'x-routing-id': routingId,
        ...(form !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      body: form ?? null,
    };
  }
}

/** A transport that is opened by its first call: its provider's address is only known then. */
export function late(open: () => Promise<Transport>): Transport {
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
  signal: AbortSignal | undefined,
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
      signal?.removeEventListener('abort', onAbort);
      resolve(exchange);
    };
    const fail = (cause: unknown, timedOut: boolean) => {
      // 408, 429 and 5xx speak for themselves, whatever became of the body.
      if (status === 408 || status === 429 || status >= 500) settle({ kind: 'answered', status, headers, body: null });
      else settle({ kind: 'failed', sent, timedOut, cause });
    };
    const give = (cause: Error, timedOut: boolean) => {
      fail(cause, timedOut);
      controller?.abort(cause);
    };
    const watch = () => {
      const ms = leftMs(startedAtMs);
      if (ms > 0) timer = setTimeout(watch, ms);
      else give(new Error('attempt timed out'), true);
    };
    let timer = setTimeout(watch, Math.max(1, leftMs(startedAtMs)));
    const onAbort = () => give(new Error('nobody waits for the answer'), false);
    if (signal?.aborted) return onAbort();
    signal?.addEventListener('abort', onAbort);

    try {
      pool.dispatch(request, {
        onRequestStart(started) {
          controller = started;
          // Given up while it waited for its connection: stopped here, before the first byte is written.
          if (settled) started.abort(new Error('attempt was given up'));
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
          settle({ kind: 'answered', status, headers, body: status < 300 ? null : Buffer.alloc(0) });
          running.abort(new Error('answer is too long'));
        },
        onResponseEnd() {
          const body = isCompressed(headers) ? null : Buffer.concat(chunks, bytes);
          settle({ kind: 'answered', status, headers, body });
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

/** The registered content codings that compress, and the unregistered ones that servers use. */
const compressions =
  /^(x-)?(gzip|compress|deflate|br|zstd|dcb|dcz|exi|pack200-gzip|aes128gcm|bzip2|lzma|xz|lz4|snappy|zip)$/i;

/**
 * Nothing was asked to be compressed (no `Accept-Encoding` is sent), and nothing is inflated: a bomb stays small. Servers
 * put character sets and other words into this header too: those say nothing about the bytes.
 */
function isCompressed(headers: Readonly<Record<string, string | string[] | undefined>>): boolean {
  const codings = [headers['content-encoding'] ?? []].flat().flatMap((value) => value.split(','));
  return codings.some((coding) => compressions.test(coding.trim()));
}
