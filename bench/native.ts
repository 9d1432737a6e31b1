import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePort, start } from './processes.ts';

/** One measurement of the load generator. */
export interface LoadReport {
  readonly operations: number;
  /** Failed, missing and wrong responses. */
  readonly errors: number;
  readonly elapsedNs: number;
  /** Number of the first operation after this run. */
  readonly next: number;
  readonly loadNs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The first wrong response; empty if all were right. */
  readonly wrong: string;
  /** CPU time of each process of `pids`. */
  readonly cpuNs: readonly number[];
}

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  /** Unmeasured load before the measurement. */
  readonly primeSeconds: number;
  readonly first: number;
  readonly stride: number;
  /** Templates: see `native/load.c`. */
  readonly request: string;
  readonly response: string;
  readonly pids: readonly number[];
  /** Called before the measurement, when no request is in flight. */
  readonly onReady: () => Promise<unknown>;
}

export interface Upstream {
  readonly origin: string;
  readonly pid: number;
  /** Number of calls since the previous call of this function. */
  takeCalls(): Promise<number>;
  /** Sets how long each response takes. */
  delay(delayMs: number): Promise<unknown>;
}

/** Compiles the upstream and the load generator. They are written in C, so that they cost less than the servers under test. */
export function compile(folder: string): void {
  for (const program of ['upstream', 'load']) {
    const source = fileURLToPath(new URL(`native/${program}.c`, import.meta.url));
    const { error, status } = spawnSync('cc', ['-O2', '-o', join(folder, program), source], { stdio: [0, 2, 2] });
    if (error)
      throw new Error('The benchmark needs a C compiler: install gcc and libc6-dev (Debian), or your equivalent.');
    if (status !== 0) throw new Error(`native/${program}.c could not be compiled: see the output of cc above.`);
  }
}

export async function startUpstream(folder: string): Promise<Upstream> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const child = start([join(folder, 'upstream'), String(port)], { core: 'support' });
  // It ends with this process, and does not keep it alive.
  child.unref();
  const get = (path: string): Promise<unknown> => fetch(`${origin}/bench/${path}`).then((response) => response.json());
  for (let attempt = 1; ; attempt += 1) {
    try {
      await get('calls');
      break;
    } catch (error) {
      if (attempt === 100 || child.exitCode !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  return {
    origin,
    pid: child.pid as number,
    takeCalls: async () => ((await get('calls')) as { calls: number }).calls,
    delay: (delayMs) => get(`delay/${delayMs}`),
  };
}

export async function runLoad(folder: string, options: LoadOptions): Promise<LoadReport> {
  const { port, connections, seconds, primeSeconds, first, stride, request, response, pids, onReady } = options;
  const files = [join(folder, 'request'), join(folder, 'response')] as const;
  writeFileSync(files[0], request, 'latin1');
  writeFileSync(files[1], response, 'latin1');
  const numbers = [port, connections, seconds, primeSeconds, first, stride].map(String);
  const child = start([join(folder, 'load'), ...numbers, ...files, ...pids.map(String)], {
    core: 'support',
    stdin: 'pipe',
    stdout: 'pipe',
  });
  if (!child.stdin || !child.stdout) throw new Error('no pipes');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = once(child, 'exit');
  if ((await lines.next()).value !== 'ready') throw new Error('the load generator ended: see above');
  await onReady();
  child.stdin.write('go\n');
  const { value } = await lines.next();
  await ended;
  if (value === undefined) throw new Error('the load generator ended: see above');
  return JSON.parse(value) as LoadReport;
}
