import { createHash } from 'node:crypto';
import { constants, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log, Metrics } from '../telemetry/log.ts';
import type { FileContent } from './operator-files.ts';

export interface WatchedFile {
  /** The setting that names the file, for the log and the metrics. */
  readonly setting: string;
  /** More than one if the setting is a list. A change of one applies all. */
  readonly paths: readonly string[];
  /** The contents in use, in the order of `paths`. */
  readonly initial: readonly FileContent[];
  /**
   * Validates and applies changed content. If it throws, it is called again later: the content may depend on another file that changes next.
   *
   * @throws Error with a message without values. The last valid content stays in use.
   */
  readonly accept: (contents: readonly FileContent[]) => void;
}

/**
 * Interval of reads. Changed content is read again after `settleMs`, since the first read may have seen an incomplete write. A removed key
 * must be out of use within 1 s, also if the event loop is busy: reading takes several of its turns.
 */
const pollMs = 250;
const settleMs = 100;
/** Limit of the retry delay, which doubles while the content is unusable. */
const maxRetryMs = 2_000;
/** Time limit of one read. A network file system may not respond. */
const readTimeoutMs = 5_000;
const maxBytes = 16 * 1024 * 1024;

/**
 * Watches the files of one setting by polling their content. File system events miss renames, Kubernetes' symlink swap and changes on
 * network mounts. Timestamps miss two changes within one tick. Failures are logged once, counted and retried; nothing is thrown. The
 * timers do not keep the process alive.
 *
 * @returns a function that stops watching and waits for a check in progress, for at most 100 ms.
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
      metrics?.configChanged(setting);
      const fields = { audit: true, outcome: 'APPLIED', setting } as const;
      if (log.audit) log.audit('changed file applied', fields);
      else log.info('changed file applied', fields);
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
  // Without O_NONBLOCK, opening a pipe would wait for a writer.
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

/** A pipe such as `/dev/fd/63` can be read only once. A missing file is watched, since it may appear. */
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
