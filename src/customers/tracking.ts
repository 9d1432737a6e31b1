import type { ReadingApi } from './customer.ts';

/** Something that counts its users, such as the slots of the concurrency limit. */
export interface Resource {
  /** @throws if it cannot be acquired. */
  acquire(): void;
  release(): void;
}

/**
 * Holds `resources` during each write. Writes continue after the client disconnects, so a drain must wait for the write itself.
 *
 * The result is that of the write. A fault of a resource does not change it, because the write was started.
 */
export function tracked(api: ReadingApi, resources: readonly Resource[]): ReadingApi {
  const start = <T>(write: Promise<T>): Promise<T> => {
    // Rejects if the write fails, too.
    hold(write).catch(() => undefined);
    return write;
  };
  return {
    get: api.get,
    read: api.read,
    create: (input, options) => start(api.create(input, options)),
    update: (id, changes) => start(api.update(id, changes)),
  };

  async function hold(write: Promise<unknown>): Promise<void> {
    for (const resource of resources) resource.acquire();
    try {
      await write;
    } finally {
      for (const resource of resources) resource.release();
    }
  }
}
