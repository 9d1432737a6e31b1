import { createHash, timingSafeEqual } from 'node:crypto';
import type { KeyEntry } from '../config/operator-files.ts';
import type { Caller } from './caller.ts';

export interface ApiKeys {
  /** @returns `undefined` when no entry holds this key. */
  find(key: string): Caller | undefined;
  /** All merchants that entries name. */
  merchants(): string[];
  /** Applies another list: keys that it does not hold are refused from now on. */
  replace(entries: readonly KeyEntry[]): void;
}

/** Callers by their API keys. Only digests are kept. */
export function createApiKeys(initial: readonly KeyEntry[]): ApiKeys {
  let entries = withDigests(initial);
  return {
    find(key) {
      const digest = createHash('sha256').update(key).digest();
      let found: KeyEntry | undefined;
      // All of them, found or not: the time tells nothing.
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
