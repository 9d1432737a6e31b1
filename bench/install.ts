import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly optional?: boolean }>>;
}

const installTimeoutMs = 5 * 60_000;

/** Installs the servers to compare with, exactly as the lockfile names them; nothing happens when they are there. */
export function install(folder: string): void {
  if (isComplete(folder)) return;
  process.stderr.write('Installing the servers to compare with (npm ci in bench) …\n');
  // npm's own words go where the progress goes: stdout is the table's.
  spawnSync('npm', ['ci', '--prefix', folder], { stdio: ['ignore', 2, 2], timeout: installTimeoutMs });
  if (!isComplete(folder)) throw new Error('the servers to compare with could not be installed: see npm above');
}

/** An install that was cut short, or an older one, has the folder and not what the lockfile names. */
function isComplete(folder: string): boolean {
  const { packages } = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')) as Lock;
  return Object.entries(packages).every(([path, { version, optional }]) => {
    if (path === '' || optional) return true;
    const manifest = join(folder, path, 'package.json');
    return existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === version;
  });
}
