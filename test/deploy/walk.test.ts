import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { linuxTest, type Output, outputOf } from '../program.ts';
import { freePort } from '../proxies.ts';

/** The ports of the page. The test replaces each by a free one. */
const ports = [4001, 4002, 4010, 6379, 8080, 9090, 9464, 9465];
/** Time between two looks at a program that has no event to wait for. */
const lookMs = 300;

const page = readFileSync('docs/operating.md', 'utf8');
const section = page.split('## A pair of instances on one machine')[1]?.split(/^## /m)[0] ?? '';
const fences = [...section.matchAll(/^( *)```sh\n([\s\S]*?)^ *```/gm)].map(([, indent = '', text = '']) =>
  text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
);

/** One shell, as the page asks for. */
interface Shell extends Output {
  /** Runs the fence that contains this text. @returns what it has printed. @throws if a command fails. */
  run(marker: string): Promise<string>;
  end(): Promise<void>;
}

function startShell(folder: string, replace: (text: string) => string): Shell {
  const child = spawn('bash', ['--norc', '-eo', 'pipefail', '-s'], { detached: true });
  const printed = outputOf(child);
  // Also after a failed command: the programs of the earlier steps still run.
  child.once('exit', () => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  });
  let steps = 0;
  return {
    ...printed,
    async run(marker) {
      const [fence, ...others] = fences.filter((text) => text.includes(marker));
      assert.ok(fence !== undefined && others.length === 0, `${marker} is in ${others.length} other fences`);
      steps += 1;
      const path = join(folder, `step-${steps}.sh`);
      writeFileSync(path, replace(fence));
      // Commands of the fence must not read the next lines of the script.
      child.stdin.write(`echo begin-${steps}; . '${path}' < /dev/null; printf '\\nend-${steps}\\n'\n`);
      const [, text = ''] = await printed.waitFor(new RegExp(`^begin-${steps}\n(.*?)\nend-${steps}\n`, 'ms'));
      return text;
    },
    async end() {
      child.stdin.end();
      await printed.exit;
    },
  };
}

/** Looks at a file until it matches. */
async function written(path: string, pattern: RegExp): Promise<void> {
  while (!existsSync(path) || !pattern.test(readFileSync(path, 'utf8'))) await wait(lookMs);
}

linuxTest(
  'the steps of docs/operating.md MUST start a pair of instances that is observed, and roll one without a failed operation',
  async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'walk-'));
    const own = new Map<number, number>();
    for (const port of ports) own.set(port, await freePort());
    const withPorts = (text: string) =>
      text.replaceAll(/(?<=127\.0\.0\.1:|PORT=|--port |sport = :)\d{4}/g, (port) =>
        String(own.get(Number(port)) ?? port),
      );
    // The shipped configuration, with these ports and a short interval.
    const config = 'deploy/prometheus/prometheus.yaml';
    const shipped = withPorts(readFileSync(config, 'utf8')).replace(
      '- alerts.yaml',
      `- ${resolve(dirname(config))}/alerts.yaml`,
    );
    writeFileSync(join(folder, 'prometheus.yaml'), shipped.replaceAll(/\b1[05]s$/gm, '1s'));
    const shell = startShell(folder, (text) =>
      withPorts(text)
        .replace('npm run sandbox', `PORT=${own.get(4010)} npm run sandbox`)
        .replace(config, join(folder, 'prometheus.yaml'))
        .replaceAll('pair/', `${folder}/`)
        .replace('mkdir -p pair\n', ''),
    );
    context.after(async () => {
      await shell.end();
      rmSync(folder, { recursive: true, force: true });
    });
    const file = (name: string) => readFileSync(join(folder, name), 'utf8');

    await shell.run('npm run sandbox');
    await shell.run('caller_key=');
    await written(join(folder, 'sandbox.log'), new RegExp(`:${own.get(4010)}`));
    const findings = await shell.run('customer-gateway doctor');
    assert.match(findings, /^The settings are valid\.$/m);
    assert.match(findings, /^Problems: 0\. Warnings: 0\.$/m, findings);
    await shell.run('haproxy -f');
    assert.deepEqual(
      JSON.parse(await shell.run('curl -s --retry 20 --retry-connrefused --retry-delay 1 --fail http')),
      {
        data: { customer: { id: 'cst_0123456789abcdef' } },
      },
    );
    const read = await shell.run('audit verify');
    assert.match(read, /^customer_gateway_operations_total\{/m, read);

    await shell.run('prometheus --config.file');
    await written(join(folder, 'prometheus.log'), /Server is ready/);
    let up = '';
    while (!/"1"\]\n.*"1"\]\n/.test(up)) {
      await wait(lookMs);
      up = await shell.run('api/v1/query?query=up');
    }

    await shell.run('load=$!');
    await shell.run('api/v1/alerts');
    await written(join(folder, 'gateway-1.log'), /UPSTREAM_UNAVAILABLE/);
    await shell.run('-X DELETE');
    await shell.run('pid=$(ss');
    await written(join(folder, 'gateway-1.log'), /"message":"stopped".*"message":"listening"/s);
    const statuses = await shell.run('sort pair/statuses');
    assert.match(statuses, /^ *\d+ 200\n$/, `${statuses}\n${file('haproxy.log')}`);
    await shell.run('kill $load');
  },
);

test('each shell block of the section MUST be executed', () => {
  const text = readFileSync('test/deploy/walk.test.ts', 'utf8');
  const executed = [...text.matchAll(/shell\.run\('([^']+)'\)/g)].map(([, marker = '']) => marker);
  for (const fence of fences)
    assert.ok(
      executed.some((marker) => fence.includes(marker)),
      fence,
    );
});
