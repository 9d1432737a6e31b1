// Installs what tests, checks and generation need beyond the run-time packages: exactly what `test/package-lock.json`
// names. A no-op when it is there. Not in the root's devDependencies, so that a plain `npm ci && npm start` does not wait
// for it (and not left out with `omit=dev` either: npm then sets NODE_ENV=production, which refuses the sandbox).
import './check-node.js';
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, relative } from 'node:path';

const attempts = 3;

for (let attempt = 1; !isComplete(); attempt += 1) {
  if (attempt > attempts) {
    console.error('The packages for tests and checks could not be installed: see the output of npm above.');
    process.exit(1);
  }
  if (attempt > 1) console.error(`npm ci failed; attempt ${attempt} of ${attempts}`);
  spawnSync('npm', ['ci', '--prefix', 'test'], { stdio: ['ignore', 'inherit', 'inherit'] });
}
dropTwins();
link();

function isComplete() {
  const { packages } = JSON.parse(readFileSync('test/package-lock.json', 'utf8'));
  return Object.entries(packages).every(([path, { version, optional }]) => {
    if (path === '' || optional || versionIn(`test/${path}`) === version) return true;
    // Or it is, or belongs to, a twin of one of the root's.
    const [twin = ''] = /^node_modules\/(@[^/]+\/)?[^/]+/.exec(path) ?? [];
    return versionIn(twin) === packages[twin]?.version;
  });
}

/**
 * What the gateway itself runs on stands in the root already. A second copy of graphql would not know the first one's schema. What is linked
 * into the root from here is no second copy.
 */
function dropTwins() {
  for (const name of names('test/node_modules')) {
    if (lstatSync(`node_modules/${name}`, { throwIfNoEntry: false })?.isSymbolicLink()) continue;
    const version = versionIn(`node_modules/${name}`);
    if (version !== undefined && version === versionIn(`test/node_modules/${name}`)) {
      rmSync(`test/node_modules/${name}`, { recursive: true });
    }
  }
}

/**
 * Lets `codegen.ts`, `src/client` and the examples find these packages too: they stand beside `test`, not below it.
 * The two packages of this repository are linked as their users see them.
 */
function link() {
  const links = Object.fromEntries(names('test/node_modules').map((name) => [name, `test/node_modules/${name}`]));
  links['juspay-customer-gateway'] = '.';
  links['juspay-customer-client'] = 'dist-client';
  for (const [name, target] of Object.entries(links)) {
    const path = `node_modules/${name}`;
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) continue;
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(relative(dirname(path), target), path, 'junction');
  }
}

/** Packages of one folder, those of scopes included. */
function names(folder) {
  return readdirSync(folder).flatMap((name) => {
    if (name.startsWith('.')) return [];
    return name.startsWith('@') ? readdirSync(`${folder}/${name}`).map((inner) => `${name}/${inner}`) : [name];
  });
}

function versionIn(folder) {
  const manifest = `${folder}/package.json`;
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')).version : undefined;
}
