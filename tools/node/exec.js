#!/usr/bin/env node
// `exec` for the scripts of package.json where the shell has none (cmd.exe). Elsewhere the shell's own replaces the shell by
// the command, so that the signals npm sends reach the command.
import { spawn } from 'node:child_process';

const [command = '', ...words] = process.argv.slice(2);
const child = spawn(command, words, { stdio: 'inherit' });
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', ({ message }) => {
  console.error(message);
  process.exitCode = 1;
});
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
