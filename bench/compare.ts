import { compile, type LoadReport, runLoad, startUpstream, type Upstream } from './native.ts';
import { residentMb, signalAll } from './processes.ts';
import type { ByServer } from './results.ts';
import {
  assertEverythingOn,
  bodyOf,
  firstAnswer,
  type Running,
  requestOf,
  type ServerName,
  type ServerOptions,
  startServer,
} from './servers.ts';
import { fill, problemOf, templateOf, toTemplate, type Workload } from './workloads.ts';

/** One measurement, or the medians of several. */
export interface Figures {
  readonly cpuMsPer1000: number;
  /** The smallest of `cpuMsPer1000`: what other processes disturb least. */
  readonly minCpuMsPer1000: number;
  /** Distance of the quartiles of `cpuMsPer1000` from each other, as a share of the median. */
  readonly spread: number;
  readonly perSecond: number;
  readonly elapsedSeconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly callsPerOperation: number;
  readonly memoryMb: number;
  /** Failed and wrong responses. Medians hold the sum. */
  readonly errors: number;
  /**
   * Share of its core that the server used, and the shares of the other core that upstream and load generator used. Above 1 for a server
   * that runs on both cores.
   */
  readonly serverShare: number;
  readonly upstreamShare: number;
  readonly loadShare: number;
  /** Share of `cpuMsPer1000` that the first process of the server used. With `WORKERS`, this is the supervisor. */
  readonly firstProcessShare: number;
}

/** A server that is ready to be measured. */
interface Candidate {
  readonly server: Running;
  readonly request: string;
  readonly response: string;
}

export interface Bench {
  readonly folder: string;
  readonly upstream: Upstream;
  start(name: ServerName, workload: Workload, options?: Partial<ServerOptions>): Promise<Candidate>;
  measure(candidate: Candidate, workload: Workload, seconds: number, primeSeconds: number): Promise<Figures>;
  /** Unmeasured load. */
  warmUp(candidate: Candidate, workload: Workload, seconds: number): Promise<LoadReport>;
}

/** Numbers of operations begin here, so that no other number in a response looks like one. */
const firstNumber = 7_000_000_000;

/** Compiles and starts upstream and load generator. */
/** @param settings further settings of the gateway, but not of the baseline. */
export async function createBench(folder: string, settings: Readonly<Record<string, string>> = {}): Promise<Bench> {
  compile(folder);
  const upstream = await startUpstream(folder);
  let next = firstNumber;

  const load = async (
    { server, request, response }: Candidate,
    workload: Workload,
    [seconds, primeSeconds]: readonly [number, number],
    onReady: () => Promise<unknown> = async () => {},
  ): Promise<LoadReport> => {
    const { connections, stride } = workload;
    const pids = [upstream.pid, ...server.pids()];
    const options = { port: server.port, connections, seconds, primeSeconds, first: next, stride, request, response };
    const report = await runLoad(folder, { ...options, pids, onReady });
    next = report.next;
    return report;
  };

  return {
    folder,
    upstream,
    async start(name, workload, options = {}) {
      await upstream.delay(workload.delayMs);
      const withToken = workload.plain['withToken'] === true;
      const server = await startServer(name, { folder, upstream: upstream.origin, withToken, settings, ...options });
      const body = bodyOf(name, workload);
      const n = next;
      next += 1;
      const text = await firstAnswer(server, fill(body, n, workload.stride));
      const problem = problemOf(workload, n, text, name === 'tailcall');
      if (problem) throw new Error(`${name} answers the operation of the workload wrongly: ${problem}`);
      if (server.metricsPort) await assertEverythingOn(server);
      const request = toTemplate(requestOf(name, server.port, workload));
      return { server, request, response: templateOf(text, n, workload) };
    },
    warmUp: (candidate, workload, seconds) => load(candidate, workload, [seconds, 0.05]),
    async measure(candidate, workload, seconds, primeSeconds) {
      const report = await load(candidate, workload, [seconds, primeSeconds], () => upstream.takeCalls());
      const calls = await upstream.takeCalls();
      const { operations, errors, elapsedNs, loadNs, p50Ms, p99Ms, wrong } = report;
      const [upstreamNs = 0, ...own] = report.cpuNs;
      const cpuNs = own.reduce((sum, value) => sum + value, 0);
      if (wrong) process.stderr.write(`${candidate.server.name}: ${errors} wrong responses, such as ${wrong}\n`);
      return {
        cpuMsPer1000: cpuNs / 1e3 / operations,
        minCpuMsPer1000: cpuNs / 1e3 / operations,
        spread: 0,
        perSecond: (operations * 1e9) / elapsedNs,
        elapsedSeconds: elapsedNs / 1e9,
        p50Ms,
        p99Ms,
        callsPerOperation: calls / operations,
        memoryMb: residentMb(candidate.server.pids()),
        errors,
        serverShare: cpuNs / elapsedNs,
        upstreamShare: upstreamNs / elapsedNs,
        loadShare: loadNs / elapsedNs,
        firstProcessShare: (own[0] ?? 0) / cpuNs,
      };
    },
  };
}

