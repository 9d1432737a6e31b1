/** Returns the time of a monotonic clock in ms. */
export type Clock = () => number;

/** Length of the window. */
export const windowMs = 10_000;
const cellMs = 100;
const cellCount = windowMs / cellMs;

/**
 * Counts the events of the last 10 s. Events younger than 9.9 s always count, and events older than 10 s never do: the counts
 * are kept in cells of 100 ms. A window needs 400 bytes for any number of events. The caller reads the clock, once for all windows that count the
 * same event.
 */
export function createWindow(createdAtMs: number) {
  const cells = new Uint32Array(cellCount);
  let newest = Math.floor(createdAtMs / cellMs);
  let total = 0;

  /** Resets the cells that expired since the last call. */
  function advance(nowMs: number): void {
    const current = Math.floor(nowMs / cellMs);
    for (let cell = Math.max(newest, current - cellCount) + 1; cell <= current; cell += 1) {
      total -= cells[cell % cellCount] ?? 0;
      cells[cell % cellCount] = 0;
      newest = cell;
    }
  }

  return {
    add(nowMs: number): void {
      advance(nowMs);
      cells[newest % cellCount] = (cells[newest % cellCount] ?? 0) + 1;
      total += 1;
    },
    total(nowMs: number): number {
      advance(nowMs);
      return total;
    },
  };
}
