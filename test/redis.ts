import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './proxies.ts';

/** A real server on a free port of loopback, which stores nothing on disk. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly child: ChildProcess;
  /** Sends one command as the operator, who has a user of their own. */
  run(...command: readonly (string | number)[]): Promise<unknown>;
  /** Starts again on the same port. */
  restart(): Promise<void>;
  kill(): Promise<void>;
  close(): Promise<void>;
}

export async function startRedis(...options: readonly string[]): Promise<RedisServer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'redis-'));
  const operator = new Redis(`redis://operator:operator@127.0.0.1:${port}`, {
    lazyConnect: true,
    protocol: 2,
    enableReadyCheck: false,
    retryStrategy: () => null,
  });
  operator.on('error', () => undefined);
  let child = await start();

  async function start(): Promise<ChildProcess> {
    const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'];
    const user = ['--user', 'operator', 'on', '>operator', '~*', '&*', '+@all'];
    const started = spawn('redis-server', [...fixed, ...user, ...options]);
    let output = '';
    for await (const chunk of started.stdout) {
      output += String(chunk);
      if (output.includes('Ready to accept connections')) break;
    }
    assert.match(output, /Ready to accept connections/);
    started.stdout.resume();
    return started;
  }
  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }

  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get child() {
      return child;
    },
    async run(...[name, ...rest]) {
      if (operator.status !== 'ready') await operator.connect();
      return operator.call(String(name), ...rest);
    },
    async restart() {
      await kill();
      child = await start();
    },
    kill,
    async close() {
      operator.disconnect();
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Lines of a log, and a way to wait for them. */
export function recordLines() {
  const lines: Record<string, unknown>[] = [];
  const waiting = new Set<() => void>();
  const count = (message: string) => lines.filter((line) => line['message'] === message).length;
  return {
    lines,
    write(line: string) {
      lines.push(JSON.parse(line) as Record<string, unknown>);
      for (const check of waiting) check();
    },
    count,
    /** Resolves when this message was logged so many times. */
    async until(message: string, times = 1): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      const check = () => count(message) >= times && resolve();
      waiting.add(check);
      check();
      await promise;
      waiting.delete(check);
      assert.equal(count(message), times, message);
    },
  };
}
