import type { DrainPhase } from '../../http/server.ts';
import type { WorkerProcess } from './fleet.ts';

/** Tells the workers when all of them have reached a phase of the drain. */
export interface DrainCoordinator {
  /** All workers stop. Before, a worker stops alone and waits for no other. */
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
    reached(worker, phase) {
      reachedBy[phase].add(worker);
      settle(phase);
    },
    retire(worker) {
      for (const phase of ['drained', 'closed'] as const) {
        // A replacement has the same identity.
        if (hasBegun) reachedBy[phase].add(worker);
        else reachedBy[phase].delete(worker);
        settle(phase);
      }
    },
  };

  function settle(phase: DrainPhase): void {
    if (hasBegun && !running().every((worker) => reachedBy[phase].has(worker))) return;
    for (const worker of reachedBy[phase]) worker.send({ type: 'all-reached', phase });
  }
}
