import { fstatSync, write as writeFile, writeSync } from 'node:fs';

/** Takes whole lines. Audit lines are dropped last. */
export type WriteLine = (line: string, isAudit?: boolean) => void;

export interface LineWriter {
  /** Queues a line, or drops it when the buffer is full. Never blocks and never throws. */
  readonly write: WriteLine;
  /** Resolves when every queued line is written, when writing fails, or after `maxWaitMs`. */
  flush(maxWaitMs: number): Promise<void>;
  /** Ends the process, even while a write is stuck. Queued lines are lost: call {@link flush} first. */
  end(code: number): never;
}

export interface LineWriterOptions {
  /** The line that reports how many lines were dropped. It is written once writing works again. */
  readonly report: (count: number) => string;
  readonly onDropped?: ((count: number) => void) | undefined;
}

/** In bytes, the chunk that is being written included. */
const maxHeldBytes = 1_048_576;
/** The part of the buffer that only audit lines may fill. */
const auditReserveBytes = 262_144;
const maxChunkBytes = 65_536;
/** How long to wait after a failed write (disk full, reader gone). */
const retryMs = 1_000;
/** How long to wait for a terminal that takes nothing at the moment. */
const busyRetryMs = 50;

const stdoutFd = 1;

/**
 * Writes lines to stdout without ever blocking the event loop, within 1 MiB of memory: lines of one event loop turn go out
 * together, with at most one write in flight. Lines beyond the limit are dropped and counted.
 *
 * Pipes and sockets are written through `process.stdout`, which puts them into non-blocking mode. All else (files, devices,
 * terminals) blocks in `process.stdout`, so it is written on the thread pool.
 */
export function createLineWriter({ report, onDropped }: LineWriterOptions): LineWriter {
  const stdout = isPolled() ? process.stdout : undefined;
  // A reader that goes away (a closed pipe, for example) must not end the process. The callback of the write reports it.
  if (stdout && !stdout.listeners('error').includes(ignore)) stdout.on('error', ignore);

  let queue: { line: string; bytes: number }[] = [];
  /** What is being written: its bytes, and how many lines it holds. */
  let chunk: { bytes: Buffer; count: number } | undefined;
  let heldBytes = 0;
  let unreported = 0;
  let isWriting = false;
  let isScheduled = false;
  let isListening = false;
  let retryTimer: NodeJS.Timeout | undefined;
  let onSettled: (() => void) | undefined;

  return {
    write(line, isAudit = false) {
      const bytes = Buffer.byteLength(line);
      if (heldBytes + bytes > maxHeldBytes - (isAudit ? 0 : auditReserveBytes)) drop(1);
      else enqueue(line, bytes);
    },

    async flush(maxWaitMs) {
      clearTimeout(retryTimer);
      retryTimer = undefined;
      if (!isWriting) next();
      if (heldBytes === 0 || retryTimer !== undefined) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, maxWaitMs);
      onSettled = resolve;
      await promise;
      onSettled = undefined;
      clearTimeout(timer);
    },

    end(code) {
      listenForExit(false);
      // The exit of the process waits for its thread pool, and a stuck write keeps a thread forever.
      if (isWriting && !stdout) process.kill(process.pid, 'SIGKILL');
      process.exit(code);
    },
  };

  function enqueue(line: string, bytes: number): void {
    listenForExit(true);
    heldBytes += bytes;
    queue.push({ line, bytes });
    if (isScheduled || isWriting || retryTimer) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      if (!isWriting && !retryTimer) next();
    });
  }

  function drop(count: number): void {
    unreported += count;
    onDropped?.(count);
  }

  function next(): void {
    chunk ??= takeChunk();
    if (chunk === undefined) {
      listenForExit(false);
      onSettled?.();
      return;
    }
    isWriting = true;
    const { bytes } = chunk;
    if (stdout) stdout.write(bytes, (error) => onWritten(error, bytes.length));
    else writeFile(stdoutFd, bytes, 0, bytes.length, null, onWritten);
  }

  function onWritten(error: Error | null | undefined, writtenBytes: number): void {
    isWriting = false;
    if (error) return retryLater(error);
    if (chunk === undefined) return;
    heldBytes -= writtenBytes;
    const rest = chunk.bytes.subarray(writtenBytes);
    chunk = rest.length > 0 ? { ...chunk, bytes: rest } : undefined;
    if (chunk === undefined && unreported > 0) {
      const line = report(unreported);
      unreported = 0;
      enqueue(line, Buffer.byteLength(line));
    }
    next();
  }

  function retryLater({ code }: NodeJS.ErrnoException): void {
    if (stdout && chunk) {
      // How much of it a stream has written is unknown, and half a line must not be written twice.
      heldBytes -= chunk.bytes.length;
      drop(chunk.count);
      chunk = undefined;
    }
    retryTimer = setTimeout(
      () => {
        retryTimer = undefined;
        next();
      },
      code === 'EAGAIN' ? busyRetryMs : retryMs,
    );
    // A process that has nothing else to do ends: its log cannot be written.
    retryTimer.unref();
    onSettled?.();
  }

  function takeChunk(): typeof chunk {
    let count = 0;
    let bytes = 0;
    for (const entry of queue) {
      if (count > 0 && bytes + entry.bytes > maxChunkBytes) break;
      bytes += entry.bytes;
      count += 1;
    }
    if (count === 0) return undefined;
    const taken = queue.slice(0, count);
    queue = queue.slice(count);
    return { bytes: Buffer.from(taken.map(({ line }) => line).join('')), count };
  }

  function listenForExit(isWanted: boolean): void {
    if (isWanted && !isListening) process.on('exit', onExit);
    if (!isWanted && isListening) process.off('exit', onExit);
    isListening = isWanted;
  }

  /** For programs that mount a gateway and end by `process.exit`: one attempt that does not wait. */
  function onExit(): void {
    if (isWriting) return;
    const rest = Buffer.concat([...(chunk ? [chunk.bytes] : []), ...queue.map(({ line }) => Buffer.from(line))]);
    if (stdout) {
      stdout.write(rest);
      return;
    }
    try {
      writeSync(stdoutFd, rest);
    } catch {
      // Nothing can report it any more.
    }
  }
}

function ignore(): void {}

/** Whether stdout can be written without blocking by polling. On Windows `process.stdout` writes pipes synchronously. */
function isPolled(): boolean {
  if (process.platform === 'win32') return false;
  const stat = fstatSync(stdoutFd);
  return stat.isFIFO() || stat.isSocket();
}
