import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { settings } from '../../src/config/settings.ts';

// systemd is not the first process of most machines that run the tests, so it cannot start the unit. The commands of the unit are run
// with its environment instead.

const unit = readFileSync('deploy/systemd/customer-gateway.service', 'utf8');
const lines = unit.split('\n').filter((line) => /^\w+=/.test(line));
const valuesOf = (name: string) =>
  lines.filter((line) => line.startsWith(`${name}=`)).map((line) => line.slice(name.length + 1));

/** The unit for this checkout: the paths of the installation do not exist here. */
const local = (text: string) =>
  text
    .replaceAll('/opt/customer-gateway/node_modules/juspay-customer-gateway', resolve('.'))
    .replaceAll('/usr/bin/node', process.execPath);

test('systemd-analyze MUST accept the unit, and find little exposure', (context) => {
  if (process.platform !== 'linux') return context.diagnostic('systemd exists on Linux only');
  const folder = mkdtempSync(join(tmpdir(), 'unit-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'customer-gateway.service');
  writeFileSync(path, local(unit));
  const run = (...words: string[]) => spawnSync('systemd-analyze', words, { encoding: 'utf8' });
  // `verify` reports unknown names and values on stderr and exits with 0.
  const verified = run('verify', '--man=no', path);
  assert.deepEqual([verified.status, verified.stderr], [0, '']);
  // The exposure is a number from 0 to 100. It fails above the threshold.
  assert.equal(run('security', '--offline=true', '--threshold=20', '--no-pager', path).status, 0);
  writeFileSync(path, local(unit).replace('ProtectHome=yes', 'ProtectHom=yes'));
  assert.match(run('verify', '--man=no', path).stderr, /ProtectHom/);
});

test('the commands of the unit MUST start the gateway with the credential, drain on SIGTERM and exit with 0', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'credentials-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const [credential = ''] = valuesOf('LoadCredential').map((value) => value.split(':')[0]);
  writeFileSync(join(folder, credential), 'key-of-the-unit\n', { mode: 0o400 });
  const calls: string[] = [];
  const provider = createServer((request, response) => {
    calls.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    response.setHeader('content-type', 'application/json').end('{"id":"cst_1","object":"customer"}');
  }).listen(0, '127.0.0.1');
  context.after(() => provider.close());
  await once(provider, 'listening');
  const assigned = valuesOf('Environment')
    .flatMap((value) => value.split(' '))
    .map((pair) => pair.replaceAll('%d', folder).split('='));
  const environment = {
    // The content of settings.env.
    JUSPAY_BASE_URL: `http://127.0.0.1:${(provider.address() as AddressInfo).port}`,
    JUSPAY_MERCHANT_ID: 'acme',
    AUTH_MODE: 'none',
    PORT: '0',
    ...Object.fromEntries(assigned),
  };
  const command = (name: string) => local(valuesOf(name)[0] ?? '').split(' ');
  const [check = '', ...checkWords] = command('ExecStartPre');
  assert.equal(execFileSync(check, checkWords, { encoding: 'utf8', env: environment }), 'The settings are valid.\n');
  const [program = '', ...words] = command('ExecStart');
  const gateway = spawn(program, words, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const url = await new Promise<string>((resolve_) => {
    gateway.stdout.on('data', (data) => {
      output += String(data);
      const [, found] = /"url":"([^"]+)"/.exec(output) ?? [];
      if (found !== undefined) resolve_(found);
    });
  });
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ customer(id: "cst_1") { id } }' }),
  });
  assert.deepEqual(await response.json(), { data: { customer: { id: 'cst_1' } } });
  assert.deepEqual(calls, [`GET /customers/cst_1 Basic ${Buffer.from('key-of-the-unit:').toString('base64')}`]);
  gateway.kill('SIGTERM');
  assert.deepEqual(await once(gateway, 'close'), [0, null]);
});

test('the unit MUST set known settings only, and wait longer than the gateway drains', () => {
  const names = valuesOf('Environment').flatMap((value) => value.split(' ').map((pair) => pair.split('=')[0] ?? ''));
  const known = ['NODE_ENV', ...settings.flatMap(({ name }) => [name, `${name}_FILE`])];
  assert.deepEqual(
    names.filter((name) => !known.includes(name)),
    [],
  );
  const [, graceMs = '0'] = /SHUTDOWN_GRACE_MS=(\d+)/.exec(unit) ?? [];
  assert.ok(Number(valuesOf('TimeoutStopSec')[0]) * 1_000 > Number(graceMs) + 1_500);
});
