import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { compare, createBench, type Figures } from './compare.ts';
import { profile } from './profile.ts';
import { legendOf, tableOf } from './report.ts';
import { installPeers, isPeer, pack, root, type ServerName, serverNames, tailcallProblem } from './servers.ts';
import { type WorkloadName, workloadNames, workloads } from './workloads.ts';

const usage = `npm run bench -- [options]

  --workload W1,W5   only these workloads
  --server a,b       only these servers, of ${serverNames.join(', ')}; limit is always measured
  --against DIR      measure the gateway of another checkout too, as \`baseline\`
  --rounds N         measured rounds of each server (5)
  --seconds S        length of a round, in CPU seconds of the server (3)
  --profile W1       profile the gateway with one workload instead: self time by room, file and function, garbage collection
  --warm-up S        replaces the warm-up of the workloads (4; W6: 20)
`;

const { values } = parseArgs({
  options: {
    workload: { type: 'string' },
    server: { type: 'string' },
    against: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    'warm-up': { type: 'string' },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(usage);
  process.exit(0);
}

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
  const wanted: readonly ServerName[] = chosen('server', values.server, serverNames);
  const options = {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    warmUpSeconds: values['warm-up'] === undefined ? undefined : Number(values['warm-up']),
  };
  const output = join(root, 'bench/out');
  mkdirSync(output, { recursive: true });
  if (values.profile !== undefined) {
    const [name] = chosen('profile', values.profile, workloadNames);
    pack(root, folder, 'gateway');
    const bench = await createBench(folder);
    process.stdout.write(`${await profile(bench, workloads[name as WorkloadName], options, output)}\n`);
    return;
  }
  if (wanted.some(isPeer)) installPeers();
  const problem = wanted.includes('tailcall') ? tailcallProblem() : undefined;
  if (problem) process.stderr.write(`${problem}\n`);
  const isMeasured = (name: ServerName) => {
    if (name === 'baseline') return values.against !== undefined;
    return name === 'limit' || (wanted.includes(name) && !(name === 'tailcall' && problem));
  };
  const names = serverNames.filter(isMeasured);
  if (names.includes('gateway')) pack(root, folder, 'gateway');
  if (values.against !== undefined) pack(resolve(values.against), folder, 'baseline');
  const bench = await createBench(folder);
  const results = new Map<WorkloadName, ReadonlyMap<ServerName, Figures>>();
  for (const name of chosen('workload', values.workload, workloadNames)) {
    results.set(name, await compare(bench, workloads[name], names, options));
    process.stderr.write(`${name} done\n`);
  }
  process.stdout.write(`${tableOf(results)}\n\n${legendOf(results)}\n`);
  const byWorkload = Object.fromEntries([...results].map(([name, map]) => [name, Object.fromEntries(map)]));
  writeFileSync(join(output, 'results.json'), `${JSON.stringify(byWorkload, undefined, 2)}\n`);
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
