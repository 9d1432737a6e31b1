import { performance } from 'node:perf_hooks';
import { Pool } from 'undici';
import { operationOf, type WorkloadName } from './workloads.ts';

/** One round: `operations` over 64 connections, each with one request in flight at all times. */
export interface Order {
  readonly origin: string;
  readonly path: string;
  readonly isPlain: boolean;
  readonly workload: WorkloadName;
  /** Number of the first operation. Every operation of a run has its own customers. */
  readonly first: number;
  readonly operations: number;
}

export type Report =
  | { readonly ok: true; readonly elapsedMs: number; readonly p50Ms: number; readonly p99Ms: number }
  | { readonly ok: false; readonly reason: string };

const connections = 64;
const pools = new Map<string, Pool>();

// Keep the process alive between two rounds.
process.channel?.ref();
process.on('message', (order: Order) => {
  round(order).then(
    (report) => process.send?.(report),
    (error: unknown) => process.send?.({ ok: false, reason: String(error) } satisfies Report),
  );
});

async function round({ origin, path, isPlain, workload, first, operations }: Order): Promise<Report> {
  const pool = pools.get(origin) ?? new Pool(origin, { connections, headersTimeout: 30_000, bodyTimeout: 30_000 });
  pools.set(origin, pool);
  const latencies: number[] = [];
  let next = 0;
  let wrong: string | undefined;

  const worker = async () => {
    while (next < operations && wrong === undefined) {
      const { body, check } = operationOf(workload, first + next, isPlain);
      next += 1;
      const startedAt = performance.now();
      const answer = await pool.request({
        method: 'POST',
        path,
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body,
      });
      const text = await answer.body.text();
      latencies.push(performance.now() - startedAt);
      const why = answer.statusCode === 200 ? check(JSON.parse(text)) : `status ${answer.statusCode}`;
      if (why !== undefined) wrong ??= `${why}; answer: ${text.slice(0, 500)}`;
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: Math.min(connections, operations) }, worker));
  const elapsedMs = performance.now() - startedAt;
  if (wrong !== undefined) return { ok: false, reason: wrong };

  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.max(0, Math.ceil(latencies.length * share) - 1)] ?? Number.NaN;
  return { ok: true, elapsedMs, p50Ms: at(0.5), p99Ms: at(0.99) };
}
