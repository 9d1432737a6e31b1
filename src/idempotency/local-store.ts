import { performance } from 'node:perf_hooks';

/** Sealed texts in the memory of the process. */
export interface LocalStore {
  get(name: string): string | undefined;
  set(name: string, sealed: string): void;
}

export interface LocalStoreOptions {
  readonly ttlMs: number;
  readonly maxEntries?: number;
  /** Of names and texts, in characters: each is one byte of ASCII. */
  readonly maxBytes?: number;
  /** For tests. */
  readonly monotonicMs?: () => number;
}

/** Creates a store that evicts its oldest entries above a limit. */
export function createLocalStore({
  ttlMs,
  maxEntries = 10_000,
  maxBytes = 32 * 1024 * 1024,
  monotonicMs = () => performance.now(),
}: LocalStoreOptions): LocalStore {
  // In the order of insertion, which is also the order of expiry.
  const entries = new Map<string, { readonly sealed: string; readonly expiresAtMs: number }>();
  let bytes = 0;

  return {
    get(name) {
      const entry = entries.get(name);
      return entry !== undefined && entry.expiresAtMs > monotonicMs() ? entry.sealed : undefined;
    },
    set(name, sealed) {
      remove(name);
      bytes += name.length + sealed.length;
      entries.set(name, { sealed, expiresAtMs: monotonicMs() + ttlMs });
      for (const [oldest, { expiresAtMs }] of entries) {
        if (entries.size <= maxEntries && bytes <= maxBytes && expiresAtMs > monotonicMs()) break;
        remove(oldest);
      }
    },
  };

  function remove(name: string): void {
    const entry = entries.get(name);
    if (entry === undefined) return;
    entries.delete(name);
    bytes -= name.length + entry.sealed.length;
  }
}
