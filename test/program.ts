import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../bin/customer-gateway.js', import.meta.url));

export const isLinux = process.platform === 'linux';

/** A test of programs that exist on Linux only. */
export const linuxTest: (name: string, run: (context: TestContext) => Promise<void> | void) => void = isLinux
  ? test
  : (name) => test(`${name} (checked on Linux)`, () => undefined);

/** What a process prints, on stdout and stderr, until it ends. */
export interface Output {
  readonly output: () => string;
  /** Resolves when the output matches. Rejects if the process ends before. */
  readonly waitFor: (pattern: RegExp) => Promise<RegExpExecArray>;
  readonly exit: Promise<number | null>;
}

export interface Run extends Output {
  readonly child: ChildProcess;
}

/** Starts the shipped program with this environment only. The caller must stop it. */
export function start(
  args: readonly string[],
  environment: Record<string, string> = {},
  nodeOptions: readonly string[] = [],
  channels: readonly 'ipc'[] = [],
): Run {
  const env = { PATH: process.env['PATH'] ?? '', ...environment };
  const stdio = ['pipe', 'pipe', 'pipe', ...channels] as const;
  const child = spawn(process.execPath, [...nodeOptions, bin, ...args], { env, stdio: [...stdio] });
  return { child, ...outputOf(child) };
}

/** Follows the output of a process. Call it in the turn of the event loop that started the process. */
export function outputOf(child: ChildProcess): Output {
  let text = '';
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      text += String(data);
      for (const listener of listeners) listener();
    });
  }
  const exit = once(child, 'close').then(([code]) => code as number | null);
  return {
    exit,
    output: () => text,
    waitFor: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(text);
          if (match) resolve(match);
        };
        listeners.add(look);
        look();
        void exit.then(() => reject(new Error(`ended before its output matched ${pattern}: ${text}`)));
      }),
  };
}

/** Options of Node that simulate a system without `SO_REUSEPORT`, such as macOS. */
export const withoutReusePort: readonly string[] = [
  '--import',
  `data:text/javascript,${encodeURIComponent(`
    import { Server } from 'node:net';
    const { listen } = Server.prototype;
    Server.prototype.listen = function (options, ...rest) {
      if (options?.reusePort) throw Object.assign(new Error('listen ENOTSUP'), { code: 'ENOTSUP' });
      return listen.call(this, options, ...rest);
    };`)}`,
];

/** Sends a query. @param url the full URL of the endpoint. */
export async function ask(url: string, query: string) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  });
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: (await response.json()) as Record<string, unknown>,
  };
}
