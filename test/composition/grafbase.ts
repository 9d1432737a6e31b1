import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { freePort } from '../proxies.ts';

/** The npm package has the program for this platform only. */
export const hasGrafbase = process.platform === 'linux' && process.arch === 'x64';

interface Subgraph {
  readonly name: string;
  readonly sdl: string;
  readonly url: string;
}

const program = () =>
  fileURLToPath(new URL('grafbase', import.meta.resolve('@grafbase/cli-x86_64-unknown-linux-musl/package.json')));

/** Writes the configuration of the program and the SDL of the subgraphs to a new folder. */
function writeFolder(subgraphs: readonly Subgraph[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'grafbase-'));
  const tables = subgraphs.map(({ name, sdl, url }) => {
    writeFileSync(join(folder, `${name}.graphql`), sdl);
    return `[subgraphs.${name}]\nschema_path = "${name}.graphql"\nurl = "${url}"\n`;
  });
  const forwarded = '[[headers]]\nrule = "forward"\nname = "authorization"\n';
  writeFileSync(join(folder, 'grafbase.toml'), `${tables.join('\n')}\n${forwarded}`);
  return folder;
}

/** Without a home of its own, the program would write to that of the user. */
const environmentOf = (folder: string) => ({ PATH: process.env['PATH'], HOME: folder });

/** Composes with the Rust composer of Grafbase. */
export function composeGrafbase(subgraphs: readonly Subgraph[]): { readonly sdl: string; readonly problems: string } {
  const folder = writeFolder(subgraphs);
  const { stdout, stderr } = spawnSync(program(), ['compose'], {
    cwd: folder,
    env: environmentOf(folder),
    encoding: 'utf8',
  });
  rmSync(folder, { recursive: true });
  return { sdl: stdout, problems: stderr };
}

type Serve = (subgraph: string, headers: Record<string, string>, body: string) => Promise<Response>;

export interface Grafbase {
  readonly url: string;
  close(): Promise<void>;
}

/** Starts the gateway of Grafbase, and one server with a path for each subgraph. `serve` answers its requests. */
export async function startGrafbase(sdls: Readonly<Record<string, string>>, serve: Serve): Promise<Grafbase> {
  const server = createServer((request, response) => {
    const answer = async () => {
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
      const answered = await serve(request.url?.slice(1) ?? '', headers, await text(request));
      response.writeHead(answered.status, Object.fromEntries(answered.headers));
      response.end(await answered.text());
    };
    answer().catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: servedAt } = server.address() as AddressInfo;
  const folder = writeFolder(
    Object.entries(sdls).map(([name, sdl]) => ({ name, sdl, url: `http://127.0.0.1:${servedAt}/${name}` })),
  );
  const address = `127.0.0.1:${await freePort()}`;
  const child: ChildProcess = spawn(program(), ['dev', '--listen-address', address], {
    cwd: folder,
    env: environmentOf(folder),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = once(child, 'exit');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      output += String(data);
    });
  }
  while (!(await isHealthy(`http://${address}/health`))) {
    if (child.exitCode !== null) throw new Error(output);
  }
  return {
    url: `http://${address}/graphql`,
    async close() {
      child.kill('SIGKILL');
      await exit;
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true });
    },
  };
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}
