import type { ChildProcess } from 'node:child_process';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, cpSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tailcallConfig } from './peers/tailcall.ts';
import { freePort, type StartOptions, start, stop, treeOf } from './processes.ts';
import type { Fields, Workload } from './workloads.ts';

export const root = fileURLToPath(new URL('..', import.meta.url));

export const serverNames = ['limit', 'gateway', 'baseline', 'yoga', 'apollo', 'mercurius', 'hive', 'tailcall'] as const;
export type ServerName = (typeof serverNames)[number];

/** The table shows ratios to `limit`. */
export const servers: Readonly<Record<ServerName, { readonly title: string; readonly path: string }>> = {
  limit: { title: 'bare `node:http` + undici, no GraphQL', path: '/' },
  gateway: { title: 'this gateway, everything on', path: '/graphql' },
  baseline: { title: 'the gateway of another checkout', path: '/graphql' },
  yoga: { title: 'graphql-yoga + Pothos + DataLoader', path: '/graphql' },
  apollo: { title: 'Apollo Server + RESTDataSource', path: '/' },
  mercurius: { title: 'Mercurius + JIT', path: '/graphql' },
  hive: { title: 'Hive Gateway + REST transport', path: '/graphql' },
  tailcall: { title: 'Tailcall (Rust)', path: '/graphql' },
};

/** Servers whose packages are in `bench/package.json`. */
export const isPeer = (name: ServerName): boolean => !['limit', 'gateway', 'baseline'].includes(name);

export interface Running {
  readonly name: ServerName;
  readonly port: number;
  /** Only for the gateway. */
  readonly metricsPort: number | undefined;
  /** The process tree. */
  pids(): number[];
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly folder: string;
  readonly upstream: string;
  /** Whether the workload asks for the token. Only Tailcall needs to know it in advance. */
  readonly withToken: boolean;
  /** `JUSPAY_CONNECTIONS` of the gateway, and the same for `limit`. */
  readonly connections?: number;
  /** Further settings of the gateway, but not of the baseline. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly nodeOptions?: readonly string[];
  /** Default `server`. */
  readonly core?: StartOptions['core'];
  /** Replaces the command of the gateway. */
  readonly command?: readonly string[];
  /** Keeps the output of the server. Without it, the output is discarded. */
  readonly logFile?: string;
}

const tailcallBinary = join(root, 'bench/node_modules/@tailcallhq/core-linux-x64-gnu/bin/tailcall');
/** `TAILCALL` can name another command: the binary of the npm package needs glibc 2.39. */
const tailcallCommand = process.env['TAILCALL']?.split(' ') ?? [tailcallBinary];

/** @returns why Tailcall cannot run here; `undefined` if it can. */
export function tailcallProblem(): string | undefined {
  const [command = '', ...rest] = tailcallCommand;
  const { error, status, stderr } = spawnSync(command, [...rest, '--version'], { encoding: 'utf8' });
  if (status === 0) return undefined;
  return `Tailcall is left out, because it does not run here: ${error?.message ?? stderr.trim().split('\n')[0]}`;
}

const keyName = 'bench-key-of-a-caller-';
/** Ten callers, so that the largest rate limit that can be set does not refuse any operation. */
const keys = Array.from({ length: 10 }, (_, digit) => `${keyName}${digit}`);

/** The body of a workload's request, with slots. */
export function bodyOf(name: ServerName, { body, entityBody = body, listBody = body, plain }: Workload): string {
  const bodies: Partial<Record<ServerName, Fields>> = { limit: plain, tailcall: entityBody, hive: listBody };
  return JSON.stringify(bodies[name] ?? body);
}

