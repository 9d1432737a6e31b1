import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { availableParallelism } from 'node:os';

/** Children of a run: each on a core of its own kind, none of them left behind. */
export const isPinned = availableParallelism() >= 2 && spawnSync('taskset', ['-V']).status === 0;
/** Those under test on the first core, all that serves the test on the second. */
export const cores = { server: '0', support: '1' } as const;

const children = new Set<ChildProcess>();
const clockTicksPerSecond = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100;

export function start(
  args: readonly string[],
  options: { cwd: string; core: keyof typeof cores; env: Record<string, string> },
): ChildProcess {
  const [command, ...rest] = isPinned
    ? ['taskset', '-c', cores[options.core], process.execPath, ...args]
    : [process.execPath, ...args];
  // taskset becomes the program it starts: the pid is the program's.
  const child = spawn(command as string, rest, {
    cwd: options.cwd,
    // Nothing of the caller's environment: a setting of his would change what is measured.
    env: { PATH: process.env['PATH'] ?? '', ...options.env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  children.add(child);
  child.once('exit', (code, signal) => {
    // Whoever is stopped was taken off the list before.
    if (!children.delete(child)) return;
    stopAll();
    process.stderr.write(`${args.join(' ')} ended by itself: ${code ?? signal}\n`);
    process.exit(1);
  });
  return child;
}

export function stopAll(): void {
  const running = [...children];
  children.clear();
  for (const child of running) child.kill('SIGKILL');
}

process.on('exit', stopAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));

/** CPU time of a process so far, user and system, all its threads. */
export function cpuMs(child: ChildProcess): number {
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / clockTicksPerSecond;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Resolves when something listens there. */
export async function listening(origin: string): Promise<void> {
  const { port, hostname } = new URL(origin);
  const deadline = Date.now() + 20_000;
  for (;;) {
    const socket = connect(Number(port), hostname);
    const isThere = await new Promise((resolve) =>
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false)),
    );
    socket.destroy();
    if (isThere) return;
    if (Date.now() > deadline) throw new Error(`nothing listens on ${origin}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
