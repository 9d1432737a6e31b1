import type { Bench, Figures } from './compare.ts';
import type { ServerName } from './servers.ts';
import { listWorkload, type Workload, workloads } from './workloads.ts';

/** Throughput of the gateway against the latency of the upstream, for one size of the connection pool. */
export interface LatencyPoint {
  readonly connections: number;
  readonly delayMs: number;
  readonly figures: Figures;
}

/** Cost of a list against its size. */
export interface BatchPoint {
  readonly server: ServerName;
  readonly size: number;
  readonly usPerCustomer: number;
}

export interface Scale {
  readonly latency: readonly LatencyPoint[];
  readonly batch: readonly BatchPoint[];
}

interface ScaleOptions {
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

const pools = [64, 256];
const delaysMs = [0, 5, 20, 100];
/** More clients than connections, so that the pool is never idle. */
const clients = 512;
const sizes = [1, 2, 5, 10, 20, 50, 100];
/** Customers in flight, for every size. */
const customersInFlight = 400;

/** Measures how the gateway behaves with slow upstreams and with lists of different sizes. */
export async function measureScale(bench: Bench, options: ScaleOptions): Promise<Scale> {
  return { latency: await measureLatency(bench, options), batch: await measureBatch(bench, options) };
}

async function measureLatency(bench: Bench, options: ScaleOptions): Promise<LatencyPoint[]> {
  const workload: Workload = { ...workloads.W1, connections: clients };
  const points: LatencyPoint[] = [];
  for (const connections of pools) {
    const candidate = await bench.start('gateway', workload, { connections });
    await bench.warmUp(candidate, workload, options.warmUpSeconds);
    for (const delayMs of delaysMs) {
      await bench.upstream.delay(delayMs);
      const figures = await bench.measure(candidate, workload, options.seconds, 1);
      points.push({ connections, delayMs, figures });
    }
    await candidate.server.stop();
  }
  return points;
}

async function measureBatch(bench: Bench, { seconds, warmUpSeconds }: ScaleOptions): Promise<BatchPoint[]> {
  const points: BatchPoint[] = [];
  for (const server of ['limit', 'gateway'] as const) {
    for (const size of sizes) {
      const workload = { ...listWorkload(size), connections: Math.min(64, Math.ceil(customersInFlight / size)) };
      const candidate = await bench.start(server, workload);
      await bench.warmUp(candidate, workload, warmUpSeconds);
      const { cpuMsPer1000 } = await bench.measure(candidate, workload, seconds, 0.2);
      points.push({ server, size, usPerCustomer: cpuMsPer1000 / size });
      await candidate.server.stop();
    }
  }
  return points;
}
