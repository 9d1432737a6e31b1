import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A load balancer with the configuration of `deploy/`. */
export interface LoadBalancer {
  readonly name: 'haproxy' | 'nginx';
  readonly port: number;
  /** Everything that it has printed. */
  readonly output: () => string;
  close(): Promise<void>;
}

const argumentsOf = {
  haproxy: (file: string) => ['-db', '-f', file],
  nginx: (file: string) => ['-g', 'daemon off;', '-c', file],
} as const;
const files = { haproxy: 'deploy/haproxy/haproxy.cfg', nginx: 'deploy/nginx/nginx.conf' } as const;

/** A port of loopback that is free now. It is below the range from which systems take the ports of connections. */
export async function freePort(): Promise<number> {
  for (;;) {
    const probe = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(randomInt(10_000, 32_000), '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    const { port } = probe.address() as AddressInfo;
    probe.close();
    await once(probe, 'close');
    return port;
  }
}

/**
 * Starts the proxy of the configuration file, with other addresses only.
 *
 * @param edit changes the configuration.
 */
export async function startLoadBalancer(
  name: LoadBalancer['name'],
  instances: readonly [number, number],
  edit: (text: string) => string = (text) => text,
): Promise<LoadBalancer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  const text = edit(readFileSync(files[name], 'utf8'))
    .replaceAll('10.0.0.11:4000', `127.0.0.1:${instances[0]}`)
    .replaceAll('10.0.0.12:4000', `127.0.0.1:${instances[1]}`)
    .replaceAll('0.0.0.0:8080', `127.0.0.1:${port}`)
    .replaceAll('/run/nginx.pid', join(folder, 'nginx.pid'));
  const file = join(folder, 'proxy.conf');
  writeFileSync(file, text);
  // Debian installs both in `sbin`, which is not always in the PATH.
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` };
  const child: ChildProcess = spawn(name, argumentsOf[name](file), { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const exit = once(child, 'exit');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      output += String(data);
    });
  }
  while (!(await isOpen(port))) {
    if (child.exitCode !== null) throw new Error(output);
  }
  return {
    name,
    port,
    output: () => output,
    async close() {
      // Also of nginx: ends the workers.
      child.kill('SIGTERM');
      await exit;
      rmSync(folder, { recursive: true });
    },
  };
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
