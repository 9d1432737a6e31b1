import { hash, timingSafeEqual } from 'node:crypto';
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
  let entries = initial.map(prepare);
  return {
    find(key) {
      const digest = hash('sha256', key, 'buffer');
      let found: Caller | undefined;
      // Compare with all entries, so that the time does not depend on the match.
      for (const { caller, digest: own } of entries) if (timingSafeEqual(own, digest)) found ??= caller;
      return found;
    },
    merchants: () => entries.flatMap(({ caller }) => caller.merchant ?? []),
    replace(next) {
      entries = next.map(prepare);
    },
  };
}

/** All requests of an entry have the same caller object, so what is derived from a caller can be kept for it. */
function prepare(entry: KeyEntry): { caller: Caller; digest: Buffer } {
  return { caller: callerOf(entry), digest: Buffer.from(entry.sha256, 'hex') };
}

function callerOf({ name, scopes: granted, merchant, customer, documents }: KeyEntry): Caller {
  return {
    name,
    credentialKeys: [`key ${name}`],
    scopes: new Set(granted),
    merchant,
    customers: customer === undefined ? 'any' : [customer],
    denied: false,
    anyDocument: documents === 'any',
  };
}
