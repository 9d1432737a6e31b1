import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const here = createRequire(import.meta.url);
const composition = createRequire(new URL('../composition/package.json', import.meta.url));

/** The version of an installed package. Its entry point can be in a folder, so it is searched for upwards. */
function packageVersion(name: string, from = here): string {
  for (const folder of from.resolve.paths(name) ?? []) {
    try {
      return (JSON.parse(readFileSync(`${folder}/${name}/package.json`, 'utf8')) as { version: string }).version;
    } catch {
      // Not in this folder.
    }
  }
  throw new Error(`${name} is not installed`);
}

function commandVersion(command: string, argument: string): string {
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` };
  const { stdout, stderr } = spawnSync(command, [argument], { env, encoding: 'utf8' });
  return /\d+(\.\d+)+/.exec(`${stdout}${stderr}`)?.[0] ?? 'unknown';
}

export const versions = {
  package: (name: string) => () => packageVersion(name),
  composition: (name: string) => () => packageVersion(name, composition),
  nginx: () => commandVersion('nginx', '-v'),
  haproxy: () => commandVersion('haproxy', '-v'),
  chromium: () => commandVersion('chromium', '--version'),
  node: () => `Node.js ${process.versions.node}`,
} as const;
