import { fstatSync, write as writeFile, writeSync } from 'node:fs';

/** Writes one complete line. Audit lines are dropped last. */
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
  /** Formats the line that reports dropped lines. It is written once writing works again. */
  readonly report: (count: number) => string;
  readonly onDropped?: ((count: number) => void) | undefined;
}

/** Limit of the buffer, including the chunk that is being written. */
const maxHeldBytes = 1_048_576;
/** The part of the buffer that only audit lines may fill. */
const auditReserveBytes = 262_144;
const maxChunkBytes = 65_536;
/**
 * Minimum time between two writes, except for full chunks. Without it each turn of the event loop writes its few lines, which is
 * 7 % of the time of a create. A process that is killed by SIGKILL loses at most the lines of this time.
 */
const betweenWritesMs = 2;
/** How long to wait after a failed write (disk full, reader gone). */
const retryMs = 1_000;
/** How long to wait after EAGAIN, which a full terminal buffer causes. */
const busyRetryMs = 50;

const stdoutFd = 1;

/**
 * Writes lines to stdout without ever blocking the event loop, within 1 MiB of memory: lines of one event loop turn, and of
 * {@link betweenWritesMs} under load, go out together, with at most one write in flight. Lines beyond the limit are dropped and counted.
 *
 * Pipes and sockets are written through `process.stdout`, which puts them into non-blocking mode. Writes of `process.stdout` to
 * files, devices and terminals block, so these are written on the thread pool.
 */
export function createLineWriter({ report, onDropped }: LineWriterOptions): LineWriter {
  const stdout = isPolled() ? process.stdout : undefined;
  // Without a listener, a closed pipe would end the process. The callback of the write handles the error.
  if (stdout && !stdout.listeners('error').includes(ignore)) stdout.on('error', ignore);

  let queue: { line: string; bytes: number }[] = [];
  /** The lines that are being written. */
  let chunk: { bytes: Buffer; count: number } | undefined;
  let heldBytes = 0;
  let unreported = 0;
  let isWriting = false;
  let isScheduled = false;
  let isListening = false;
  let retryTimer: NodeJS.Timeout | undefined;
  /** Runs after a write. Lines that arrive meanwhile wait for it. */
  let pauseTimer: NodeJS.Timeout | undefined;
  let onSettled: (() => void) | undefined;

  return {
    write(line, isAudit = false) {
      const bytes = Buffer.byteLength(line);
      if (heldBytes + bytes > maxHeldBytes - (isAudit ? 0 : auditReserveBytes)) drop(1);
      else enqueue(line, bytes);
    },

    async flush(maxWaitMs) {
      clearTimeout(retryTimer);
      clearTimeout(pauseTimer);
      retryTimer = undefined;
      pauseTimer = undefined;
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
    if (heldBytes >= maxChunkBytes && pauseTimer) endPause();
    if (isScheduled || isWriting || retryTimer || pauseTimer) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      if (!isWriting && !retryTimer && !pauseTimer) next();
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
    if (chunk !== undefined || onSettled || heldBytes >= maxChunkBytes) next();
    else pauseTimer = setTimeout(endPause, betweenWritesMs).unref();
  }

  function endPause(): void {
    clearTimeout(pauseTimer);
    pauseTimer = undefined;
    next();
  }

  function retryLater({ code }: NodeJS.ErrnoException): void {
    if (stdout && chunk) {
      // The stream does not report how many bytes it wrote. A retry could write part of a line twice.
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
    // Do not keep an otherwise finished process alive for an output that fails.
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

  /** Makes one synchronous attempt, for programs that mount a gateway and call `process.exit`. */
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
      // The process is exiting, and its only output failed.
    }
  }
}

function ignore(): void {}

/** Whether `process.stdout` writes without blocking. On Windows it writes pipes synchronously. */
function isPolled(): boolean {
  if (process.platform === 'win32') return false;
  const stat = fstatSync(stdoutFd);
  return stat.isFIFO() || stat.isSocket();
}
