import type { IncomingMessage } from 'node:http';
import { performance } from 'node:perf_hooks';
import { overloaded, RequestError } from '../errors.ts';

/** Limits for incomplete request bodies. `maxCount` and `maxBytes` apply to all of them together. */
export interface BodyLimits {
  readonly maxCount: number;
  readonly maxBytes: number;
  /** Time limit of one body. */
  readonly timeoutMs: number;
}

const defaults: BodyLimits = { maxCount: 4_096, maxBytes: 64 * 1024 * 1024, timeoutMs: 10_000 };

/** Initial buffer size. The buffer doubles when it is full. */
const firstBufferBytes = 4_096;
const retryAfterSeconds = 1;

/** Gets the result of reading one body: exactly one call. */
export interface BodyReceiver {
  onBody(bytes: Uint8Array): void;
  /** @param error a RequestError. */
  onBodyFailed(error: unknown): void;
}

export interface Bodies {
  /**
   * Reads a request body completely.
   *
   * @throws RequestError 413 for more than `maxBytes`, 408 after {@link BodyLimits.timeoutMs}, 400 if the client disconnects,
   *   503 `OVERLOADED` if too many bodies are incomplete and this one is the oldest.
   */
  read(source: IncomingMessage | ReadableStream<Uint8Array>, maxBytes: number): Promise<Uint8Array>;
  /** Opens a body whose source calls `add`, `end` and `fail`. The receiver gets the results and errors of `read`. */
  open(receiver: BodyReceiver, maxBytes: number): Body;
}

/** A body that is being read. */
export interface Body {
  add(chunk: Uint8Array): void;
  end(): void;
  /** The client has disconnected. */
  fail(): void;
}

/**
 * Limits number, bytes and time of incomplete bodies, against slow senders. When a limit is reached, the oldest incomplete
 * body is refused, not the newest: normal clients send a body within milliseconds, so the oldest one belongs to a slow sender.
 */
export function createBodies(limits: BodyLimits = defaults): Bodies {
  const incomplete = new IncompleteBodies(limits);
  return {
    open: (receiver, maxBytes) => incomplete.open(receiver, maxBytes),
    read: (source, maxBytes) =>
      new Promise((resolve, reject) => {
        let stop: () => void = () => undefined;
        const body = incomplete.open(
          {
            onBody(bytes) {
              stop();
              resolve(bytes);
            },
            onBodyFailed(error) {
              stop();
              reject(error);
            },
          },
          maxBytes,
        );
        if (body.isIncomplete) stop = 'getReader' in source ? readStream(source, body) : readMessage(source, body);
      }),
  };
}

/**
 * The incomplete bodies in order of arrival: a list that the bodies themselves link, because each request adds and removes one.
 * One timer serves all of them, because all have the same time limit.
 */