/** The request of a workload as a template of the load generator: the byte 3 is the last digit of the connection's number. */
export function requestOf(name: ServerName, port: number, workload: Workload): string {
  const text = bodyOf(name, workload);
  const head = [
    `POST ${servers[name].path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    'content-type: application/json',
    'accept: application/json',
    `x-api-key: ${keyName}\u0003`,
    `content-length: ${text.length}`,
  ];
  return `${head.join('\r\n')}\r\n\r\n${text}`;
}

/** Packages such as graphql check more outside production. Tailcall logs every upstream call at its default level. */
const ofPeers = { NODE_ENV: 'production', TAILCALL_LOG_LEVEL: 'error' };

/**
 * Builds the gateway of a checkout into a folder of its own, with the files of the npm package. Other processes may use the `dist` of the
 * checkout at the same time.
 */
export function pack(checkout: string, folder: string, name: 'gateway' | 'baseline'): void {
  const target = join(folder, name, 'package');
  const { files } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { files: string[] };
  for (const entry of ['package.json', ...files]) {
    if (entry !== 'dist' && !entry.startsWith('!'))
      cpSync(join(checkout, entry), join(target, entry), { recursive: true });
  }
  symlinkSync(resolve(checkout, 'node_modules'), join(folder, name, 'node_modules'));
  const build = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', join(target, 'dist')];
  const { status } = spawnSync(process.execPath, build, { cwd: checkout, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error(`the gateway of ${checkout} cannot be built: see above`);
}

/** Installs the packages of the peers in the versions of their lockfile. Does nothing if they are installed. */
export function installPeers(): void {
  const { status } = spawnSync(process.execPath, ['tools/install.js', 'bench'], { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error('the packages of the peers could not be installed: see above');
}

/** Starts a server. It may not listen yet when the promise resolves: see `firstAnswer`. */
export async function startServer(name: ServerName, options: ServerOptions): Promise<Running> {
  const port = await freePort();
  const isGateway = name === 'gateway' || name === 'baseline';
  const metricsPort = isGateway ? await freePort() : undefined;
  const command = commandOf(name, port, options);
  const env = isGateway
    ? { ...settingsOf(port, metricsPort, options), ...(name === 'gateway' && options.settings) }
    : { ...ofPeers, PORT: String(port), UPSTREAM: options.upstream, CONNECTIONS: String(options.connections ?? 64) };
  const log = isGateway || options.logFile !== undefined ? openLog(options) : undefined;
  const child = start(command, { core: options.core ?? 'server', cwd: root, env, stdout: log?.fd ?? 'ignore' });
  log?.close();
  return {
    name,
    port,
    metricsPort,
    pids: () => {
      const pids = treeOf(child.pid as number);
      if (pids.length === 0) throw new Error(`${name} ended by itself: see above`);
      return pids;
    },
    stop: async () => {
      await stop(child);
      if (log?.reader) await stop(log.reader);
    },
  };
}

function commandOf(name: ServerName, port: number, options: ServerOptions): string[] {
  const { folder, upstream, withToken, nodeOptions = [], command } = options;
  if (command) return [...command];
  const node = [process.execPath, ...nodeOptions];
  if (name === 'tailcall') {
    const file = join(folder, 'tailcall.graphql');
    writeFileSync(file, tailcallConfig({ port, upstream, withToken }));
    return [...tailcallCommand, 'start', file];
  }
  if (name !== 'gateway' && name !== 'baseline') return [...node, join(root, `bench/peers/${name}.ts`)];
  return [...node, join(folder, name, 'package/bin/customer-gateway.js'), 'serve'];
}

function settingsOf(
  port: number,
  metricsPort: number | undefined,
  { folder, upstream, connections = 64 }: ServerOptions,
) {
  const keysFile = join(folder, 'keys.json');
  const scopes = ['customer:read', 'customer:write', 'customer:token'];
  const entries = keys.map((key, index) => ({
    name: `caller-${index}`,
    sha256: createHash('sha256').update(key).digest('hex'),
    scopes,
  }));
  writeFileSync(keysFile, JSON.stringify(entries));
  return {
    NODE_ENV: 'production',
    PORT: String(port),
    METRICS_PORT: String(metricsPort),
    JUSPAY_BASE_URL: upstream,
    JUSPAY_API_KEY: 'key-of-the-bench',
    JUSPAY_MERCHANT_ID: 'merchant',
    JUSPAY_CONNECTIONS: String(connections),
    AUTH_MODE: 'api-key',
    AUTH_API_KEYS_FILE: keysFile,
    RATE_LIMIT_PER_MINUTE: '1000000',
    LOG_LEVEL: 'info',
  };
}

/** A file or a real pipe, as in a container: Node would create a socket instead. A reader on the other core discards the lines. */
function openLog({ folder, logFile }: ServerOptions): { fd: number; reader?: ChildProcess; close: () => void } {
  const path = logFile ?? join(folder, `log-${process.hrtime.bigint()}`);
  if (logFile === undefined) spawnSync('mkfifo', [path]);
  const reader = logFile === undefined ? start(['cat', path], { core: 'support' }) : undefined;
  const fd = openSync(path, 'a');
  return { fd, ...(reader && { reader }), close: () => closeSync(fd) };
}

/** Sends a request until it is answered with status 200. @returns the text of the response. */
export async function firstAnswer(server: Running, body: string, pauseMs = 20): Promise<string> {
  const { path } = servers[server.name];
  for (const deadline = performance.now() + 30_000; ; ) {
    server.pids();
    try {
      const response = await fetch(`http://127.0.0.1:${server.port}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json', 'x-api-key': keys[0] as string },
        body,
      });
      const text = await response.text();
      if (response.status === 200) return text;
      throw new Error(`status ${response.status}: ${text.slice(0, 500)}`);
    } catch (error) {
      if (performance.now() > deadline) throw new Error(`${server.name} does not answer`, { cause: error });
      await new Promise((done) => setTimeout(done, pauseMs));
    }
  }
}

/** Checks that the gateway authenticates and counts: the figures of a gateway without them are worth nothing. */
export async function assertEverythingOn({ name, port, metricsPort }: Running): Promise<void> {
  const anonymous = await fetch(`http://127.0.0.1:${port}${servers[name].path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ customer(id: "cth_1") { id } }' }),
  });
  const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  await anonymous.arrayBuffer();
  if (anonymous.status !== 401) throw new Error(`${name} answers without an API key: status ${anonymous.status}`);
  if (!/operations.* [1-9]/.test(metrics))
    throw new Error(`${name} does not count operations: ${metrics.slice(0, 300)}`);
}
