import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, CompareOptions } from './compare.ts';
import { freePort } from './processes.ts';
import { markdown } from './report.ts';
import type { ServerName } from './servers.ts';
import type { Workload } from './workloads.ts';

/** V8's format of a CPU profile. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const samplingIntervalUs = 200;
const shown = { functions: 45, files: 25 };

/**
 * Profiles the gateway, or another Node server, with one workload. Writes the profile for Chrome's developer tools, and returns a summary: self time by room and
 * package, by file and by function, and what the garbage collector does.
 *
 * @param output folder of the profile.
 */
export async function profile(
  bench: Bench,
  workload: Workload,
  { seconds, warmUpSeconds = workload.warmUpSeconds }: CompareOptions,
  output: string,
  name: ServerName = 'gateway',
): Promise<string> {
  const inspectorPort = await freePort();
  const logFile = join(bench.folder, 'log-of-profile');
  const candidate = await bench.start(name, workload, {
    nodeOptions: [`--inspect=127.0.0.1:${inspectorPort}`, '--inspect-publish-uid=http', '--trace-gc-nvp'],
    logFile,
  });
  try {
    await bench.warmUp(candidate, workload, warmUpSeconds);
    const inspector = await connect(inspectorPort);
    const logged = statSync(logFile).size;
    const figures = await bench.measure(candidate, workload, seconds, 0.1);
    const trace = readFileSync(logFile).subarray(logged).toString('latin1');
    await inspector.send('Profiler.enable');
    await inspector.send('Profiler.setSamplingInterval', { interval: samplingIntervalUs });
    await inspector.send('Profiler.start');
    await bench.warmUp(candidate, workload, seconds);
    const { profile: recorded } = (await inspector.send('Profiler.stop')) as { profile: CpuProfile };
    inspector.close();
    const path = join(output, `${name}.cpuprofile`);
    writeFileSync(path, JSON.stringify(recorded));
    const usPerOperation = figures.cpuMsPer1000;
    const operations = figures.perSecond * figures.elapsedSeconds;
    return [
      `CPU ${usPerOperation.toFixed(1)} µs per operation, without the profiler. ${collectionOf(trace, operations)}`,
      ...summaryOf(recorded, usPerOperation),
      `The whole profile is ${path}: open it in Chrome's developer tools.`,
    ].join('\n\n');
  } finally {
    await candidate.server.stop();
  }
}

/** Self times, without idle time. Shares are those of the main thread; they are scaled to the CPU time of an operation. */
function summaryOf({ nodes, samples, timeDeltas }: CpuProfile, usPerOperation: number): string[] {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const groups = {
    room: new Map<string, number>(),
    file: new Map<string, number>(),
    function: new Map<string, number>(),
  };
  let total = 0;
  samples.forEach((id, index) => {
    const frame = frames.get(id);
    const spent = timeDeltas[index] ?? 0;
    if (!frame || frame.functionName === '(idle)') return;
    total += spent;
    const file = fileOf(frame.url);
    const name = frame.functionName || '(anonymous)';
    add(groups.room, file === '' ? name.replace(/^[^(].*/, '(native functions)') : roomOf(file), spent);
    add(groups.file, file || name, spent);
    add(groups.function, file === '' ? name : `${name} ${file}:${frame.lineNumber + 1}`, spent);
  });
  const table = (title: string, group: ReadonlyMap<string, number>, limit: number) => {
    const rows = [...group].toSorted(([, a], [, b]) => b - a).slice(0, limit);
    return markdown([
      [title, 'self %', 'µs / operation'],
      ...rows.map(([name, spent]) => [
        name,
        ((spent / total) * 100).toFixed(1),
        ((spent / total) * usPerOperation).toFixed(2),
      ]),
    ]);
  };
  return [
    table('room or package', groups.room, Number.POSITIVE_INFINITY),
    table('file', groups.file, shown.files),
    table('function', groups.function, shown.functions),
  ];
}

function add(group: Map<string, number>, key: string, value: number): void {
  group.set(key, (group.get(key) ?? 0) + value);
}

/** Path in the package, or package name and path. */
const fileOf = (url: string) => url.replace(/^.*\/node_modules\//, '').replace(/^file:.*\/(?=dist\/|bin\/)/, '');

/** `dist/http`, `undici`, `node:internal`. */
const roomOf = (file: string) => /^(dist\/[^/]+|@[^/]+\/[^/]+|[^/]+)/.exec(file)?.[0] ?? file;

/** Reads V8's trace of scavenges: allocation per operation, and the share that survives. */
function collectionOf(trace: string, operations: number): string {
  // The lines of the log are written between parts of V8's buffered lines.
  const text = trace.replace(/\{"(?:level|time).*\}\n/g, '');
  let [allocated, survived, pauseMs, scavenges] = [0, 0, 0, 0];
  const pattern = /pause=([\d.]+) [^\n]* gc=s [^\n]* allocated=(\d+) promoted=(\d+) [^\n]*new_space_survived=(\d+)/g;
  for (const [, pause, bytes, promoted, copied] of text.matchAll(pattern)) {
    scavenges += 1;
    pauseMs += Number(pause);
    allocated += Number(bytes);
    survived += Number(promoted) + Number(copied);
  }
  if (scavenges === 0) return 'No scavenge was traced.';
  return `${scavenges} scavenges of ${(pauseMs / scavenges).toFixed(1)} ms on average; ${(allocated / operations / 1024).toFixed(1)} kB allocated per operation, of which ${((survived / allocated) * 100).toFixed(1)} % survive a scavenge.`;
}

/** Connects to the inspector of a Node process. */
async function connect(port: number) {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
    webSocketDebuggerUrl: string;
  }[];
  const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '');
  const waiting = new Map<number, (result: unknown) => void>();
  let last = 0;
  socket.addEventListener('message', ({ data }) => {
    const { id, result, error } = JSON.parse(String(data)) as { id?: number; result?: unknown; error?: unknown };
    if (error) throw new Error(`the inspector answers ${JSON.stringify(error)}`);
    if (id !== undefined) waiting.get(id)?.(result);
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', reject);
  });
  return {
    send: (method: string, params: object = {}) =>
      new Promise((resolve) => {
        last += 1;
        waiting.set(last, resolve);
        socket.send(JSON.stringify({ id: last, method, params }));
      }),
    close: () => socket.close(),
  };
}
