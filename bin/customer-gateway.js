#!/usr/bin/env node
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { problem } from './node-version.js';

// A checkout runs the TypeScript sources, on the Node of the lockfile if necessary. An installed package runs `dist`.
const source = new URL('../src/cli/main.ts', import.meta.url);
const locked = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url));
const self = fileURLToPath(import.meta.url);

/** How often the process checks whether its parent has exited. */
const parentCheckMs = 250;

/** Bound of each of the two semi-spaces of V8's new space, which otherwise grow to 64 MiB. */
const maxSemiSpaceBytes = 32 * 2 ** 20;
const semiSpaceCheckMs = 250;
/** The default of V8. */
let growthFactor = 2;

if (problem === undefined) run();
else if (existsSync(source) && existsSync(locked) && realpathSync(locked) !== realpathSync(process.execPath))
  runOn(locked);
else fail();

function run() {
  // docs/decisions/0036-young-garbage.md
  setFlagsFromString('--no-allocation-site-pretenuring');
  // An operator who sets a size decides.
  const options = [process.env.NODE_OPTIONS ?? '', ...process.execArgv].join(' ');
  if (!/semi.space/.test(options)) setInterval(boundSemiSpaces, semiSpaceCheckMs).unref();
  // The IPC channel closes when the launcher of `runOn` exits, even if it was killed.
  if (process.connected) {
    process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
    process.channel?.unref();
  }
  onOrphaned(() => process.kill(process.pid, 'SIGTERM'));
  void import(existsSync(source) ? source.href : new URL('../dist/cli/main.js', import.meta.url).href)
    .then(({ main }) => main(process.argv.slice(2), process.env))
    .then((code) => {
      if (code !== undefined) process.exitCode = code;
    });
}

/** Stops V8 from doubling the semi-spaces beyond the bound. See docs/decisions/0036-young-garbage.md. */
function boundSemiSpaces() {
  const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
  const bytes = space === undefined ? 0 : space.space_used_size + space.space_available_size;
  const factor = bytes > maxSemiSpaceBytes / 2 ? 1 : 2;
  if (factor !== growthFactor) setFlagsFromString(`--semi-space-growth-factor=${factor}`);
  growthFactor = factor;
}

/** Runs the same command on another Node. Forwards signals and the exit code. */
function runOn(node) {
  const child = spawn(node, [self, ...process.argv.slice(2)], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  child.channel?.unref();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']) {
    process.on(signal, () => child.kill(signal));
  }
  onOrphaned(() => child.kill('SIGTERM'));
  // The locked Node may be built for another C library.
  child.on('error', fail);
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}

/**
 * Calls `stop` when the parent process exits, if npm started the command. npm sends SIGTERM to its shell only. The shell exits without
 * forwarding the signal, so a changed parent id is the only notice.
 */
function onOrphaned(stop) {
  if (process.env.npm_command === undefined && process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop();
  }, parentCheckMs);
  timer.unref();
}

function fail() {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
}
