import type { WorkerProcess } from './fleet.ts';
import type { Write } from './messages.ts';

/** Tells the workers about the writes of each other. */
export interface WriteRelay {
  /** Passes the writes of a worker on, and replies to it when all others know them. */
  announce(worker: WorkerProcess, id: number, writes: readonly Write[]): void;
  /** A worker knows the writes of a message. */
  invalidated(worker: WorkerProcess, id: number): void;
  /** A worker has ended, and with it all its reads. */
  retire(worker: WorkerProcess): void;
}

/** @param running the workers that listen. The others have no reads. */
export function relayWrites(running: () => readonly WorkerProcess[]): WriteRelay {
  /** By the id of the message to the others. A worker that hangs is killed, so that these stay bounded. */
  const relayed = new Map<number, { readonly missing: Set<WorkerProcess>; readonly done: () => void }>();
  let lastId = 0;

  return {
    announce(worker, id, writes) {
      const missing = new Set(running().filter((other) => other !== worker));
      const done = () => worker.send({ type: 'announced', id });
      if (missing.size === 0) return done();
      const relayId = ++lastId;
      relayed.set(relayId, { missing, done });
      for (const other of missing) other.send({ type: 'invalidate', id: relayId, writes });
    },
    invalidated: settle,
    retire(worker) {
      for (const id of [...relayed.keys()]) settle(worker, id);
    },
  };

  function settle(worker: WorkerProcess, id: number): void {
    const entry = relayed.get(id);
    if (entry === undefined || !entry.missing.delete(worker) || entry.missing.size > 0) return;
    relayed.delete(id);
    entry.done();
  }
}
