import { added } from '../customers/short-list.ts';

/** A member of a {@link Ring}. */
interface Link<Item> {
  readonly item: Item;
  previous: Link<Item>;
  next: Link<Item>;
}

/**
 * A circular list. Each step takes constant time, and what leaves is not referenced any more. A `Map` or `Set` as a queue keeps
 * tables of what left, which the garbage collector copies: with 800 waiting reads they were a third of the cost of a read.
 */
class Ring<Item> {
  first: Link<Item> | undefined;

  add(item: Item): Link<Item> {
    const { first } = this;
    const link = { item } as Link<Item>;
    link.next = first ?? link;
    link.previous = first?.previous ?? link;
    link.previous.next = link;
    link.next.previous = link;
    this.first ??= link;
    return link;
  }

  remove(link: Link<Item>): void {
    if (this.first === link) this.first = link.next === link ? undefined : link.next;
    link.previous.next = link.next;
    link.next.previous = link.previous;
  }

  moveFirstToEnd(): void {
    this.first = this.first?.next;
  }
}

/** The place of an entry in the queue of one operation. */
export interface Place {
  readonly queue: OperationQueue;
  readonly link: Link<Entry>;
}

/** A call that waits for a free connection. */
export interface Entry {
  /** Written by the queue. A call that several operations wait for has a place for each of them. */
  places: Place[] | undefined;
  /** Called if the queue refuses or removes the entry because too many calls wait. */
  onFull(): void;
}

/** The waiting calls of one operation. */
interface OperationQueue {
  readonly requestId: string;
  readonly caller: CallerQueue;
  readonly entries: Ring<Entry>;
  link: Link<OperationQueue>;
}

/** The waiting calls of one caller. */
interface CallerQueue {
  readonly caller: string;
  readonly byRequest: Map<string, OperationQueue>;
  /** In the order of their turns. */
  readonly operations: Ring<OperationQueue>;
  link: Link<CallerQueue>;
  size: number;
}

export interface FairQueue {
  /** Adds a place for the entry. */
  add(entry: Entry, caller: string, requestId: string): void;
  /** Removes all places of the entry. */
  remove(entry: Entry): void;
  /** Removes and returns the entry whose turn it is. */
  next(): Entry | undefined;
  /**
   * Returns whether one more call of this caller may wait. At the limit, the newest call of the longest queue is refused to make
   * room, if that queue is longer than the one of this caller.
   */
  makeRoom(caller: string): boolean;
}

/** Round robin by caller, then by operation, then first in, first out. */
export function createFairQueue(limit: number): FairQueue {
  const byCaller = new Map<string, CallerQueue>();
  /** In the order of their turns. */
  const callers = new Ring<CallerQueue>();
  let size = 0;

  return {
    add(entry, caller, requestId) {
      const queue = operationQueue(callerQueue(caller), requestId);
      // An operation can join its own call again.
      if (entry.places?.at(-1)?.queue === queue) return;
      entry.places = added(entry.places, { queue, link: queue.entries.add(entry) });
      queue.caller.size += 1;
      size += 1;
    },
    remove,
    next() {
      const caller = callers.first?.item;
      const entry = caller?.operations.first?.item.entries.first?.item;
      if (caller === undefined || entry === undefined) return undefined;
      callers.moveFirstToEnd();
      caller.operations.moveFirstToEnd();
      remove(entry);
      return entry;
    },
    makeRoom(caller) {
      if (size < limit) return true;
      let longest: CallerQueue | undefined;
      for (const queue of byCaller.values()) if (queue.size > (longest?.size ?? 0)) longest = queue;
      const own = byCaller.get(caller)?.size ?? 0;
      if (longest === undefined || longest.size <= own + 1) return false;
      const newest = longest.operations.first?.previous.item.entries.first?.previous.item;
      if (newest !== undefined) {
        remove(newest);
        newest.onFull();
      }
      return true;
    },
  };

  function callerQueue(caller: string): CallerQueue {
    const known = byCaller.get(caller);
    if (known !== undefined) return known;
    const queue = {
      caller,
      byRequest: new Map(),
      operations: new Ring<OperationQueue>(),
      size: 0,
    } as unknown as CallerQueue;
    queue.link = callers.add(queue);
    byCaller.set(caller, queue);
    return queue;
  }

  function operationQueue(caller: CallerQueue, requestId: string): OperationQueue {
    const known = caller.byRequest.get(requestId);
    if (known !== undefined) return known;
    const queue = { requestId, caller, entries: new Ring<Entry>() } as unknown as OperationQueue;
    queue.link = caller.operations.add(queue);
    caller.byRequest.set(requestId, queue);
    return queue;
  }

  function remove(entry: Entry): void {
    const { places = [] } = entry;
    entry.places = undefined;
    for (const { queue, link } of places) {
      const { caller, requestId, entries } = queue;
      entries.remove(link);
      caller.size -= 1;
      size -= 1;
      if (entries.first !== undefined) continue;
      caller.operations.remove(queue.link);
      caller.byRequest.delete(requestId);
      if (caller.size > 0) continue;
      callers.remove(caller.link);
      byCaller.delete(caller.caller);
    }
  }
}
