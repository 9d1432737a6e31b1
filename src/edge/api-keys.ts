import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Caller } from '../caller.ts';
import { type KeyEntry, readKeyEntries } from '../operator-files.ts';
import type { Log } from '../telemetry.ts';

export interface ApiKeys {
  /** @returns `undefined` when no entry holds this key. */
  find(key: string): Caller | undefined;
  /** All merchants that entries name. */
  merchants(): string[];
  dispose(): void;
}

/** How soon a changed file counts, in ms. */
const pollMs = 500;

/**
 * Callers by their API keys. Only digests are kept. A changed file is read anew; one that is broken is told in the log,
 * and what was known before goes on counting.
 *
 * @throws Error with all problems, by place and never by value, when the file is unusable at the start.
 */
export function openApiKeys(path: string, log: Log): ApiKeys {
  // Taken before the file is read: what changes in between is read once more, and not missed.
  let seen = stampOf(path);
  let entries = read(path);
  const timer = setInterval(() => {
    const stamp = stampOf(path);
    if (stamp === seen) return;
    seen = stamp;
    try {
      entries = read(path);
      log.info('API keys read anew', { count: entries.length });
    } catch (cause) {
      log.error('API keys file is unusable: the keys known before go on counting', { cause });
    }
  }, pollMs).unref();
  return {
    find(key) {
      const digest = createHash('sha256').update(key).digest();
      let found: KeyEntry | undefined;
      // All of them, found or not: the time tells nothing.
      for (const { entry, digest: own } of entries) if (timingSafeEqual(own, digest)) found ??= entry;
      return found && callerOf(found);
    },
    merchants: () => entries.flatMap(({ entry }) => entry.merchant ?? []),
    dispose: () => clearInterval(timer),
  };
}

function read(path: string): { entry: KeyEntry; digest: Buffer }[] {
  return readKeyEntries(path, (name) => readFileSync(name, 'utf8')).map((entry) => ({
    entry,
    digest: Buffer.from(entry.sha256, 'hex'),
  }));
}

/** Differs when the file was written, or when another one took its place. */
function stampOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? '' : [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join();
}

function callerOf({ name, scopes: granted, merchant, customer, documents }: KeyEntry): Caller {
  return {
    name,
    counted: [`key ${name}`],
    scopes: new Set(granted),
    merchant,
    customers: customer === undefined ? 'any' : [customer],
    barred: false,
    anyDocument: documents === 'any',
  };
}
