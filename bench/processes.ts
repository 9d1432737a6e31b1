import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';

/** Whether processes are pinned to cores. This needs two cores and `taskset`. */
const isPinned = availableParallelism() >= 2 && spawnSync('taskset', ['-V']).status === 0;
/**
 * The servers under test run on the first core. Upstream, load generator and the reader of the log run on the second. A gateway with
 * several workers needs both.
 */
const cores = { server: '0', support: '1', both: '0,1' } as const;

export interface StartOptions {
  readonly core: keyof typeof cores;
  readonly cwd?: string;
  /** The whole environment, besides `PATH`: inherited settings would change the measurement. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: 'pipe' | 'ignore';
  /** A file descriptor, or `pipe` to read the output. */
  readonly stdout?: number | 'pipe' | 'ignore';
}

const children = new Set<ChildProcess>();

/** Starts a pinned process. `stop` and the end of this process end it. `taskset` replaces itself, so the pid is the program's. */
export function start(command: readonly string[], options: StartOptions): ChildProcess {
  const [program, ...rest] = isPinned ? ['taskset', '-c', cores[options.core], ...command] : command;
  const child = spawn(program as string, rest, {
    cwd: options.cwd,
    env: { PATH: process.env['PATH'] ?? '', ...options.env },
    stdio: [options.stdin ?? 'ignore', options.stdout ?? 'ignore', 'inherit'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

export async function stop(child: ChildProcess): Promise<void> {
  if (!children.has(child)) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  killTree(child);
  await ended;
}

process.on('exit', () => {
  for (const child of children) killTree(child);
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));

function killTree({ pid }: ChildProcess): void {
  if (pid !== undefined) signalAll(treeOf(pid), 'SIGKILL');
}

/** Ignores processes that have ended. */
export function signalAll(pids: readonly number[], signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {}
  }
}

/** A process and its descendants. Empty if the process has ended. */
export function treeOf(pid: number): number[] {
  const tasks = readProc(() => readdirSync(`/proc/${pid}/task`));
  if (tasks === undefined) return [];
  // A thread can end between the two reads.
  const below = tasks.flatMap(
    (task) => readProc(() => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8'))?.split(' ') ?? [],
  );
  return [pid, ...below.filter(Boolean).map(Number).flatMap(treeOf)];
}

/** @returns `undefined` if the process or thread has ended. */
function readProc<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Resident memory of processes in MB. */
export function residentMb(pids: readonly number[]): number {
  const kilobytes = pids.map((pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]));
  return kilobytes.reduce((sum, value) => sum + value, 0) / 1000;
}

/** Below the range from which Linux takes ports of outgoing connections. */
const ports = { from: 10_000, to: 30_000 } as const;

export async function freePort(): Promise<number> {
  for (;;) {
    const port = ports.from + Math.floor(Math.random() * (ports.to - ports.from));
    const server = createServer();
    const isFree = await new Promise((resolve) =>
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)),
    );
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
