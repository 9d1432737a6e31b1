import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type CompareOptions, compare, createBench } from './compare.ts';
import { writeDocs } from './docs.ts';
import { profile } from './profile.ts';
import { batchOf, latencyOf, legendOf, startsOf, tableOf, workersOf } from './report.ts';
import { type ByServer, type Measured, publishResults, readResults } from './results.ts';
import { measureScale, type Scale, scaleParts } from './scale.ts';
import { installPeers, isPeer, pack, root, type ServerName, serverNames, tailcallProblem } from './servers.ts';
import { measureStarts } from './start.ts';
import { type WorkloadName, workloadNames, workloads } from './workloads.ts';

const usage = `npm run bench -- [options]

What to measure:
  (default)          CPU, throughput, latency and memory of the workloads
  --start            time from the start of a process to its first response
  --scale            throughput against upstream latency, cost of a customer against the size of a list, throughput and
                     cost of one and two workers
  --profile W1       profile the gateway, or the Node server of --server, with one workload: self time by room, file and
                     function, garbage collection
  --docs             measure nothing; write the documentation from bench/results.json

Options:
  --workload W1,W5   only these workloads
  --part a,b         only these parts of --scale, of ${scaleParts.join(', ')}
  --server a,b       only these servers, of ${serverNames.join(', ')}; limit is always measured
  --against DIR      measure the gateway of another checkout too, as \`baseline\`
  --set NAME=VALUE   a further setting of the gateway, but not of \`baseline\`; more than once for several
  --rounds N         measured rounds of each server (5)
  --seconds S        length of a round, in CPU seconds of the server (2)
  --warm-up S        replaces the warm-up of the workloads, in CPU seconds of the server (4; W6: 20)
  --publish          write the figures to bench/results.json and the documentation
`;

const { values } = parseArgs({
  options: {
    start: { type: 'boolean', default: false },
    scale: { type: 'boolean', default: false },
    part: { type: 'string' },
    docs: { type: 'boolean', default: false },
    profile: { type: 'string' },
    workload: { type: 'string' },
    server: { type: 'string' },
    against: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    'warm-up': { type: 'string' },
    publish: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(usage);
  process.exit(0);
}

const output = join(root, 'bench/out');
const deadlineMs = 45 * 60_000;
setTimeout(() => fail(`not done after ${deadlineMs / 60_000} minutes: given up`), deadlineMs).unref();

const folder = mkdtempSync(join(tmpdir(), 'bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

try {
  await main();
  process.exit(0);
} catch (error) {
  fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
}

async function main(): Promise<void> {
  if (values.docs) return writeDocs(readResults());
  const options = {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    warmUpSeconds: values['warm-up'] === undefined ? undefined : Number(values['warm-up']),
  };
  mkdirSync(output, { recursive: true });
  if (values.profile !== undefined) {
    const [name] = chosen('profile', values.profile, workloadNames);
    const server = prepare(chosen('server', values.server ?? 'gateway', serverNames)).at(-1);
    const bench = await createBench(folder);
    process.stdout.write(`${await profile(bench, workloads[name as WorkloadName], options, output, server)}\n`);
    return;
  }
  save(values.scale ? await scale(options) : await measure(options));
}

async function scale({ warmUpSeconds = 4, ...options }: CompareOptions): Promise<Measured> {
  const parts = chosen('part', values.part, scaleParts);
  pack(root, folder, 'gateway');
  const bench = await createBench(folder);
  const print = { latency: latencyOf, batch: batchOf, workers: workersOf };
  let measured: Partial<Scale> = {};
  for (const part of parts) {
    measured = { ...measured, ...(await measureScale(bench, part, { ...options, warmUpSeconds })) };
    // A later part may fail.
    save({ scale: measured });
    process.stdout.write(`${print[part](measured)}\n\n`);
  }
  return { scale: measured };
}

async function measure(options: CompareOptions): Promise<Measured> {
  const names = prepare(chosen('server', values.server, serverNames));
  const settings = Object.fromEntries(values.set.map((setting) => setting.split(/=(.*)/s).slice(0, 2)));
  const bench = await createBench(folder, settings);
  if (values.start) {
    const starts = await measureStarts(bench, names, options.rounds);
    process.stdout.write(`${startsOf(starts)}\n`);
    return { starts };
  }
  const conditions = `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${options.rounds} interleaved rounds of ${options.seconds} s of CPU time, medians.`;
  const byWorkload: Partial<Record<WorkloadName, ByServer>> = {};
  for (const name of chosen('workload', values.workload, workloadNames)) {
    byWorkload[name] = await compare(bench, workloads[name], names, options);
    // A later workload may fail.
    save({ conditions, workloads: byWorkload });
    process.stderr.write(`${tableOf({ [name]: byWorkload[name] })}\n`);
  }
  process.stdout.write(`${tableOf(byWorkload)}\n\n${legendOf(byWorkload)}\n`);
  return { conditions, workloads: byWorkload };
}

function save(results: Measured): void {
  writeFileSync(join(output, 'results.json'), `${JSON.stringify(results, undefined, 2)}\n`);
  if (!values.publish) return;
  publishResults(results);
  writeDocs(readResults());
}

/** Installs and builds what is missing. @returns the servers that can be measured. */
function prepare(wanted: readonly ServerName[]): ServerName[] {
  if (wanted.some(isPeer)) installPeers();
  const problem = wanted.includes('tailcall') ? tailcallProblem() : undefined;
  if (problem) process.stderr.write(`${problem}\n`);
  if (wanted.includes('gateway')) pack(root, folder, 'gateway');
  if (values.against !== undefined) pack(resolve(values.against), folder, 'baseline');
  return serverNames.filter((name) => {
    if (name === 'baseline') return values.against !== undefined;
    return name === 'limit' || (wanted.includes(name) && !(name === 'tailcall' && problem));
  });
}

/** Parses a comma-separated option. Without the option, returns all names. */
function chosen<Name extends string>(
  option: string,
  list: string | undefined,
  names: readonly Name[],
): readonly Name[] {
  if (list === undefined) return names;
  const given = list.split(',').map((name) => name.trim());
  const unknown = given.filter((name) => !names.some((known) => known === name));
  if (unknown.length > 0) fail(`--${option}: unknown ${unknown.join(', ')}. Known: ${names.join(', ')}`);
  return names.filter((name) => given.includes(name));
}

function fail(reason: string): never {
  process.stderr.write(`${reason}\n`);
  process.exit(1);
}
