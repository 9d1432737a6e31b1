#!/usr/bin/env node
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// In a checkout the sources run as they are, on the Node that the lockfile names; installed, the build does.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const isOld = major < 22 || (major === 22 && minor < 19);
const source = new URL('../src/cli.ts', import.meta.url);
const locked = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url));

if (isOld && existsSync(source) && existsSync(locked) && realpathSync(locked) !== realpathSync(process.execPath)) {
  const { status } = spawnSync(locked, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
} else if (isOld) {
  process.stderr.write(`customer-gateway needs Node 22.19 or newer; this is ${process.version}.\n`);
  process.exitCode = 1;
} else {
  const { main } = await import(existsSync(source) ? source.href : new URL('../dist/cli.js', import.meta.url).href);
  const code = await main(process.argv.slice(2), process.env);
  if (code !== undefined) process.exitCode = code;
}
