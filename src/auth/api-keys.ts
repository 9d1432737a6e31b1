import { createHash, timingSafeEqual } from 'node:crypto';
import type { KeyEntry } from '../config/operator-files.ts';
import type { Caller } from './caller.ts';

export interface ApiKeys {
  /** @returns `undefined` if no entry has this key. */
  find(key: string): Caller | undefined;
  /** Merchant ids of all entries. */
  merchants(): string[];
  /** Replaces all entries. Keys that are not in the new list are refused from now on. */
  replace(entries: readonly KeyEntry[]): void;
}

/** Finds callers by API key. Stores only digests of the keys. */
export function createApiKeys(initial: readonly KeyEntry[]): ApiKeys {
  let entries = withDigests(initial);
  return {
    find(key) {
      const digest = createHash('sha256').update(key).digest();
      let found: KeyEntry | undefined;
      // Compare with all entries, so that the time does not depend on the match.
      for (const { entry, digest: own } of entries) if (timingSafeEqual(own, digest)) found ??= entry;
      return found && callerOf(found);
    },
    merchants: () => entries.flatMap(({ entry }) => entry.merchant ?? []),
    replace(next) {
      entries = withDigests(next);
    },
  };
}

function withDigests(entries: readonly KeyEntry[]): { entry: KeyEntry; digest: Buffer }[] {
  return entries.map((entry) => ({ entry, digest: Buffer.from(entry.sha256, 'hex') }));
}

function callerOf({ name, scopes: granted, merchant, customer, documents }: KeyEntry): Caller {
  return {
    name,
    counted: [`key ${name}`],
    scopes: new Set(granted),
    merchant,
    customers: customer === undefined ? 'any' : [customer],
    denied: false,
    anyDocument: documents === 'any',
  };
}
