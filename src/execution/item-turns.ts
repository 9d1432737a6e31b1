/** Number of list items that one turn of the event loop completes. */
const itemsPerTurn = 25;

/** A list item whose value is known. */
export interface Item {
  /** Prints it. Must not throw. */
  complete(): void;
}

/**
 * Completes the items of long lists in groups, with a turn of the event loop between the groups, so that other requests do not
 * wait for the whole list.
 */
export class ItemTurns {
  #count = 0;
  readonly #waiting: Item[] = [];
  #next = 0;

  /** Completes the first items of an operation at once, and the others in a later turn. */
  take(item: Item): void {
    this.#count += 1;
    if (this.#count <= itemsPerTurn) return item.complete();
    if (this.#waiting.push(item) === 1) this.#schedule();
  }

  #schedule(): void {
    setImmediate(() => {
      const end = Math.min(this.#next + itemsPerTurn, this.#waiting.length);
      while (this.#next < end) this.#waiting[this.#next++]?.complete();
      if (this.#next < this.#waiting.length) return this.#schedule();
      this.#waiting.length = 0;
      this.#next = 0;
    });
  }
}
