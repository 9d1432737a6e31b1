import type { Cancellation } from '../customers/cancellation.ts';
import type { Operation } from '../customers/customer.ts';

/** The caller and the operation that wait for a connection. A shared read has several of them. */
export type Waiter = Pick<Operation, 'caller' | 'requestId' | 'sharedRead'>;

/** Maximum number of waiting calls per merchant. At this number, calls of the callers with the longest queues are refused. */
const maxWaiting = 20_000;

/** A call that waits for a free connection. */
interface Entry {
  readonly settle: (result: SlotResult) => void;
  readonly places: { readonly caller: string; readonly requestId: string }[];
}

/** `expired`: the wait took too long or was cancelled. `full`: too many calls wait. */
export type SlotResult = 'taken' | 'expired' | 'full';

/**
 * Shares the connections fairly: round robin by caller, then by operation, then first in, first out. A caller with many calls
 * does not delay the calls of other callers. The queue of the pool is not used: waiting there takes from the attempt's time,
 * and a call cannot leave that queue.
 */
export function createSlots(count: number, limit = maxWaiting) {
  let free = count;
  const queue = createFairQueue(limit);
  return {
    take(
      waitMs: () => number,
      cancellation: Cancellation | undefined,
      waiter: Waiter,
    ): Promise<SlotResult> | SlotResult {
      if (cancellation?.isCancelled) return 'expired';
      if (free > 0) {
        free -= 1;
        return 'taken';
      }
      if (!queue.makeRoom(waiter.caller)) return 'full';
      return new Promise((resolve) => {
        const settle = (result: SlotResult) => {
          clearTimeout(timer);
          cancellation?.remove(listener);
          waiter.sharedRead?.joinListeners.delete(onJoined);
          queue.remove(entry);
          resolve(result);
        };
        const entry: Entry = { settle, places: [] };
        const listener = { onCancel: () => settle('expired') };
        // A shared read has a place in the queue of each of its callers, including those that join later.
        const onJoined = ({ caller, requestId }: Waiter) => queue.add(entry, caller, requestId);
        const watch = () => {
          const ms = waitMs();
          if (ms > 0) timer = setTimeout(watch, ms);
          else settle('expired');
        };
        let timer = setTimeout(watch, Math.max(1, waitMs()));
        cancellation?.add(listener);
        for (const each of waiter.sharedRead?.waiters ?? [waiter]) onJoined(each);
        waiter.sharedRead?.joinListeners.add(onJoined);
      });
    },
    release(): void {
      const next = queue.next();
      if (next === undefined) free += 1;
      else next.settle('taken');
    },
  };
}

/** The waiting calls of one caller. */
interface CallerQueue {
  readonly operations: Map<string, Set<Entry>>;
  size: number;
}

function createFairQueue(limit: number) {
  // In the order of their turns: a caller moves to the end when it gets a connection.
  const callerQueues = new Map<string, CallerQueue>();
  let size = 0;

  return {
    add(entry: Entry, caller: string, requestId: string): void {
      const queued = callerQueues.get(caller) ?? { operations: new Map(), size: 0 };
      const entries = queued.operations.get(requestId) ?? new Set();
      if (entries.has(entry)) return;
      callerQueues.set(caller, queued);
      queued.operations.set(requestId, entries.add(entry));
      queued.size += 1;
      size += 1;
      entry.places.push({ caller, requestId });
    },

    remove(entry: Entry): void {
      for (const { caller, requestId } of entry.places.splice(0)) {
        const queued = callerQueues.get(caller);
        const entries = queued?.operations.get(requestId);
        if (queued === undefined || entries === undefined) continue;
        entries.delete(entry);
        queued.size -= 1;
        size -= 1;
        if (entries.size === 0) queued.operations.delete(requestId);
        if (queued.size === 0) callerQueues.delete(caller);
      }
    },

    next(): Entry | undefined {
      for (const [caller, queued] of callerQueues) {
        for (const [requestId, entries] of queued.operations) {
          for (const entry of entries) {
            moveToEnd(callerQueues, caller, queued);
            moveToEnd(queued.operations, requestId, entries);
            return entry;
          }
        }
      }
      return undefined;
    },

    /**
     * Returns whether one more call of this caller may wait. At the limit, the newest call of the longest queue is refused
     * to make room, if that queue is longer than the one of this caller.
     */
    makeRoom(caller: string): boolean {
      if (size < limit) return true;
      let longest: CallerQueue | undefined;
      for (const queued of callerQueues.values())
        if (longest === undefined || queued.size > longest.size) longest = queued;
      const own = callerQueues.get(caller)?.size ?? 0;
      if (longest === undefined || longest.size <= own + 1) return false;
      const last = [...longest.operations.values()].at(-1);
      for (const entry of [...(last ?? [])].slice(-1)) entry.settle('full');
      return true;
    },
  };
}

function moveToEnd<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
  map.delete(key);
  map.set(key, value);
}
