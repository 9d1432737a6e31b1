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

/**
 * Limit of the buffer in characters, including the chunk that is being written. A line is one text of ASCII characters in nearly all
 * cases; counting the bytes of each took 1 % of the time of a read.
 */
const maxHeldLength = 1_048_576;
/** The part of the buffer that only audit lines may fill. */
const auditReserveLength = 262_144;
const maxChunkLength = 65_536;
/**
 * Minimum time between two writes, except for full chunks. Without it each turn of the event loop writes its few lines, which is
 * 7 % of the time of a create, and 3 % of a read with 2 ms. A process that is killed by SIGKILL loses at most the lines of this time.
 */
const betweenWritesMs = 10;
/** The same if an audit line waits. */
const beforeAuditMs = 2;
/** How long to wait after a failed write (disk full, reader gone). */
const retryMs = 1_000;
/** How long to wait after EAGAIN, which a full terminal buffer causes. */
const busyRetryMs = 50;

const stdoutFd = 1;

/**
 * Writes lines to stdout without ever blocking the event loop, within 1 Mi characters: lines of one event loop turn, and
 * of {@link betweenWritesMs} under load, go out together, with at most one write in flight. Lines beyond the limit are dropped and counted.
 *
 * Pipes and sockets are written through `process.stdout`, which puts them into non-blocking mode. Writes of `process.stdout` to
 * files, devices and terminals block, so these are written on the thread pool.
 */
export function createLineWriter({ report, onDropped }: LineWriterOptions): LineWriter {
  const stdout = isPolled() ? process.stdout : undefined;
  // Without a listener, a closed pipe would end the process. The callback of the write handles the error.
  if (stdout && !stdout.listeners('error').includes(ignore)) stdout.on('error', ignore);

  let queue: string[] = [];
  /** The lines that are being written. */
  let chunk: { bytes: Buffer; readonly count: number; readonly length: number } | undefined;
  /** Characters. */
  let heldLength = 0;
  let unreported = 0;
  let isWriting = false;
  let isScheduled = false;
  let isListening = false;
  let retryTimer: NodeJS.Timeout | undefined;
  /** Runs after a write. Lines that arrive meanwhile wait for it. */
  let pauseTimer: NodeJS.Timeout | undefined;
  /** Whether the pause has been shortened for an audit line. */
  let isPauseShort = false;
  let onSettled: (() => void) | undefined;

  return {
    write(line, isAudit = false) {
      if (heldLength + line.length > maxHeldLength - (isAudit ? 0 : auditReserveLength)) return drop(1);
      enqueue(line);
      if (isAudit && pauseTimer !== undefined && !isPauseShort) pause(beforeAuditMs);
    },

    async flush(maxWaitMs) {
      clearTimeout(retryTimer);
      clearTimeout(pauseTimer);
      retryTimer = undefined;
      pauseTimer = undefined;
      if (!isWriting) next();
      if (heldLength === 0 || retryTimer !== undefined) return;
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

  function enqueue(line: string): void {
    listenForExit(true);
    heldLength += line.length;
    queue.push(line);
    if (heldLength >= maxChunkLength && pauseTimer) endPause();
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
    chunk.bytes = chunk.bytes.subarray(writtenBytes);
    if (chunk.bytes.length === 0) {
      heldLength -= chunk.length;
      chunk = undefined;
      if (unreported > 0) {
        const line = report(unreported);
        unreported = 0;
        enqueue(line);
      }
    }
    if (chunk !== undefined || onSettled || heldLength >= maxChunkLength) next();
    else pause(betweenWritesMs);
  }

  function pause(ms: number): void {
    clearTimeout(pauseTimer);
    isPauseShort = ms === beforeAuditMs;
    pauseTimer = setTimeout(endPause, ms).unref();
  }

  function endPause(): void {
    clearTimeout(pauseTimer);
    pauseTimer = undefined;
    next();
  }

  function retryLater({ code }: NodeJS.ErrnoException): void {
    if (stdout && chunk) {
      // The stream does not report how many bytes it wrote. A retry could write part of a line twice.
      heldLength -= chunk.length;
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
    let length = 0;
    for (const line of queue) {
      if (count > 0 && length + line.length > maxChunkLength) break;
      length += line.length;
      count += 1;
    }
    if (count === 0) return undefined;
    const taken = count === queue.length ? queue : queue.slice(0, count);
    queue = count === queue.length ? [] : queue.slice(count);
    return { bytes: Buffer.from(taken.join('')), count, length };
  }

  function listenForExit(isWanted: boolean): void {
    if (isWanted && !isListening) process.on('exit', onExit);
    if (!isWanted && isListening) process.off('exit', onExit);
    isListening = isWanted;
  }

  /** Makes one synchronous attempt, for programs that mount a gateway and call `process.exit`. */
  function onExit(): void {
    if (isWriting) return;
    const rest = Buffer.concat([...(chunk ? [chunk.bytes] : []), Buffer.from(queue.join(''))]);
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
