import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { rulesPath } from './promtool.ts';

export interface Prometheus {
  /** Evaluates an instant query. @throws if the expression is invalid. */
  readonly query: (expression: string) => Promise<readonly { readonly metric: object; readonly value: unknown }[]>;
  readonly close: () => Promise<void>;
}

/** Starts Prometheus with the shipped configuration and these targets, `host:port`, on a free port. */
export async function startPrometheus(targets: readonly string[]): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'prometheus-'));
  const shipped = await readFile(join(dirname(rulesPath), 'prometheus.yaml'), 'utf8');
  const config = shipped
    .replace('- alerts.yaml', `- ${rulesPath}`)
    .replace(/(- targets:\n)(?: +- .*\n)+/, `$1${targets.map((target) => `          - ${target}\n`).join('')}`);
  const path = join(folder, 'prometheus.yaml');
  await writeFile(path, config);
  const child = spawn(
    'prometheus',
    [
      `--config.file=${path}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      '--web.listen-address=127.0.0.1:0',
      '--log.level=info',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const address = await addressOf(child);
  return {
    async query(expression) {
      const body = new URLSearchParams({ query: expression });
      const response = await fetch(`http://${address}/api/v1/query`, { method: 'POST', body });
      const { data, error } = (await response.json()) as {
        data?: { result: { metric: object; value: unknown }[] };
        error?: string;
      };
      if (data === undefined) throw new Error(`${expression}: ${error}`);
      return data.result;
    },
    async close() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}

/** The address that Prometheus logs when it listens. */
async function addressOf(child: ChildProcess & { stderr: NonNullable<ChildProcess['stderr']> }): Promise<string> {
  const lines = createInterface({ input: child.stderr });
  const printed: string[] = [];
  return new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      printed.push(line);
      const found = /msg="Listening on" address=(\S+)/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', () => reject(new Error(`Prometheus ended: ${printed.slice(-5).join(' ')}`)));
    child.once('error', reject);
  });
}
