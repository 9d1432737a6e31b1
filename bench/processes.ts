import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { availableParallelism } from 'node:os';

/** Whether processes are pinned to cores. This needs two cores and `taskset`. */
export const isPinned = availableParallelism() >= 2 && spawnSync('taskset', ['-V']).status === 0;
/** The servers under test run on the first core, upstream and load generator on the second. */
export const cores = { server: '0', support: '1' } as const;

const children = new Set<ChildProcess>();
// If the parent is killed, the IPC channel closes and the child exits. `unref` lets a child exit by itself, such as a gateway with invalid
// settings.
const endWithParent = [
  '--import',
  'data:text/javascript,process.on("disconnect",()=>process.exit());process.channel?.unref()',
];

export function start(
  args: readonly string[],
  options: { cwd: string; core: keyof typeof cores; env: Record<string, string> },
): ChildProcess {
  const [command, ...rest] = isPinned
    ? ['taskset', '-c', cores[options.core], process.execPath, ...endWithParent, ...args]
    : [process.execPath, ...endWithParent, ...args];
  // taskset replaces itself with the program, so the pid is that of the program.
  const child = spawn(command as string, rest, {
    cwd: options.cwd,
    // Do not pass the environment on: settings in it would change the measurement.
    env: { PATH: process.env['PATH'] ?? '', ...options.env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  children.add(child);
  child.once('exit', (code, signal) => {
    // `stopAll` removes the children that it stops.
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

/**
 * CPU time in ms (user and system) of a process, its threads and its descendants. Reads `schedstat` because `/proc/<pid>/stat` has a
 * resolution of 10 ms, an eighth of a short round of the bare proxy.
 */
export function cpuMs(pid: number): number {
  let sum = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const [spentNs] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ');
    sum += Number(spentNs) / 1e6;
    const below = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ');
    for (const child of below) if (child !== '') sum += cpuMs(Number(child));
  }
  return sum;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Resolves when a server listens at the origin. */
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
