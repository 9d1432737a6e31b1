/** On a monotonic clock, in ms. */
export type Clock = () => number;

/** How far back is looked. */
export const windowMs = 10_000;
const cellMs = 100;
const cellCount = windowMs / cellMs;

/**
 * Counts what happened within the last 10 s. What is younger than 9.9 s counts, what is 10 s old does not: it is kept in
 * cells of 100 ms, so that a window holds 400 bytes, however much happens.
 */
export function createWindow(now: Clock) {
  const cells = new Uint32Array(cellCount);
  let newest = Math.floor(now() / cellMs);
  let total = 0;

  /** Empties the cells that time has gone over since it was looked at last. */
  function move(): void {
    const current = Math.floor(now() / cellMs);
    for (let cell = Math.max(newest, current - cellCount) + 1; cell <= current; cell += 1) {
      total -= cells[cell % cellCount] ?? 0;
      cells[cell % cellCount] = 0;
      newest = cell;
    }
  }

  return {
    add(): void {
      move();
      cells[newest % cellCount] = (cells[newest % cellCount] ?? 0) + 1;
      total += 1;
    },
    total(): number {
      move();
      return total;
    },
  };
}
