import { hash } from 'node:crypto';
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

/**
 * Finds callers by API key.
 *
 * A sender learns nothing from the time of a lookup. V8 compares two texts only if their hashes, which have a secret seed, are equal;
 * and a digest cannot be chosen.
 */
export function createApiKeys(initial: readonly KeyEntry[]): ApiKeys {
  let callers = callersOf(initial);
  /**
   * The callers by key, for keys that were used: at most one for each entry of the file. Without it, the digest of the key would be
   * computed for each request, which takes 3 % of the time of a shared read.
   */
  let known = new Map<string, Caller>();
  return {
    find(key) {
      const caller = known.get(key);
      if (caller !== undefined) return caller;
      const found = callers.get(hash('sha256', key, 'hex'));
      if (found !== undefined) known.set(key, found);
      return found;
    },
    merchants: () => [...callers.values()].flatMap(({ merchant }) => merchant ?? []),
    replace(next) {
      callers = callersOf(next);
      known = new Map();
    },
  };
}

/**
 * Callers by digest. If two entries have the same key, the first one counts. All requests with a key have the same caller
 * object, so what is derived from a caller can be kept for it.
 */
function callersOf(entries: readonly KeyEntry[]): Map<string, Caller> {
  return new Map(entries.toReversed().map((entry) => [entry.sha256, callerOf(entry)]));
}

function callerOf({ name, scopes: granted, merchant, customer, documents }: KeyEntry): Caller {
  return {
    name,
    kind: 'api-key',
    credentialKeys: [`key ${name}`],
    scopes: new Set(granted),
    merchant,
    customers: customer === undefined ? 'any' : [customer],
    denied: false,
    anyDocument: documents === 'any',
  };
}