class IncompleteBodies {
  readonly limits: BodyLimits;
  bytes = 0;
  #count = 0;
  #oldest: LimitedBody | undefined;
  #newest: LimitedBody | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: BodyLimits) {
    this.limits = limits;
  }

  open(receiver: BodyReceiver, maxBytes: number): LimitedBody {
    const body = new LimitedBody(this, receiver, maxBytes);
    if (this.#newest === undefined) this.#oldest = body;
    else this.#newest.next = body;
    body.previous = this.#newest;
    this.#newest = body;
    this.#count += 1;
    this.#timer ??= setTimeout(() => this.#refuseLate(), this.limits.timeoutMs);
    if (this.#count === 1) this.#timer.ref();
    if (this.#count > this.limits.maxCount) this.#oldest?.refuse(overloaded(retryAfterSeconds));
    return body;
  }

  remove(body: LimitedBody): void {
    const { previous, next } = body;
    if (previous === undefined) this.#oldest = next;
    else previous.next = next;
    if (next === undefined) this.#newest = previous;
    else next.previous = previous;
    body.previous = undefined;
    body.next = undefined;
    this.#count -= 1;
    // The timer stays for the next body. It must not keep an otherwise finished process alive.
    if (this.#count === 0) this.#timer?.unref();
  }

  /** Refuses the oldest bodies until all together are within the limit. One body of the maximum size always fits. */
  limitBytes(maxBodyBytes: number): void {
    const most = Math.max(this.limits.maxBytes, maxBodyBytes);
    while (this.bytes > most && this.#oldest !== undefined) this.#oldest.refuse(overloaded(retryAfterSeconds));
  }

  #refuseLate(): void {
    const { timeoutMs } = this.limits;
    this.#timer = undefined;
    while (this.#oldest !== undefined) {
      const leftMs = this.#oldest.startedAtMs + timeoutMs - performance.now();
      if (leftMs > 0) {
        this.#timer = setTimeout(() => this.#refuseLate(), Math.ceil(leftMs));
        return;
      }
      this.#oldest.refuse(tooSlow());
    }
  }
}

class LimitedBody implements Body {
  readonly startedAtMs = performance.now();
  previous: LimitedBody | undefined;
  next: LimitedBody | undefined;
  readonly #list: IncompleteBodies;
  readonly #maxBytes: number;
  /** `undefined` after the end. */
  #receiver: BodyReceiver | undefined;
  /** The only chunk so far. Most bodies have one, which is not copied. */
  #chunk: Uint8Array | undefined;
  #buffer: Buffer | undefined;
  #length = 0;
  /** Bytes of memory. */
  #held = 0;

  constructor(list: IncompleteBodies, receiver: BodyReceiver, maxBytes: number) {
    this.#list = list;
    this.#receiver = receiver;
    this.#maxBytes = maxBytes;
  }

  get isIncomplete(): boolean {
    return this.#receiver !== undefined;
  }

  add(chunk: Uint8Array): void {
    if (this.#receiver === undefined) return;
    const length = this.#length + chunk.byteLength;
    if (length > this.#maxBytes) return this.refuse(tooLong(this.#maxBytes));
    if (this.#length === 0) {
      this.#chunk = chunk;
      this.#hold(chunk.byteLength);
    } else {
      this.#append(chunk, length);
    }
    this.#length = length;
  }

  end(): void {
    const bytes = this.#chunk ?? this.#buffer?.subarray(0, this.#length) ?? Buffer.alloc(0);
    this.#settle()?.onBody(bytes);
  }

  fail(): void {
    // Called at the end of each request. An error with its stack would take 5 % of the time of a read.
    if (this.#receiver !== undefined) this.refuse(endedEarly());
  }

  refuse(error: RequestError): void {
    this.#settle()?.onBodyFailed(error);
  }

  /** Copies into one buffer: a body sent byte by byte would otherwise keep thousands of chunks. */
  #append(chunk: Uint8Array, length: number): void {
    let buffer = this.#buffer;
    if (buffer === undefined || length > buffer.byteLength) {
      const size = Math.max(length, (buffer?.byteLength ?? 0) * 2, firstBufferBytes);
      buffer = Buffer.allocUnsafeSlow(Math.min(this.#maxBytes, size));
      buffer.set(this.#chunk ?? this.#buffer?.subarray(0, this.#length) ?? []);
      this.#chunk = undefined;
      this.#buffer = buffer;
      this.#hold(buffer.byteLength - this.#held);
    }
    buffer.set(chunk, this.#length);
  }

  #hold(bytes: number): void {
    this.#held += bytes;
    this.#list.bytes += bytes;
    this.#list.limitBytes(this.#maxBytes);
  }

  /** Returns the receiver once, and drops everything. */
  #settle(): BodyReceiver | undefined {
    const receiver = this.#receiver;
    if (receiver === undefined) return undefined;
    this.#receiver = undefined;
    this.#chunk = undefined;
    this.#buffer = undefined;
    this.#list.bytes -= this.#held;
    this.#list.remove(this);
    return receiver;
  }
}

/** @returns a function that stops reading. */
function readMessage(message: IncomingMessage, body: Body): () => void {
  const onData = (chunk: Buffer) => body.add(chunk);
  const onEnd = () => body.end();
  const onClose = () => body.fail();
  if (message.readableEnded || message.destroyed) {
    if (message.readableEnded) body.end();
    else body.fail();
    return () => undefined;
  }
  message.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  // Keep the `error` listener: a later socket error must not become an unhandled `error` event.
  return () => message.off('data', onData).off('end', onEnd).off('close', onClose);
}

function readStream(stream: ReadableStream<Uint8Array>, body: Body): () => void {
  let isStopped = false;
  // Not `for await`: leaving the loop early would destroy the socket before the error response is sent.
  const reader = stream.getReader();
  const pump = async () => {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      body.add(read.value);
      if (isStopped) return;
    }
    body.end();
  };
  void pump().catch(() => body.fail());
  return () => {
    isStopped = true;
  };
}

export function tooLong(maxBytes: number): RequestError {
  return new RequestError('BAD_USER_INPUT', {
    status: 413,
    message: `The request body is longer than ${maxBytes} bytes.`,
  });
}

function tooSlow(): RequestError {
  return new RequestError('BAD_USER_INPUT', { status: 408, message: 'The request body did not arrive in time.' });
}

function endedEarly(): RequestError {
  return new RequestError('BAD_USER_INPUT', { message: 'The request body is incomplete.' });
}
