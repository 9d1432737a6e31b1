import {
  close as closeFd,
  constants,
  fdatasync as fdatasyncFd,
  fstat as fstatFd,
  fstatSync,
  open as openPath,
  openSync,
  stat as statPath,
  write as writeFd,
  writeSync,
} from 'node:fs';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import type { WriteLine } from '../line-writer.ts';
import type { AuditSink, Log, Metrics } from '../log.ts';
import { Backlog, type Chunk, maxHeld } from './backlog.ts';
import { beginLine, Chain, headerAfter, type Link, messages } from './chain.ts';
import { lock } from './lock.ts';
import { type Recovered, recover } from './recovery.ts';

const open = promisify(openPath);
const close = promisify(closeFd);
const stat = promisify(statPath);
const fstat = promisify(fstatFd);
const write = promisify(writeFd);
const fdatasync = promisify(fdatasyncFd);

/** Lines of this time are written together. A process that is killed by SIGKILL loses at most these. */
const betweenWritesMs = 2;
const retryMs = 1_000;
/** How often the path is compared with the open file. */
const checkMs = 100;
/** Lines reach the disk within this time, so that a loss of power loses at most these. */
const syncMs = 1_000;

/** Append: a file that was truncated gets no hole. Lines of other processes are not overwritten. */
const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT;
const mode = 0o600;

export interface AuditFileTelemetry {
  readonly log: Log;
  readonly metrics?: Pick<Metrics, 'auditFailed'> | undefined;
  /** Receives the file's own lines that are links of the chain. The log has the same chain then. */
  readonly write?: WriteLine | undefined;
}

/**
 * A file of audit lines, each with the hash of the line before. Writing never blocks: lines wait in at most 1 MiB of memory, and a failed
 * write is repeated every second. A line that finds no room is lost, and a line with the number of lost lines follows.
 *
 * If the path names another file, or none, the chain continues in a new file there. Call `start` before the first line.
 */
export class AuditFile implements AuditSink {
  readonly #path: string;
  readonly #unlock: () => void;
  readonly #recovered: Recovered;
  readonly #chain: Chain;
  #telemetry: AuditFileTelemetry | undefined;
  #fd: number;
  /** The size of the file if nobody else changes it. */
  #size: number;
  readonly #backlog: Backlog;
  #chunk: Chunk | undefined;
  /** The last line that is not lost. */
  #lastKept: Link;
  #lost = 0;
  #problem: string | undefined;
  #running: Promise<void> | undefined;
  #isInSystemCall = false;
  #isClosing = false;
  #isStuck = false;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #syncTimer: NodeJS.Timeout | undefined;
  #isSyncDue = false;
  #endPause: (() => void) | undefined;

