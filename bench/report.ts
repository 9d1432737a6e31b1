import type { Figures } from './compare.ts';
import type { ByServer, ByWorkload } from './results.ts';
import type { Scale, WorkersPoint } from './scale.ts';
import { type ServerName, serverNames, servers } from './servers.ts';
import type { StartTimes } from './start.ts';
import { workloadNames, workloads } from './workloads.ts';

const percent = (share: number) => `${(share * 100).toFixed(0)} %`;
const precise = (value: number) => value.toFixed(value < 100 ? 1 : 0);

const columns: readonly (readonly [title: string, (figures: Figures) => string])[] = [
  ['CPU ms / 1,000', ({ cpuMsPer1000 }) => precise(cpuMsPer1000)],
  ['min', ({ minCpuMsPer1000 }) => precise(minCpuMsPer1000)],
  ['spread', ({ spread }) => percent(spread)],
  ['operations / s', ({ perSecond }) => perSecond.toFixed(0)],
  ['p50 ms', ({ p50Ms }) => p50Ms.toFixed(1)],
  ['p99 ms', ({ p99Ms }) => p99Ms.toFixed(1)],
  ['upstream calls / operation', ({ callsPerOperation }) => callsPerOperation.toFixed(2)],
  ['memory MB', ({ memoryMb }) => memoryMb.toFixed(0)],
  ['errors', ({ errors }) => String(errors)],
  ['core of server', ({ serverShare }) => percent(serverShare)],
  ['upstream', ({ upstreamShare }) => percent(upstreamShare)],
  ['load', ({ loadShare }) => percent(loadShare)],
];

/** All figures: a row for each server of each workload. */
export function tableOf(results: ByWorkload): string {
  const rows = workloadNames.flatMap((workload) =>
    measuredIn(results[workload]).map(([name, figures]) => {
      const ratio = ratioOf(results[workload], name)?.toFixed(2) ?? '';
      return [workload, name, ratio, ...columns.map(([, print]) => print(figures))];
    }),
  );
  return markdown([['workload', 'server', 'ratio', ...columns.map(([title]) => title)], ...rows]);
}

/** CPU of each server as a multiple of `limit`: a row for each workload. */
export function ratiosOf(results: ByWorkload): string {
  const names = serverNames.filter((name) => workloadNames.some((workload) => results[workload]?.[name] !== undefined));
  const rows = workloadNames.flatMap((workload) => {
    const byServer = results[workload];
    if (!byServer) return [];
    const cells = names.map((name) => {
      if (name === 'limit') return `${precise(byServer.limit?.cpuMsPer1000 ?? Number.NaN)} ms`;
      return ratioOf(byServer, name)?.toFixed(2) ?? '';
    });
    return [[workload, workloads[workload].title, ...cells]];
  });
  return markdown([['', 'operation', ...names], ...rows]);
}

/** CPU as a multiple of `limit` in the same run. */
export function ratioOf(byServer: ByServer | undefined, name: ServerName): number | undefined {
  const [own, limit] = [byServer?.[name], byServer?.limit];
  return own && limit && own.cpuMsPer1000 / limit.cpuMsPer1000;
}

export function measuredIn(byServer: ByServer = {}): [ServerName, Figures][] {
  return serverNames.flatMap((name): [ServerName, Figures][] => (byServer[name] ? [[name, byServer[name]]] : []));
}

/** What the names in the tables stand for. */
export function legendOf(results: ByWorkload): string {
  const measured = workloadNames.filter((name) => results[name] !== undefined);
  const names = serverNames.filter((name) => measured.some((workload) => results[workload]?.[name] !== undefined));
  return [
    ...measured.map((name) => `- ${name}: ${workloads[name].title}, ${workloads[name].connections} connections`),
    ...names.map((name) => `- ${name}: ${servers[name].title}`),
  ].join('\n');
}

export function startsOf(times: StartTimes): string {
  const rows = Object.entries(times).map(([title, ms]) => [title, ms.toFixed(0)]);
  return markdown([['command', 'first response after ms'], ...rows]);
}

export function latencyOf({ latency = [] }: Partial<Scale>): string {
  const rows = latency.map(({ connections, delayMs, figures }) => [
    String(connections),
    String(delayMs),
    figures.perSecond.toFixed(0),
    figures.p50Ms.toFixed(0),
    figures.p99Ms.toFixed(0),
    percent(figures.serverShare),
  ]);
  const titles = ['`JUSPAY_CONNECTIONS`', 'upstream latency ms', 'operations / s', 'p50 ms', 'p99 ms', 'core'];
  return markdown([titles, ...rows]);
}

export function batchOf({ batch = [] }: Partial<Scale>): string {
  const sizes = [...new Set(batch.map(({ size }) => size))];
  const cost = (server: ServerName, size: number) =>
    batch.find((point) => point.server === server && point.size === size)?.usPerCustomer ?? Number.NaN;
  const rows = sizes.map((size) => {
    const [own, limit] = [cost('gateway', size), cost('limit', size)];
    return [String(size), own.toFixed(1), limit.toFixed(1), (own / limit).toFixed(2)];
  });
  return markdown([['customers in the list', 'gateway, CPU µs / customer', 'limit', 'ratio'], ...rows]);
}

export function workersOf({ workers: points = [] }: Partial<Scale>): string {
  const rows = points.map((point) => {
    const { workload, delayMs, workers, figures } = point;
    return [
      workload,
      String(delayMs),
      String(workers),
      figures.perSecond.toFixed(0),
      (figures.perSecond / singleOf(points, point).perSecond).toFixed(2),
      figures.p50Ms.toFixed(1),
      figures.p99Ms.toFixed(1),
      precise(figures.cpuMsPer1000),
      workers === 1 ? '' : precise(figures.cpuMsPer1000 * figures.firstProcessShare),
      percent(figures.serverShare),
      percent(figures.upstreamShare),
      percent(figures.loadShare),
      figures.memoryMb.toFixed(0),
      String(figures.errors),
    ];
  });
  const titles = [
    'workload',
    'upstream latency ms',
    '`WORKERS`',
    'operations / s',
    'gain',
    'p50 ms',
    'p99 ms',
    'CPU µs / operation',
    'supervisor',
    'cores',
    'upstream',
    'load',
    'memory MB',
    'errors',
  ];
  return markdown([titles, ...rows]);
}

/** The figures of one worker under the same load. */
export function singleOf(points: readonly WorkersPoint[], { workload, delayMs }: WorkersPoint): Figures {
  const single = points.find(
    (point) => point.workers === 1 && point.workload === workload && point.delayMs === delayMs,
  );
  if (!single) throw new Error(`${workload} with ${delayMs} ms is not measured with one worker`);
  return single.figures;
}

/** Aligned, so that it is readable on a terminal too. Text on the left, numbers on the right. */
export function markdown([titles = [], ...rows]: readonly (readonly string[])[]): string {
  const widths = titles.map((title, index) => Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)));
  const isText = (index: number) => rows.some((row) => /^[a-z(`]/i.test(row[index] ?? ''));
  const pad = (cell: string, index: number) =>
    isText(index) ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0);
  const line = (cells: readonly string[]) => `| ${cells.map(pad).join(' | ')} |`;
  const rule = widths.map((width, index) => (isText(index) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(titles), line(rule), ...rows.map(line)].join('\n');
}
