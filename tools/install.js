// Installs the packages of folders with their own lockfile, which only some suites and examples need. Skips folders whose packages are
// installed.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const attempts = 3;

for (const folder of process.argv.slice(2)) {
  for (let attempt = 1; !isInstalled(folder); attempt += 1) {
    if (attempt > attempts) {
      console.error(`The packages of ${folder} could not be installed: see the output of npm above.`);
      process.exit(1);
    }
    if (attempt > 1) console.error(`npm ci failed; attempt ${attempt} of ${attempts}`);
    spawnSync('npm', ['ci'], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
  }
}

/** Whether each package of the lockfile is installed in its version. Ignores optional packages that are not for this platform only. */
function isInstalled(folder) {
  const { packages } = JSON.parse(readFileSync(`${folder}/package-lock.json`, 'utf8'));
  return Object.entries(packages).every(([path, { version, optional, link, os, cpu, libc }]) => {
    const isForHere = os?.includes(process.platform) && cpu?.includes(process.arch) && libc === undefined;
    if (!path.includes('node_modules/') || path.startsWith('..') || (optional && !isForHere) || link) return true;
    const manifest = `${folder}/${path}/package.json`;
    return existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === version;
  });
}
