#!/usr/bin/env node
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { problem } from './node-version.js';

// In a checkout the sources run as they are, on the Node that the lockfile names; installed, the build does.
const source = new URL('../src/cli/main.ts', import.meta.url);
const locked = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url));
const self = fileURLToPath(import.meta.url);

/** How often a process that npm started looks whether its parent is still there. */
const lookMs = 250;

if (problem === undefined) run();
else if (existsSync(source) && existsSync(locked) && realpathSync(locked) !== realpathSync(process.execPath))
  runOn(locked);
else refuse();

function run() {
  // The launcher below is gone, however it ended.
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

/** Runs the same command on another Node. Signals are passed on; the exit code becomes that of this process. */
function runOn(node) {
  const child = spawn(node, [self, ...process.argv.slice(2)], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  child.channel?.unref();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']) {
    process.on(signal, () => child.kill(signal));
  }
  onOrphaned(() => child.kill('SIGTERM'));
  // A locked Node that this system cannot run, such as one for another C library.
  child.on('error', refuse);
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}

/**
 * npm runs commands in a shell and passes SIGTERM to that shell, which ends without passing it on. The command then has
 * another parent, and that is all it gets to know.
 */
function onOrphaned(stop) {
  if (process.env.npm_command === undefined && process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop();
  }, lookMs);
  timer.unref();
}

function refuse() {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
}
