import { createHash } from 'node:crypto';
import { constants, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log, Metrics } from '../telemetry/log.ts';
import type { FileContent } from './operator-files.ts';

export interface WatchedFile {
  /** The setting that names the file, for the log and the metrics. */
  readonly setting: string;
  /** More than one where the setting is a list: they are one content. */
  readonly paths: readonly string[];
  /** The content in use, by path order. */
  readonly initial: readonly FileContent[];
  /**
   * Validates and applies changed content. Called again while it throws, since another file may have to change first.
   *
   * @throws Error with a sentence that holds no value: the content that was valid before stays in use.
   */
  readonly accept: (contents: readonly FileContent[]) => void;
}

/** How often a file is read. A content that differs is read once more after `settleMs`: it may be half-written. */
const pollMs = 500;
const settleMs = 100;
/** While the content is unusable, the pause between two attempts doubles up to this. */
const maxRetryMs = 2_000;
/** A file system that does not answer counts as unreadable after this long. */
const readTimeoutMs = 5_000;
const maxBytes = 16 * 1024 * 1024;

/**
 * Watches one setting's files by their content: file systems notify too little (renames, Kubernetes' symlink swap, network
 * mounts), and time stamps miss changes within one tick. Failures are a normal state: they are reported once, counted, and
 * retried. Nothing is thrown, and the timers do not keep the process alive.
 *
 * @returns a function that ends it, and resolves when no read is in progress.
 */
export function watchFile(
  { setting, paths, initial, accept }: WatchedFile,
  { log, metrics }: { log: Log; metrics?: Metrics | undefined },
): () => Promise<void> {
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  let checking: Promise<void> = Promise.resolve();
  let reading: Promise<Reading> | undefined;
  let inUse = digestOf(initial);
  let lastSeen = inUse;
  let problem: string | undefined;
  let retryMs = pollMs;

  metrics?.watchedFile({ file: setting, isUsable: true });
  if (paths.every(isWatchable)) schedule(pollMs);
  return async () => {
    isClosed = true;
    clearTimeout(timer);
    await Promise.race([checking, delay(settleMs, undefined, { ref: false })]);
  };

  function schedule(ms: number): void {
    if (isClosed) return;
    timer = setTimeout(() => {
      checking = check().then(schedule, (cause: unknown) => {
        log.error('watched file cannot be checked', { setting, cause });
        schedule(maxRetryMs);
      });
    }, ms).unref();
  }

  /** @returns how long to wait for the next check, in ms. */
  async function check(): Promise<number> {
    reading ??= readAll(setting, paths).finally(() => {
      reading = undefined;
    });
    const timeout = delay(readTimeoutMs, unreadable(setting, 'ETIMEDOUT'), { ref: false });
    const found = await Promise.race([reading, timeout]);
    if (isClosed) return pollMs;
    const seen = 'problem' in found ? found.problem : digestOf(found.contents);
    if (seen !== lastSeen) {
      lastSeen = seen;
      retryMs = pollMs;
      return settleMs;
    }
    if ('problem' in found) return fail(found.problem);
    if (seen !== inUse) {
      try {
        accept(found.contents);
      } catch (error) {
        return fail(error instanceof Error ? error.message : `${setting} is unusable.`);
      }
      inUse = seen;
      log.info('changed file applied', { setting });
    }
    if (problem !== undefined) {
      problem = undefined;
      metrics?.watchedFile({ file: setting, isUsable: true });
      log.info('watched file is usable again', { setting });
    }
    return pollMs;
  }

  function fail(sentence: string): number {
    metrics?.watchedFile({ file: setting, isUsable: false });
    if (problem !== sentence) {
      log.error('watched file is unusable: the last valid content stays in use', { setting, problem: sentence });
    }
    problem = sentence;
    retryMs = Math.min(maxRetryMs, retryMs * 2);
    return retryMs;
  }
}

type Reading = { readonly contents: readonly Buffer[] } | { readonly problem: string };

async function readAll(setting: string, paths: readonly string[]): Promise<Reading> {
  try {
    const contents: Buffer[] = [];
    for (const path of paths) contents.push(await readContent(path));
    return { contents };
  } catch (error) {
    return unreadable(setting, (error as NodeJS.ErrnoException).code ?? 'EIO');
  }
}

function unreadable(setting: string, code: string): { problem: string } {
  return { problem: `${setting} names a file that cannot be read (${code}).` };
}

async function readContent(path: string): Promise<Buffer> {
  // Without O_NONBLOCK, opening a pipe would wait for somebody to write into it.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw Object.assign(new Error('not a regular file'), { code: 'EINVAL' });
    if (stat.size > maxBytes) throw Object.assign(new Error('too long'), { code: 'EFBIG' });
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** A pipe, such as `/dev/fd/63`, can be read only once. */
function isWatchable(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return true;
  }
}

function digestOf(contents: readonly FileContent[]): string {
  const digests = contents.map((content) => createHash('sha256').update(content).digest('hex'));
  return digests.join();
}
