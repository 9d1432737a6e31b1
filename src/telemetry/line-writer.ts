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

/** Limit of the lines in memory, including those that are being written. Their pages can take three times as much if all lines are long. */
const maxHeldBytes = 1_048_576;
/** The part of the buffer that only audit lines may fill. */
const auditReserveBytes = 262_144;
/** Lines are collected in pages of this size. One write writes one page. */
const pageBytes = 65_536;
/** The most bytes that one unit of a string's `length` needs in UTF-8. */
const maxCharacterBytes = 3;
/**
 * Minimum time between two writes, except for full pages. Without it each turn of the event loop writes its few lines, which is
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
 * Writes lines to stdout without ever blocking the event loop, within 1 MiB: lines of one event loop turn, and
 * of {@link betweenWritesMs} under load, go out together, with at most one write in flight. Lines beyond the limit are dropped and counted.
 *
 * Pipes and sockets are written through `process.stdout`, which puts them into non-blocking mode. Writes of `process.stdout` to
 * files, devices and terminals block, so these are written on the thread pool.
 */
export function createLineWriter({ report, onDropped }: LineWriterOptions): LineWriter {
  const stdout = isPolled() ? process.stdout : undefined;
  // Without a listener, a closed pipe would end the process. The callback of the write handles the error.
  if (stdout && !stdout.listeners('error').includes(ignore)) stdout.on('error', ignore);

  /** Complete pages, and the one that lines are added to. */
  const pages: Page[] = [];
  /** The page that is being written. */
  let current: Page | undefined;
  /** The last page that was written, for the next lines. */
  let spare: Page | undefined;
  let heldBytes = 0;
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
      if (heldBytes + line.length > maxHeldBytes - (isAudit ? 0 : auditReserveBytes)) return drop(1);
      enqueue(line);
      if (isAudit && pauseTimer !== undefined && !isPauseShort) pause(beforeAuditMs);
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

  function enqueue(line: string): void {
    listenForExit(true);
    heldBytes += pageFor(line).add(line);
    if (pages.length > 1 && pauseTimer) endPause();
    if (isScheduled || isWriting || retryTimer || pauseTimer) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      if (!isWriting && !retryTimer && !pauseTimer) next();
    });
  }

  /** A line is encoded at once. Kept as text, the many parts of a line survive a scavenge: 1.2 % of a read's allocation instead of 0.5 %. */
  function pageFor(line: string): Page {
    const last = pages.at(-1);
    if (last?.hasRoomFor(line)) return last;
    const page = spare?.hasRoomFor(line) ? spare : new Page(Math.max(pageBytes, line.length * maxCharacterBytes));
    if (page === spare) spare = undefined;
    pages.push(page);
    return page;
  }

  function drop(count: number): void {
    unreported += count;
    onDropped?.(count);
  }

  function next(): void {
    current ??= pages.shift();
    if (current === undefined) {
      listenForExit(false);
      onSettled?.();
      return;
    }
    isWriting = true;
    const bytes = current.rest();
    if (stdout) stdout.write(bytes, (error) => onWritten(error, bytes.length));
    else writeFile(stdoutFd, bytes, 0, bytes.length, null, onWritten);
  }

  function onWritten(error: Error | null | undefined, writtenBytes: number): void {
    isWriting = false;
    if (error) return retryLater(error);
    if (current === undefined) return;
    heldBytes -= writtenBytes;
    if (current.take(writtenBytes) === 0) {
      spare = current.recycle();
      current = undefined;
      if (unreported > 0) {
        const line = report(unreported);
        unreported = 0;
        enqueue(line);
      }
    }
    if (current !== undefined || onSettled || pages.length > 1) next();
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
    if (stdout && current) {
      // The stream does not report how many bytes it wrote. A retry could write part of a line twice.
      heldBytes -= current.rest().length;
      drop(current.count);
      current = undefined;
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

  function listenForExit(isWanted: boolean): void {
    if (isWanted && !isListening) process.on('exit', onExit);
    if (!isWanted && isListening) process.off('exit', onExit);
    isListening = isWanted;
  }

  /** Makes one synchronous attempt, for programs that mount a gateway and call `process.exit`. */
  function onExit(): void {
    if (isWriting) return;
    const rest = Buffer.concat([...(current ? [current] : []), ...pages].map((page) => page.rest()));
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

/** Lines that are written together. */
class Page {
  /** Lines. */
  count = 0;
  readonly #bytes: Buffer;
  #start = 0;
  #end = 0;

  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafeSlow(size);
  }

  hasRoomFor(line: string): boolean {
    return this.#end + line.length * maxCharacterBytes <= this.#bytes.length;
  }

  /** @returns the bytes of the line. */
  add(line: string): number {
    const count = this.#bytes.write(line, this.#end);
    this.#end += count;
    this.count += 1;
    return count;
  }

  /** What is not written yet. */
  rest(): Buffer {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** Removes written bytes. @returns the bytes that are left. */
  take(count: number): number {
    this.#start += count;
    return this.#end - this.#start;
  }

  /** Empties the page. @returns `undefined` for a page of another size. */
  recycle(): this | undefined {
    this.count = 0;
    this.#start = 0;
    this.#end = 0;
    return this.#bytes.length === pageBytes ? this : undefined;
  }
}

function ignore(): void {}

/** Whether `process.stdout` writes without blocking. On Windows it writes pipes synchronously. */
function isPolled(): boolean {
  if (process.platform === 'win32') return false;
  const stat = fstatSync(stdoutFd);
  return stat.isFIFO() || stat.isSocket();
}
