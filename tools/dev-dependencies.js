// Installs what tests, checks and generation need beyond the run-time packages: exactly what `test/package-lock.json`
// names. A no-op when it is there. Not in the root's devDependencies, so that a plain `npm ci && npm start` does not wait
// for it (and not left out with `omit=dev` either: npm then sets NODE_ENV=production, which refuses the sandbox).
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const attempts = 3;

function isComplete() {
  const { packages } = JSON.parse(readFileSync('test/package-lock.json', 'utf8'));
  return Object.entries(packages).every(([path, entry]) => {
    if (path === '' || entry.optional) return true;
    const manifest = `test/${path}/package.json`;
    return existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === entry.version;
  });
}

for (let attempt = 1; !isComplete(); attempt += 1) {
  if (attempt > attempts) {
    console.error('The packages for tests and checks could not be installed: see the output of npm above.');
    process.exit(1);
  }
  if (attempt > 1) console.error(`npm ci failed; attempt ${attempt} of ${attempts}`);
  spawnSync('npm', ['ci', '--prefix', 'test'], { stdio: ['ignore', 'inherit', 'inherit'] });
}
