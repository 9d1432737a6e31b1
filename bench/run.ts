import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Order, Report } from './load.ts';
import { cpuMs, freePort, isPinned, listening, start, stopAll } from './processes.ts';
import { type WorkloadName, workloadNames, workloads } from './workloads.ts';

const here = dirname(fileURLToPath(import.meta.url));

/** Those that are compared; `limit` is what the others are ratios to. */
const servers = {
  limit: { file: 'peers/limit.ts', path: '/', isPlain: true, title: 'bare `node:http` + undici, no GraphQL' },
  gateway: { file: '../src/cli.ts', path: '/graphql', isPlain: false, title: 'this gateway, as shipped' },
  yoga: { file: 'peers/yoga.ts', path: '/graphql', isPlain: false, title: 'graphql-yoga + Pothos + DataLoader' },
  apollo: { file: 'peers/apollo.ts', path: '/', isPlain: false, title: 'Apollo Server + RESTDataSource' },
  mercurius: { file: 'peers/mercurius.ts', path: '/graphql', isPlain: false, title: 'Mercurius + JIT' },
} as const;
type ServerName = keyof typeof servers;

/** Medians over the rounds. */
interface Figures {
  readonly cpuMsPer1000: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly callsPerOperation: number;
}

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' }, servers: { type: 'string' } },
});
const chosen = (list: string | undefined) => list?.split(',');
const runServers = (Object.keys(servers) as ServerName[]).filter(
  (name) => name === 'limit' || (chosen(values.servers)?.includes(name) ?? true),
);
const runWorkloads = workloadNames.filter((name) => chosen(values.only)?.includes(name) ?? true);
const rounds = values.quick ? 3 : 5;

if (!existsSync(join(here, 'node_modules'))) {
  console.error('Installing the servers to compare with …');
  const { status } = spawnSync('npm', ['ci', '--prefix', here], { stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}

const upstreamPort = await freePort();
const upstream = `http://127.0.0.1:${upstreamPort}`;
start(['upstream.ts'], { cwd: here, core: 'support', env: { PORT: String(upstreamPort) } });
await listening(upstream);
const load = start(['load.ts'], { cwd: here, core: 'support', env: {} });

const running = new Map<ServerName, { child: ChildProcess; origin: string }>();
for (const name of runServers) {
  const port = String(await freePort());
  const env = { PORT: port, UPSTREAM: upstream };
  const settings = {
    JUSPAY_BASE_URL: upstream,
    JUSPAY_API_KEY: 'key',
    JUSPAY_MERCHANT_ID: 'merchant',
    AUTH_MODE: 'none',
    LOG_LEVEL: 'error',
  };
  const child = start([servers[name].file], {
    cwd: here,
    core: 'server',
    env: name === 'gateway' ? { PORT: port, ...settings } : env,
  });
  const origin = `http://127.0.0.1:${port}`;
  await listening(origin);
  running.set(name, { child, origin });
}

let first = 0;
const figures = new Map<string, Figures>();
for (const workload of runWorkloads) {
  const measured = new Map<ServerName, Figures[]>(runServers.map((name) => [name, []]));
  // A B C, A B C, …: what disturbs the machine disturbs all of them. The first round warms up and does not count.
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of runServers) {
      const result = await measure(name, workload);
      if (round > 0) measured.get(name)?.push(result);
    }
  }
  for (const name of runServers) figures.set(`${name} ${workload}`, medians(measured.get(name) ?? []));
  process.stderr.write(`${workload} done\n`);
}
stopAll();

const table = render();
console.log(table);
if (!values.only && !values.servers && !values.quick) writeFileSync(join(here, 'RESULTS.md'), report(table));
process.exit(0);

async function measure(name: ServerName, workload: WorkloadName): Promise<Figures> {
  const { child, origin } = running.get(name) as { child: ChildProcess; origin: string };
  const { path, isPlain } = servers[name];
  const operations = workloads[workload].operations[values.quick ? 'quick' : 'full'];
  await count();
  const before = cpuMs(child);
  const order: Order = { origin, path, isPlain, workload, first, operations };
  load.send(order);
  const [answer] = (await once(load, 'message')) as [Report];
  const cpu = cpuMs(child) - before;
  first += operations;
  if (!answer.ok) throw new Error(`${name}, ${workload}: ${answer.reason}`);
  return {
    cpuMsPer1000: (cpu * 1000) / operations,
    p50Ms: answer.p50Ms,
    p99Ms: answer.p99Ms,
    callsPerOperation: (await count()) / operations,
  };
}

/** Upstream calls since the last time. */
async function count(): Promise<number> {
  const { calls } = (await (await fetch(`${upstream}/__count`)).json()) as { calls: number };
  return calls;
}

function medians(list: readonly Figures[]): Figures {
  const median = (field: keyof Figures) =>
    list.map((entry) => entry[field]).toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;
  return {
    cpuMsPer1000: median('cpuMsPer1000'),
    p50Ms: median('p50Ms'),
    p99Ms: median('p99Ms'),
    callsPerOperation: median('callsPerOperation'),
  };
}

function render(): string {
  const lines = [
    '| workload | server | CPU ms / 1,000 operations | p50 ms | p99 ms | upstream calls / operation |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  for (const workload of runWorkloads) {
    const base = figures.get(`limit ${workload}`) as Figures;
    for (const name of runServers) {
      const own = figures.get(`${name} ${workload}`) as Figures;
      const cell = (field: 'cpuMsPer1000' | 'p50Ms' | 'p99Ms', digits: number) =>
        `${own[field].toFixed(digits)}${name === 'limit' ? '' : ` (${(own[field] / base[field]).toFixed(1)}×)`}`;
      lines.push(
        `| ${workload.toUpperCase()} ${workloads[workload].title} | ${servers[name].title} | ${cell('cpuMsPer1000', 0)} | ${cell('p50Ms', 1)} | ${cell('p99Ms', 1)} | ${own.callsPerOperation.toFixed(2)} |`,
      );
    }
  }
  return lines.join('\n');
}

function report(table: string): string {
  return `# Comparison

\`npm run bench\`, ${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, 2 shared cores${isPinned ? ' (servers pinned to one, upstream and load to the other)' : ''},
64 connections, ${rounds} interleaved rounds, medians; in brackets the ratio to the bare proxy of the same run.

${table}

The metric to trust is CPU per 1,000 operations: latency under full load on a shared machine follows it, and differences
under 15 % are noise unless they repeat. These are the first figures; speed is not yet worked on.
`;
}