  /** Opens the file and finds the end of its chain. @throws the system error; `EBUSY` if another process writes to the file. */
  constructor(path: string) {
    this.#path = path;
    this.#unlock = lock(path);
    try {
      this.#fd = openSync(path, flags, mode);
      const file = fstatSync(this.#fd);
      if (!file.isFile()) throw Object.assign(new Error('not a regular file'), { code: 'EINVAL' });
      this.#size = file.size;
      this.#recovered = recover(this.#fd, file.size);
    } catch (error) {
      this.#unlock();
      throw error;
    }
    const { last } = this.#recovered;
    this.#chain = new Chain(last);
    this.#lastKept = last;
    this.#backlog = new Backlog(last);
  }

  /** Writes the first lines of this process. */
  start(telemetry: AuditFileTelemetry): void {
    this.#telemetry = telemetry;
    const { isEmpty, isTorn, last, reason, started } = this.#recovered;
    if (isTorn) this.#keep('\n');
    if (isEmpty) this.#keep(headerAfter(last));
    if (reason === 'torn' || reason === 'damaged') {
      telemetry.log.error('audit file does not end with an audit line', { setting: 'AUDIT_FILE', reason });
    }
    this.#appendOwn(started);
    process.on('exit', this.#onExit);
  }

  append(text: string): string {
    const line = this.#chain.append(text);
    // After a lost line, no line is kept until the number of lost lines is written.
    if (this.#lost > 0 || this.#backlog.held + line.length > maxHeld) {
      this.#lost += 1;
      this.#telemetry?.metrics?.auditFailed();
    } else {
      this.#lastKept = this.#chain.last;
      this.#keep(line, this.#lastKept);
    }
    return line;
  }

  /** Writes all lines and closes the file, within `maxWaitMs`. */
  async close(maxWaitMs = 1_000): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#endPause?.();
    let timer: NodeJS.Timeout | undefined;
    const isLate = new Promise<true>((resolve) => {
      timer = setTimeout(resolve, maxWaitMs, true);
    });
    this.#isStuck = await Promise.race([isLate, this.#finish()]);
    clearTimeout(timer);
    // A write that does not return keeps the lock and the listener, which then ends the process.
    if (this.#isStuck) return;
    process.off('exit', this.#onExit);
    this.#unlock();
  }

  async #finish(): Promise<false> {
    await this.#running;
    await this.#run();
    if (this.#lost === 0) this.#appendOwn(beginLine(messages.stopped));
    this.#isSyncDue = true;
    await this.#run();
    clearTimeout(this.#syncTimer);
    await close(this.#fd).catch(() => undefined);
    return false;
  }

  #appendOwn(text: string): void {
    const line = this.append(text);
    this.#telemetry?.write?.(line, true);
  }

  #keep(text: string, link?: Link): void {
    this.#backlog.push(text, link);
    this.#wake();
  }

  #wake(): void {
    if (this.#running !== undefined || this.#isClosing) return;
    // The lines of one turn of the event loop go together.
    this.#running = new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#run())
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Writes until nothing is left. One run at a time. Never rejects. */
  async #run(): Promise<void> {
    while (!this.#backlog.isEmpty || this.#chunk !== undefined || this.#isSyncDue) {
      this.#isInSystemCall = true;
      const code = await this.#step().catch((error: NodeJS.ErrnoException) => error.code ?? 'EIO');
      this.#isInSystemCall = false;
      if (code === undefined) this.#succeed();
      else this.#fail(code);
      if (!this.#isClosing) await this.#pause(code === undefined ? betweenWritesMs : retryMs);
      else if (code !== undefined) return;
    }
  }

  async #step(): Promise<undefined> {
    // Within a line, the rest belongs to the same file.
    if (this.#chunk === undefined) await this.#followRename();
    if (!this.#backlog.isEmpty || this.#chunk !== undefined) await this.#writeChunk();
    if (this.#isSyncDue) await fdatasync(this.#fd);
    this.#isSyncDue = false;
  }

  async #followRename(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#checkedAtMs < checkMs) return;
    this.#checkedAtMs = nowMs;
    const named = await stat(this.#path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    const opened = await fstat(this.#fd, { bigint: true });
    if (named?.ino === opened.ino && named.dev === opened.dev) return this.#compareSize(Number(opened.size));
    const before = this.#fd;
    this.#fd = await open(this.#path, flags, mode);
    this.#size = Number((await fstat(this.#fd)).size);
    this.#backlog.unshift(headerAfter(this.#backlog.lastTaken));
    await fdatasync(before);
    await close(before);
  }

  #compareSize(size: number): void {
    if (size !== this.#size) {
      const reason = size > this.#size ? 'foreign_lines' : 'truncated';
      this.#telemetry?.metrics?.auditFailed();
      this.#telemetry?.log.error('audit file was changed by another process', { setting: 'AUDIT_FILE', reason });
    }
    this.#size = size;
  }

  async #writeChunk(): Promise<void> {
    this.#chunk ??= this.#backlog.take();
    const chunk = this.#chunk;
    const { bytes } = chunk;
    while (chunk.writtenBytes < bytes.length) {
      const { writtenBytes } = chunk;
      const { bytesWritten } = await write(this.#fd, bytes, writtenBytes, bytes.length - writtenBytes, null);
      chunk.writtenBytes += bytesWritten;
      this.#size += bytesWritten;
    }
    this.#chunk = undefined;
    this.#backlog.release(chunk);
    this.#syncTimer ??= setTimeout(() => {
      this.#syncTimer = undefined;
      this.#isSyncDue = true;
      this.#wake();
    }, syncMs).unref();
  }

  #succeed(): void {
    const count = this.#lost;
    if (this.#problem !== undefined) {
      this.#problem = undefined;
      this.#telemetry?.log.info('audit file is written again', { setting: 'AUDIT_FILE', count });
    }
    if (count === 0 || this.#backlog.held > maxHeld / 2) return;
    this.#lost = 0;
    this.#appendOwn(beginLine(messages.lost, { count, after: this.#lastKept.hash }));
  }

  #fail(code: string): void {
    this.#telemetry?.metrics?.auditFailed();
    if (this.#problem !== code) {
      this.#telemetry?.log.error('audit file cannot be written', { setting: 'AUDIT_FILE', code });
    }
    this.#problem = code;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Makes one synchronous attempt, for programs that mount a gateway and call `process.exit`. */
  readonly #onExit = (): void => {
    // The exit of the process waits for its thread pool, and a write that does not return keeps a thread forever.
    if (this.#isStuck) process.kill(process.pid, 'SIGKILL');
    if (this.#isInSystemCall || this.#isClosing) return;
    this.append(beginLine(messages.stopped));
    const rest = this.#chunk?.bytes.subarray(this.#chunk.writtenBytes) ?? Buffer.alloc(0);
    try {
      writeSync(this.#fd, Buffer.concat([rest, Buffer.from(this.#backlog.text())]));
      this.#unlock();
    } catch {
      // The process is exiting. The next start reports a torn line.
    }
  };
}
