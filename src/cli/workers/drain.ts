import type { DrainPhase } from '../../http/server.ts';
import type { WorkerProcess } from './fleet.ts';

/** Tells the workers when all of them have reached a phase of the drain. */
export interface DrainCoordinator {
  /** Call it when all workers stop. Without it, a worker stops alone and is answered at once. */
  begin(): void;
  reached(worker: WorkerProcess, phase: DrainPhase): void;
  /** A worker has ended. No other waits for it. */
  retire(worker: WorkerProcess): void;
}

/** @param running the workers that listen. */
export function coordinateDrain(running: () => readonly WorkerProcess[]): DrainCoordinator {
  const reachedBy: Record<DrainPhase, Set<WorkerProcess>> = { drained: new Set(), closed: new Set() };
  let hasBegun = false;

  return {
    begin() {
      hasBegun = true;
    },
    reached,
    retire(worker) {
      for (const phase of ['drained', 'closed'] as const) {
        if (hasBegun) reached(worker, phase);
        // The same object stands for its replacement.
        else reachedBy[phase].delete(worker);
      }
    },
  };

  function reached(worker: WorkerProcess, phase: DrainPhase): void {
    reachedBy[phase].add(worker);
    if (hasBegun && !running().every((other) => reachedBy[phase].has(other))) return;
    for (const waiting of reachedBy[phase]) waiting.send({ type: 'all-reached', phase });
  }
}
