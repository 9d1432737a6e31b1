import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly optional?: boolean }>>;
}

const installTimeoutMs = 5 * 60_000;

/** Installs the peers in the versions of the lockfile. Does nothing if they are installed. */
export function install(folder: string): void {
  if (isComplete(folder)) return;
  process.stderr.write('Installing the servers to compare with (npm ci in bench) …\n');
  // Redirect the output of npm to stderr: stdout is for the table.
  spawnSync('npm', ['ci', '--prefix', folder], { stdio: ['ignore', 2, 2], timeout: installTimeoutMs });
  if (!isComplete(folder)) throw new Error('the servers to compare with could not be installed: see npm above');
}

/** Compares with the lockfile: after an interrupted or older install, the folder exists with other content. */
function isComplete(folder: string): boolean {
  const { packages } = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')) as Lock;
  return Object.entries(packages).every(([path, { version, optional }]) => {
    if (path === '' || optional) return true;
    const manifest = join(folder, path, 'package.json');
    return existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === version;
  });
}