export interface CompareOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** Replaces the warm-up of the workload. */
  readonly warmUpSeconds: number | undefined;
}

/** Measures the servers with one workload. */
export async function compare(
  bench: Bench,
  workload: Workload,
  names: readonly ServerName[],
  { warmUpSeconds = workload.warmUpSeconds, ...options }: CompareOptions,
): Promise<ByServer> {
  const contestants = names.map((name) => ({ name, warmUpSeconds }));
  const medians = await interleave(bench, workload, contestants, options);
  return Object.fromEntries(names.map((name, index) => [name, medians[index]]));
}

/** A server of a comparison. Each round measures all of them, one after the other. */
interface Contestant {
  readonly name: ServerName;
  readonly options?: Partial<ServerOptions>;
  readonly warmUpSeconds: number;
}

/**
 * Measures servers with one workload. All are alive; all but the measured one are stopped. The rounds are interleaved (A B C, C B A, …),
 * so that disturbances affect all servers.
 *
 * @returns the medians of each server, in the order of `contestants`.
 */
export async function interleave(
  bench: Bench,
  workload: Workload,
  contestants: readonly Contestant[],
  { rounds, seconds }: Pick<CompareOptions, 'rounds' | 'seconds'>,
): Promise<Figures[]> {
  const entries: { readonly candidate: Candidate; readonly samples: Figures[] }[] = [];
  try {
    for (const { name, options, warmUpSeconds } of contestants) {
      const candidate = await bench.start(name, workload, options);
      entries.push({ candidate, samples: [] });
      await bench.warmUp(candidate, workload, warmUpSeconds);
      signalAll(candidate.server.pids(), 'SIGSTOP');
    }
    for (let round = 0; round < rounds; round += 1) {
      for (const { candidate, samples } of round % 2 === 0 ? entries : entries.toReversed()) {
        signalAll(candidate.server.pids(), 'SIGCONT');
        samples.push(await bench.measure(candidate, workload, seconds, seconds / 6));
        signalAll(candidate.server.pids(), 'SIGSTOP');
      }
    }
  } finally {
    for (const { candidate } of entries) await candidate.server.stop();
  }
  return entries.map(({ samples }) => mediansOf(samples));
}

export function mediansOf(samples: readonly Figures[]): Figures {
  const of = (field: keyof Figures) => median(samples.map((sample) => sample[field]));
  return {
    cpuMsPer1000: of('cpuMsPer1000'),
    minCpuMsPer1000: Math.min(...samples.map(({ minCpuMsPer1000 }) => minCpuMsPer1000)),
    spread: spreadOf(samples.map(({ cpuMsPer1000 }) => cpuMsPer1000)),
    perSecond: of('perSecond'),
    elapsedSeconds: of('elapsedSeconds'),
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    callsPerOperation: of('callsPerOperation'),
    memoryMb: of('memoryMb'),
    errors: samples.reduce((sum, { errors }) => sum + errors, 0),
    serverShare: of('serverShare'),
    upstreamShare: of('upstreamShare'),
    loadShare: of('loadShare'),
    firstProcessShare: of('firstProcessShare'),
  };
}

function spreadOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.round((sorted.length - 1) * share)] ?? Number.NaN;
  return (at(0.75) - at(0.25)) / at(0.5);
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
