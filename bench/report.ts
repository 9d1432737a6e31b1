import type { Figures } from './compare.ts';
import { type ServerName, servers } from './servers.ts';
import { type WorkloadName, workloads } from './workloads.ts';

export type Results = ReadonlyMap<WorkloadName, ReadonlyMap<ServerName, Figures>>;

const columns: readonly (readonly [title: string, (figures: Figures) => string])[] = [
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

const percent = (share: number) => `${(share * 100).toFixed(0)} %`;

/** One Markdown table: a row for each server of each workload. */
export function tableOf(results: Results): string {
  const titles = ['workload', 'server', 'CPU ms / 1,000', 'ratio', ...columns.map(([title]) => title)];
  const rows = [...results].flatMap(([workload, byServer]) =>
    [...byServer].map(([name, figures]) => {
      const ratio = ratioOf(byServer, figures)?.toFixed(2) ?? '';
      return [workload, name, precise(figures.cpuMsPer1000), ratio, ...columns.map(([, print]) => print(figures))];
    }),
  );
  return markdown([titles, ...rows]);
}

/** CPU as a multiple of `limit` in the same run. */
function ratioOf(byServer: ReadonlyMap<ServerName, Figures>, figures: Figures): number | undefined {
  const limit = byServer.get('limit');
  return limit && figures.cpuMsPer1000 / limit.cpuMsPer1000;
}

const precise = (value: number) => value.toFixed(value < 100 ? 1 : 0);

/** Aligned, so that it is readable on a terminal too. Text on the left, numbers on the right. */
export function markdown([titles = [], ...rows]: readonly (readonly string[])[]): string {
  const widths = titles.map((title, index) => Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)));
  const isText = (index: number) => rows.some((row) => /^[a-z]/i.test(row[index] ?? ''));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, index) => (isText(index) ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0))).join(' | ')} |`;
  const rule = widths.map((width, index) => (isText(index) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(titles), line(rule), ...rows.map(line)].join('\n');
}

/** What the names in the table stand for. */
export function legendOf(results: Results): string {
  const names = new Set([...results.values()].flatMap((byServer) => [...byServer.keys()]));
  return [
    ...[...results.keys()].map(
      (name) => `- ${name}: ${workloads[name].title}, ${workloads[name].connections} connections`,
    ),
    ...[...names].map((name) => `- ${name}: ${servers[name].title}`),
  ].join('\n');
}
