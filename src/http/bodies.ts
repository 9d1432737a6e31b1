import type { IncomingMessage } from 'node:http';
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

/** Receives the chunks of one body, and its end or its failure. */
interface IncompleteBody {
  add(chunk: Uint8Array): void;
  end(): void;
  fail(error: unknown): void;
}

export interface Bodies {
  /**
   * Reads a request body completely.
   *
   * @throws RequestError 413 for more than `maxBytes`, 408 after {@link BodyLimits.timeoutMs}, 400 if the client disconnects,
   *   503 `OVERLOADED` if too many bodies are incomplete and this one is the oldest.
   */
  read(source: IncomingMessage | ReadableStream<Uint8Array>, maxBytes: number): Promise<Uint8Array>;
}

/**
 * Limits number, bytes and time of incomplete bodies, against slow senders. When a limit is reached, the oldest incomplete
 * body is refused, not the newest: normal clients send a body within milliseconds, so the oldest one belongs to a slow sender.
 */
export function createBodies({ maxCount, maxBytes: maxTotalBytes, timeoutMs }: BodyLimits = defaults): Bodies {
  // In order of arrival.
  const incomplete = new Set<IncompleteBody>();
  let totalBytes = 0;

  return {
    read: (source, maxBytes) =>
      new Promise((resolve, reject) => {
        let buffer = Buffer.alloc(0);
        let length = 0;
        let stop: () => void = () => undefined;
        const body: IncompleteBody = {
          add(chunk) {
            if (!incomplete.has(body)) return;
            if (length + chunk.byteLength > maxBytes) return body.fail(tooLong(maxBytes));
            // Copy into one buffer: a body sent byte by byte would otherwise take thousands of small buffers.
            if (length + chunk.byteLength > buffer.byteLength) grow(length + chunk.byteLength);
            buffer.set(chunk, length);
            length += chunk.byteLength;
          },
          end: () => settle() && resolve(buffer.subarray(0, length)),
          fail: (error) => settle() && reject(error),
        };
        const timer = setTimeout(() => body.fail(tooSlow()), timeoutMs);
        incomplete.add(body);
        evict(maxCount, Number.POSITIVE_INFINITY);
        if (incomplete.has(body)) stop = 'getReader' in source ? readStream(source, body) : readMessage(source, body);

        function grow(neededBytes: number): void {
          const bytes = Math.min(maxBytes, Math.max(neededBytes, buffer.byteLength * 2, firstBufferBytes));
          const larger = Buffer.allocUnsafeSlow(bytes);
          larger.set(buffer.subarray(0, length));
          totalBytes += bytes - buffer.byteLength;
          buffer = larger;
          evict(Number.POSITIVE_INFINITY, Math.max(maxTotalBytes, maxBytes));
        }

        /** Stops reading. Returns `false` if the body is already settled. */
        function settle(): boolean {
          if (!incomplete.delete(body)) return false;
          totalBytes -= buffer.byteLength;
          clearTimeout(timer);
          stop();
          return true;
        }
      }),
  };

  function evict(count: number, bytes: number): void {
    for (const oldest of incomplete) {
      if (incomplete.size <= count && totalBytes <= bytes) return;
      oldest.fail(overloaded(retryAfterSeconds));
    }
  }
}

/** @returns a function that stops reading. */
function readMessage(message: IncomingMessage, body: IncompleteBody): () => void {
  const onData = (chunk: Buffer) => body.add(chunk);
  const onEnd = () => body.end();
  const onClose = () => body.fail(endedEarly());
  if (message.readableEnded || message.destroyed) {
    if (message.readableEnded) body.end();
    else body.fail(endedEarly());
    return () => undefined;
  }
  message.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  // Keep the `error` listener: a later socket error must not become an unhandled `error` event.
  return () => message.off('data', onData).off('end', onEnd).off('close', onClose);
}

function readStream(stream: ReadableStream<Uint8Array>, body: IncompleteBody): () => void {
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
  void pump().catch(() => body.fail(endedEarly()));
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
