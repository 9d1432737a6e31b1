import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { install } from './install.ts';
import type { Order, Report } from './load.ts';
import { cpuMs, freePort, isPinned, listening, start, stopAll } from './processes.ts';
import { type WorkloadName, workloadNames, workloads } from './workloads.ts';

const here = dirname(fileURLToPath(import.meta.url));

/** The compared servers. The table shows ratios to `limit`. */
const servers = {
  limit: { command: ['peers/limit.ts'], path: '/', isPlain: true, title: 'bare `node:http` + undici, no GraphQL' },
  gateway: {
    command: ['../src/cli/main.ts', 'serve'],
    path: '/graphql',
    isPlain: false,
    title: 'this gateway, as shipped',
  },
  yoga: { command: ['peers/yoga.ts'], path: '/graphql', isPlain: false, title: 'graphql-yoga + Pothos + DataLoader' },
  apollo: { command: ['peers/apollo.ts'], path: '/', isPlain: false, title: 'Apollo Server + RESTDataSource' },
  mercurius: { command: ['peers/mercurius.ts'], path: '/graphql', isPlain: false, title: 'Mercurius + JIT' },
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
const serverNames = Object.keys(servers) as ServerName[];
const asked = chosen('servers', values.servers, serverNames);
const runServers = serverNames.filter((name) => name === 'limit' || asked.includes(name));
const runWorkloads = chosen('only', values.only, workloadNames);
const rounds = values.quick ? 3 : 5;
const deadlineMs = 10 * 60_000;

if (!existsSync('/proc/self/schedstat')) throw new Error('CPU times are read from /proc: this needs Linux');
install(here);
setTimeout(() => {
  throw new Error(`not done after ${deadlineMs / 60_000} minutes: given up`);
}, deadlineMs).unref();

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
  const child = start(servers[name].command, {
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
  // Interleave the servers (A B C, A B C, …), so that disturbances affect all of them. The first round is a warm-up.
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

/** Parses a comma-separated option. Without the option, returns all names. */
function chosen<Name extends string>(
  option: string,
  list: string | undefined,
  names: readonly Name[],
): readonly Name[] {
  if (list === undefined) return names;
  const given = list.split(',').map((name) => name.trim());
  const unknown = given.filter((name) => !names.some((known) => known === name));
  if (unknown.length > 0) {
    process.stderr.write(`--${option}: unknown ${unknown.join(', ')}. Known: ${names.join(', ')}\n`);
    process.exit(2);
  }
  return names.filter((name) => given.includes(name));
}

async function measure(name: ServerName, workload: WorkloadName): Promise<Figures> {
  const { child, origin } = running.get(name) as { child: ChildProcess; origin: string };
  const { path, isPlain } = servers[name];
  const operations = workloads[workload].operations[values.quick ? 'quick' : 'full'];
  await count();
  const pid = child.pid as number;
  const before = cpuMs(pid);
  const order: Order = { origin, path, isPlain, workload, first, operations };
  load.send(order);
  const [answer] = (await once(load, 'message')) as [Report];
  const cpu = cpuMs(pid) - before;
  first += operations;
  if (!answer.ok) throw new Error(`${name}, ${workload}: ${answer.reason}`);
  const callsPerOperation = (await count()) / operations;
  // More calls are a result for the table. Fewer calls mean that responses came from a cache, which makes the comparison invalid.
  if (callsPerOperation < workloads[workload].calls) {
    throw new Error(`${name}, ${workload}: ${callsPerOperation} upstream calls for each operation`);
  }
  return { cpuMsPer1000: (cpu * 1000) / operations, p50Ms: answer.p50Ms, p99Ms: answer.p99Ms, callsPerOperation };
}

/** Upstream calls since the previous call of this function. */
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
  const cores = availableParallelism();
  const pinning = isPinned ? ' (servers pinned to one, upstream and load to another)' : '';
  return `# Comparison

\`npm run bench\`, ${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${cores} shared cores${pinning},
64 connections, ${rounds} interleaved rounds, medians; in brackets the ratio to the bare proxy of the same run.

${table}

${verdict()}

The peers do less: none of them limits documents, retries a read or settles a write whose answer was lost. The metric to
trust is CPU per 1,000 operations: with upstream and load generator on one core, latency under full load follows it, and
differences under 15 % are noise unless they repeat.
`;
}

/** Compares the gateway with the peers, from the figures of this run. */
function verdict(): string {
  const lines = runWorkloads.map((workload) => {
    const ratio = (name: ServerName) =>
      (figures.get(`${name} ${workload}`)?.cpuMsPer1000 ?? Number.NaN) /
      (figures.get(`limit ${workload}`)?.cpuMsPer1000 ?? Number.NaN);
    const peers = runServers.filter((name) => name !== 'limit' && name !== 'gateway');
    const order = peers.toSorted((a, b) => ratio(a) - ratio(b)).map((name) => `${name} ${ratio(name).toFixed(1)}×`);
    return `- ${workload.toUpperCase()} ${ratio('gateway').toFixed(1)}× (${order.join(', ')})`;
  });
  return `CPU of this gateway as a multiple of the bare proxy, the peers' in brackets:\n\n${lines.join('\n')}`;
}
