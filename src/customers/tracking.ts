import type { CustomerApi } from './customer.ts';

/**
 * Passes each write to `track`. Writes continue after the client disconnects, so a drain must wait for the write itself.
 *
 * The result is that of the write. A fault of `track` does not change it, because the write was started.
 */
export function tracked(api: CustomerApi, track: (write: Promise<unknown>) => Promise<unknown>): CustomerApi {
  const start = <T>(write: Promise<T>): Promise<T> => {
    // Rejects if the write fails, too.
    track(write).catch(() => undefined);
    return write;
  };
  return {
    get: api.get,
    create: (input, options) => start(api.create(input, options)),
    update: (id, changes) => start(api.update(id, changes)),
  };
}
