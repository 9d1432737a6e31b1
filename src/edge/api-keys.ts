import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { z } from 'zod';
import { type Caller, type Scope, scopes } from '../caller.ts';
import type { Log } from '../telemetry.ts';

/** One line of the operator's file. Two entries may share a name: two live keys of one caller, while it rotates. */
const Entries = z.array(
  z.strictObject({
    name: z.string().min(1),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    scopes: z.array(z.enum(scopes as [Scope, ...Scope[]])),
    merchant: z.string().min(1).optional(),
    customer: z.string().min(1).optional(),
    documents: z.literal('any').optional(),
  }),
);
type Entry = z.output<typeof Entries>[number];

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
  let entries = read(path);
  const readAgain = () => {
    try {
      entries = read(path);
      log.info('API keys read anew', { count: entries.length });
    } catch (cause) {
      log.error('API keys file is unusable: the keys known before go on counting', { cause });
    }
  };
  watchFile(path, { interval: pollMs, persistent: false }, readAgain);
  return {
    find(key) {
      const digest = createHash('sha256').update(key).digest();
      let found: Entry | undefined;
      // All of them, found or not: the time tells nothing.
      for (const { entry, digest: own } of entries) if (timingSafeEqual(own, digest)) found ??= entry;
      return found && callerOf(found);
    },
    merchants: () => entries.flatMap(({ entry }) => entry.merchant ?? []),
    // This watcher alone: another gateway of the process may watch the same file.
    dispose: () => unwatchFile(path, readAgain),
  };
}

function read(path: string): { entry: Entry; digest: Buffer }[] {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw new Error('AUTH_API_KEYS_FILE names a file that cannot be read, or that is no JSON.');
  }
  const parsed = Entries.safeParse(json);
  if (!parsed.success) {
    const places = [
      ...new Set(parsed.error.issues.map(({ path: place }) => place.map(String).join('.') || 'the whole')),
    ];
    throw new Error(
      `AUTH_API_KEYS_FILE is not a list of { name, sha256, scopes, merchant?, customer?, documents? }: see ${places.join(', ')}.`,
    );
  }
  return parsed.data.map((entry) => ({ entry, digest: Buffer.from(entry.sha256, 'hex') }));
}

function callerOf({ name, scopes: granted, merchant, customer, documents }: Entry): Caller {
  return {
    name,
    scopes: new Set(granted),
    merchant,
    customers: customer === undefined ? 'any' : [customer],
    barred: false,
    anyDocument: documents === 'any',
  };
}
