import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { barChart, lineChart, longestBar } from './chart.ts';
import type { Figures } from './compare.ts';
import { batchOf, latencyOf, measuredIn, ratioOf, ratiosOf, singleOf, startsOf, tableOf, workersOf } from './report.ts';
import type { Results } from './results.ts';
import type { WorkersPoint } from './scale.ts';
import { root } from './servers.ts';
import { workloadNames } from './workloads.ts';

const page = 'docs/performance.md';

/** The generated files of the documentation, by path. */
export function docsOf(results: Results): ReadonlyMap<string, string> {
  const blocks: Readonly<Record<string, string>> = {
    ratios: `${results.conditions}\n\n${ratiosOf(results.workloads)}`,
    figures: tableOf(results.workloads),
    starts: startsOf(results.starts),
    latency: latencyOf(results.scale),
    batch: batchOf(results.scale),
    workers: workersOf(results.scale),
  };
  let text = readFileSync(join(root, page), 'utf8');
  for (const [name, block] of Object.entries(blocks)) {
    text = text.replace(
      new RegExp(`(<!-- bench: ${name} -->\n)[\\s\\S]*?(<!-- /bench -->)`),
      (_, begin: string, end: string) => `${begin}\n${block}\n\n${end}`,
    );
  }
  return new Map([
    [page, text],
    ['docs/charts/cpu.svg', cpuChart(results)],
    ['docs/charts/latency.svg', latencyChart(results)],
    ['docs/charts/batch.svg', batchChart(results)],
    ['docs/charts/workers.svg', workersChart(results.scale.workers)],
  ]);
}

export function writeDocs(results: Results): void {
  mkdirSync(join(root, 'docs/charts'), { recursive: true });
  for (const [path, text] of docsOf(results)) writeFileSync(join(root, path), text);
}

const titles = {
  W1: 'W1 one customer with the token',
  W2: 'W2 50 aliases over 10 customers',
  W3: 'W3 a list of 100 customers',
  W4: 'W4 100 entities over 30 customers',
  W5: 'W5 a create',
  W6: 'W6 as W1, upstream latency 20 ms',
  W7: 'W7 one id for everybody',
  W8: 'W8 every document is new',
} as const;

function cpuChart({ workloads }: Results): string {
  const groups = workloadNames.map((workload) => ({
    title: titles[workload],
    bars: measuredIn(workloads[workload])
      .filter(([name]) => name !== 'limit')
      .map(([name]) => ({
        name,
        value: ratioOf(workloads[workload], name) ?? Number.NaN,
        isMain: name === 'gateway',
      })),
  }));
  return barChart(
    'CPU per operation, as a multiple of a bare proxy',
    `less is better; the line is the bare proxy, 1.00; bars above ${longestBar} are cut`,
    groups,
  );
}

function latencyChart({ scale: { latency } }: Results): string {
  const pools = [...new Set(latency.map(({ connections }) => connections))];
  return lineChart({
    title: 'Throughput against the latency of the upstream',
    xTitle: 'upstream latency, ms',
    yTitle: 'operations per second, one process',
    lines: pools.map((pool, index) => ({
      name: `${pool} connections`,
      isMain: index === pools.length - 1,
      points: latency
        .filter(({ connections }) => connections === pool)
        .map(({ delayMs, figures }) => [delayMs, figures.perSecond] as const),
    })),
  });
}

function batchChart({ scale: { batch } }: Results): string {
  return lineChart({
    title: 'CPU per customer of a list',
    xTitle: 'customers in the list',
    yTitle: 'CPU µs per customer',
    lines: (['limit', 'gateway'] as const).map((name) => ({
      name: name === 'limit' ? 'bare proxy' : 'this gateway',
      isMain: name === 'gateway',
      points: batch
        .filter(({ server }) => server === name)
        .map(({ size, usPerCustomer }) => [size, usPerCustomer] as const),
    })),
  });
}

function workersChart(points: readonly WorkersPoint[]): string {
  const groups = points
    .filter(({ workers }) => workers > 1)
    .map((point) => {
      const single = singleOf(points, point);
      const bar = (name: string, field: keyof Figures) => ({
        name,
        value: point.figures[field] / single[field],
        isMain: field === 'perSecond',
      });
      return {
        title: `${point.workload}, upstream latency ${point.delayMs} ms`,
        bars: [
          bar('op / s', 'perSecond'),
          bar('p50', 'p50Ms'),
          bar('p99', 'p99Ms'),
          bar('CPU / op', 'cpuMsPer1000'),
          bar('memory', 'memoryMb'),
        ],
      };
    });
  return barChart(
    'Two workers, as a multiple of one worker',
    'the line is one worker, 1.00; upstream and load generator use the same two cores',
    groups,
  );
}
