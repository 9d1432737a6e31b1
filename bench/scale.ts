import { type Bench, type CompareOptions, type Figures, interleave, mediansOf } from './compare.ts';
import type { ServerName } from './servers.ts';
import { listWorkload, type Workload, type WorkloadName, workloads } from './workloads.ts';

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

/** The gateway with a number of workers on two cores, which upstream and load generator use too. */
export interface WorkersPoint {
  readonly workload: WorkloadName;
  readonly delayMs: number;
  readonly workers: number;
  readonly figures: Figures;
}

export interface Scale {
  readonly latency: readonly LatencyPoint[];
  readonly batch: readonly BatchPoint[];
  readonly workers: readonly WorkersPoint[];
}

export const scaleParts = ['latency', 'batch', 'workers'] as const;
export type ScalePart = (typeof scaleParts)[number];

interface ScaleOptions extends CompareOptions {
  readonly warmUpSeconds: number;
}

const pools = [64, 256];
const delaysMs = [0, 5, 20, 100];
/** More clients than connections, so that the pool is never idle. */
const clients = 512;
const sizes = [1, 2, 5, 10, 20, 50, 100];
/** Customers in flight, for every size. */
const customersInFlight = 400;

const workerCounts = [1, 2];
/**
 * A read, and a write, which is announced to the other workers before its response. In W5, the provider and the load generator use the
 * smallest part of the CPU time of an operation, so they leave most of the second core to the second worker.
 */
const workersWorkloads = ['W1', 'W5'] as const;
const workersDelaysMs = [0, 20];
/** Number of clients. `JUSPAY_CONNECTIONS` has the same value, and is divided between the workers. */
const workersConnections = 256;

/** Measures how the gateway behaves with slow upstreams, with lists of different sizes, or with several workers. */
export async function measureScale(bench: Bench, part: ScalePart, options: ScaleOptions): Promise<Partial<Scale>> {
  switch (part) {
    case 'latency':
      return { latency: await measureLatency(bench, options) };
    case 'batch':
      return { batch: await measureBatch(bench, options) };
    case 'workers':
      return { workers: await measureWorkers(bench, options) };
  }
}

async function measureLatency(bench: Bench, { rounds, seconds, warmUpSeconds }: ScaleOptions): Promise<LatencyPoint[]> {
  const workload: Workload = { ...workloads.W1, connections: clients };
  const points: LatencyPoint[] = [];
  for (const connections of pools) {
    const candidate = await bench.start('gateway', workload, { connections });
    await bench.warmUp(candidate, workload, warmUpSeconds);
    const samples = delaysMs.map((): Figures[] => []);
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, delayMs] of delaysMs.entries()) {
        await bench.upstream.delay(delayMs);
        samples[index]?.push(await bench.measure(candidate, workload, seconds, seconds / 6));
      }
    }
    await candidate.server.stop();
    for (const [index, delayMs] of delaysMs.entries()) {
      points.push({ connections, delayMs, figures: mediansOf(samples[index] ?? []) });
    }
  }
  return points;
}

async function measureBatch(bench: Bench, { rounds, seconds, warmUpSeconds }: ScaleOptions): Promise<BatchPoint[]> {
  const servers = ['limit', 'gateway'] as const;
  const contestants = servers.map((name) => ({ name, warmUpSeconds }));
  const points: BatchPoint[] = [];
  for (const size of sizes) {
    const workload = { ...listWorkload(size), connections: Math.min(64, Math.ceil(customersInFlight / size)) };
    const medians = await interleave(bench, workload, contestants, { rounds, seconds });
    for (const [index, { cpuMsPer1000 }] of medians.entries()) {
      points.push({ server: servers[index] ?? 'limit', size, usPerCustomer: cpuMsPer1000 / size });
    }
  }
  return points;
}

async function measureWorkers(bench: Bench, { rounds, seconds, warmUpSeconds }: ScaleOptions): Promise<WorkersPoint[]> {
  const points: WorkersPoint[] = [];
  // Each worker is a process with compiled code of its own, so two need twice the warm-up.
  const contestants = workerCounts.map((workers) => ({
    name: 'gateway' as const,
    options: { core: 'both' as const, connections: workersConnections, settings: { WORKERS: String(workers) } },
    warmUpSeconds: warmUpSeconds * workers,
  }));
  for (const name of workersWorkloads) {
    for (const delayMs of workersDelaysMs) {
      const workload: Workload = { ...workloads[name], connections: workersConnections, delayMs };
      const medians = await interleave(bench, workload, contestants, { rounds, seconds });
      medians.forEach((figures, index) => {
        points.push({ workload: name, delayMs, workers: workerCounts[index] ?? Number.NaN, figures });
      });
    }
  }
  return points;
}
