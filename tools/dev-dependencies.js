// Installs what tests, checks and generation need beyond the run-time packages: exactly what the lockfile names. A
// no-op when it is there. Runs on any Node, since it may be what brings ours.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const attempts = 3;

/** Every package that the lockfile wants on this kind of machine, by path, with its version. */
function wanted() {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  return Object.entries(packages).filter(
    ([path, entry]) => path.startsWith('node_modules/') && !entry.optional && !entry.link,
  );
}

function isComplete() {
  return wanted().every(([path, entry]) => {
    if (!existsSync(`${path}/package.json`)) return false;
    return JSON.parse(readFileSync(`${path}/package.json`, 'utf8')).version === entry.version;
  });
}

for (let attempt = 1; !isComplete(); attempt += 1) {
  if (attempt > attempts) {
    console.error('The development packages could not be installed: see the output of npm above.');
    process.exit(1);
  }
  if (attempt > 1) console.error(`npm ci failed; attempt ${attempt} of ${attempts}`);
  spawnSync('npm', ['ci', '--include=dev'], { stdio: ['ignore', 'inherit', 'inherit'] });
}
