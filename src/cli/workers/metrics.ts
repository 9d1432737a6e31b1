import type { Snapshot } from '../../telemetry/aggregate.ts';
import { counterSnapshot, type MetricsText, mergeSnapshots, printed, totalsOf } from '../../telemetry/aggregate.ts';
import { supervisorCounters } from '../../telemetry/metrics.ts';
import type { WorkerProcess } from './fleet.ts';

/** The metrics of all workers as one text. */
export interface CollectedMetrics extends MetricsText {
  readonly openMetrics: MetricsText;
  /** Stores the metrics of a worker. `id` belongs to the request of {@link read}. */
  receive(worker: WorkerProcess, snapshot: Snapshot, id: number | undefined): void;
  /** Keeps the totals of a worker that has ended. */
  retire(worker: WorkerProcess): void;
  restarted(): void;
  /** Counts log lines that the supervisor dropped. */
  logLinesDropped(count: number): void;
}

/** Maximum wait for the workers. The last known metrics of a worker that does not reply are used. */
const replyMs = 1_000;

/** @param running the workers that listen. */
export function collectMetrics(running: () => readonly WorkerProcess[]): CollectedMetrics {
  const latest = new Map<WorkerProcess, Snapshot>();
  const requests = new Map<number, { missing: Set<WorkerProcess>; done: () => void }>();
  /** The totals of the workers that have ended. Without them a counter would decrease. */
  let retired: Snapshot = [];
  let restarts = 0;
  let droppedLines = 0;
  let lastId = 0;
  let reading: Promise<Snapshot> | undefined;

  return {
    ...printed(() => {
      reading ??= collect().finally(() => {
        reading = undefined;
      });
      return reading;
    }),
    receive(worker, snapshot, id) {
      latest.set(worker, snapshot);
      if (id !== undefined) settle(id, worker);
    },
    retire(worker) {
      const last = latest.get(worker);
      latest.delete(worker);
      if (last) retired = mergeSnapshots([retired, totalsOf(last)]);
      for (const id of [...requests.keys()]) settle(id, worker);
    },
    restarted() {
      restarts += 1;
    },
    logLinesDropped(count) {
      droppedLines += count;
    },
  };

  async function collect(): Promise<Snapshot> {
    const workers = running();
    const id = ++lastId;
    if (workers.length > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      requests.set(id, { missing: new Set(workers), done: resolve });
      const timer = setTimeout(resolve, replyMs);
      for (const worker of workers) worker.send({ type: 'read-metrics', id });
      await promise;
      clearTimeout(timer);
      requests.delete(id);
    }
    return mergeSnapshots([...latest.values(), retired, own()]);
  }

  function settle(id: number, worker: WorkerProcess): void {
    const request = requests.get(id);
    if (request?.missing.delete(worker) && request.missing.size === 0) request.done();
  }

  /** The counters of the supervisor. Each worker has the same ones, with their descriptions. */
  function own(): Snapshot {
    return [
      ...counterSnapshot(supervisorCounters.restarts, restarts),
      ...counterSnapshot(supervisorCounters.droppedLines, droppedLines),
    ];
  }
}
