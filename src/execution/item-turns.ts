/** Number of list items that one turn of the event loop completes. */
const itemsPerTurn = 25;

/**
 * Completes the items of long lists in groups, with a turn of the event loop between the groups, so that other requests do not
 * wait for the whole list.
 */
export class ItemTurns {
  #count = 0;
  readonly #waiting: (() => void)[] = [];
  #next = 0;

  /** Calls `complete` at once for the first items of an operation, and in a later turn for the others. */
  take(complete: () => void): void {
    this.#count += 1;
    if (this.#count <= itemsPerTurn) return complete();
    if (this.#waiting.push(complete) === 1) this.#schedule();
  }

  #schedule(): void {
    setImmediate(() => {
      const end = Math.min(this.#next + itemsPerTurn, this.#waiting.length);
      while (this.#next < end) this.#waiting[this.#next++]?.();
      if (this.#next < this.#waiting.length) return this.#schedule();
      this.#waiting.length = 0;
      this.#next = 0;
    });
  }
}
