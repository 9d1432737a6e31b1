import type { Operation } from '../customers/customer.ts';

/** For whom a call waits: a caller and an operation of it, and more of them where the call is a read that is shared. */
export type Waiter = Pick<Operation, 'caller' | 'requestId' | 'sharedRead'>;

/** Waiting calls of one merchant: beyond that a caller with more than its share of them is refused. */
const maxWaiting = 20_000;

/** A call that waits for a free connection. */
interface Entry {
  readonly leave: (how: Turn) => void;
  readonly places: { readonly caller: string; readonly requestId: string }[];
}

/** `vain`: the wait took too long, or nobody waits any more; `full`: too many calls wait already. */
export type Turn = 'taken' | 'vain' | 'full';

/**
 * Connections, shared fairly: round robin by caller, then by operation, first come within one operation. So nobody has to
 * wait until all calls of somebody else are through. The pool would queue too, but inside the attempt's time and with no
 * way out of the queue.
 */
export function createSlots(count: number, most = maxWaiting) {
  let free = count;
  const queue = createFairQueue(most);
  return {
    take(waitMs: () => number, signal: AbortSignal | undefined, waiter: Waiter): Promise<Turn> | Turn {
      if (signal?.aborted) return 'vain';
      if (free > 0) {
        free -= 1;
        return 'taken';
      }
      if (!queue.makeRoom(waiter.caller)) return 'full';
      return new Promise((resolve) => {
        const leave = (how: Turn) => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          waiter.sharedRead?.joinListeners.delete(onJoined);
          queue.remove(entry);
          resolve(how);
        };
        const entry: Entry = { leave, places: [] };
        const onAbort = () => leave('vain');
        // A shared read has a turn with each caller that waits for it, also with one that joins later.
        const onJoined = ({ caller, requestId }: Waiter) => queue.add(entry, caller, requestId);
        const watch = () => {
          const ms = waitMs();
          if (ms > 0) timer = setTimeout(watch, ms);
          else leave('vain');
        };
        let timer = setTimeout(watch, Math.max(1, waitMs()));
        signal?.addEventListener('abort', onAbort);
        for (const each of waiter.sharedRead?.waiters ?? [waiter]) onJoined(each);
        waiter.sharedRead?.joinListeners.add(onJoined);
      });
    },
    release(): void {
      const next = queue.next();
      if (next === undefined) free += 1;
      else next.leave('taken');
    },
  };
}

/** What one caller has in the queue. */
interface Line {
  readonly operations: Map<string, Set<Entry>>;
  size: number;
}

function createFairQueue(most: number) {
  // In the order of their turns: who was served goes to the end.
  const lines = new Map<string, Line>();
  let size = 0;

  return {
    add(entry: Entry, caller: string, requestId: string): void {
      const line = lines.get(caller) ?? { operations: new Map(), size: 0 };
      const entries = line.operations.get(requestId) ?? new Set();
      if (entries.has(entry)) return;
      lines.set(caller, line);
      line.operations.set(requestId, entries.add(entry));
      line.size += 1;
      size += 1;
      entry.places.push({ caller, requestId });
    },

    remove(entry: Entry): void {
      for (const { caller, requestId } of entry.places.splice(0)) {
        const line = lines.get(caller);
        const entries = line?.operations.get(requestId);
        if (line === undefined || entries === undefined) continue;
        entries.delete(entry);
        line.size -= 1;
        size -= 1;
        if (entries.size === 0) line.operations.delete(requestId);
        if (line.size === 0) lines.delete(caller);
      }
    },

    next(): Entry | undefined {
      for (const [caller, line] of lines) {
        for (const [requestId, entries] of line.operations) {
          for (const entry of entries) {
            moveToEnd(lines, caller, line);
            moveToEnd(line.operations, requestId, entries);
            return entry;
          }
        }
      }
      return undefined;
    },

    /** Whether one more call of this caller may wait: where all places are taken, only at the expense of a longer line. */
    makeRoom(caller: string): boolean {
      if (size < most) return true;
      let longest: Line | undefined;
      for (const line of lines.values()) if (longest === undefined || line.size > longest.size) longest = line;
      const own = lines.get(caller)?.size ?? 0;
      if (longest === undefined || longest.size <= own + 1) return false;
      const last = [...longest.operations.values()].at(-1);
      for (const entry of [...(last ?? [])].slice(-1)) entry.leave('full');
      return true;
    },
  };
}

function moveToEnd<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
  map.delete(key);
  map.set(key, value);
}
