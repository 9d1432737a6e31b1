import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const bin = join(root, 'bin/customer-gateway.js');
const path = [dirname(process.execPath), process.env['PATH']].join(delimiter);
const slowCreate =
  'mutation { createCustomer(input: { objectReferenceId: "reference-1", mobileNumber: "1", emailAddress: "a@b" }) { __typename } }';

/** Runs this code in Node before the program. */
const first = (code: string) => ['--import', `data:text/javascript,${encodeURIComponent(code)}`];

/** Simulates an old Node with another path than the locked one. */
const asNode20 = first(
  "Object.defineProperty(process.versions, 'node', { value: '20.20.2' }); Object.defineProperty(process, 'version', { value: 'v20.20.2' }); Object.defineProperty(process, 'execPath', { value: '/bin/sh' });",
);

/** Simulates a supported Node that cannot run TypeScript, such as one that was built without it. */
const withoutTypeScript = first("Object.defineProperty(process.features, 'typescript', { value: false });");

/** Starts a command in its own session, so that processes it leaves behind can be found. */
async function begin(command: string, words: readonly string[], cwd = root) {
  const child = spawn(command, words, { cwd, env: { PATH: path, HOME: tmpdir(), PORT: '0' }, detached: true });
  let text = '';
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      text += String(data);
      if (text.includes('Ctrl-C')) resolve();
    });
  }
  const exit = new Promise<number | null>((done) => child.once('exit', done));
  void exit.then(() => reject(new Error(text)));
  await promise;
  const [, url = ''] = /GraphiQL {2}(http:\S+)/.exec(text) ?? [];
  const [, admin = ''] = /(http:\S+\/__admin)/.exec(text) ?? [];
  return { child, exit, url, admin };
}

async function isListening(url: string): Promise<boolean> {
  return fetch(new URL('/health', url)).then(
    () => true,
    () => false,
  );
}

/** A project with the installed command. */
function installed(): string {
  const folder = mkdtempSync(join(tmpdir(), 'start-'));
  mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true });
  symlinkSync(bin, join(folder, 'node_modules/.bin/customer-gateway'));
  writeFileSync(join(folder, 'package.json'), '{}');
  return folder;
}

for (const [name, command, words, code] of [
  ['npm start', 'npm', ['start'], 0],
  ['npm run dev', 'npm', ['run', 'dev'], undefined],
  ['the command under Node 20', process.execPath, [...asNode20, bin], 0],
] as const) {
  test(`SIGTERM to ${name} MUST drain the gateway and leave no process behind`, async () => {
    const { child, exit, url, admin } = await begin(command, words);
    await fetch(`${admin}/faults`, { method: 'POST', body: '{"fault":"slow","on":"create","delayMs":1000}' });
    const answered = fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: slowCreate }),
    });
    while (((await (await fetch(`${admin}/calls`)).json()) as unknown[]).length === 0);
    child.kill('SIGTERM');
    assert.deepEqual(await (await answered).json(), {
      data: { createCustomer: { __typename: 'CreateCustomerSuccess' } },
    });
    const ended = await exit;
    if (code !== undefined) assert.equal(ended, code);
    assert.equal(await isListening(url), false);
  });
}

test('SIGTERM to npm run sandbox MUST stop the sandbox', async () => {
  const { child, exit, admin } = await begin('npm', ['run', 'sandbox']);
  assert.equal(await isListening(admin), true);
  child.kill('SIGTERM');
  assert.equal(await exit, 0);
  assert.equal(await isListening(admin), false);
});

test('SIGTERM to npx MUST stop the gateway, although the shell between them does not forward it', async (context) => {
  const folder = installed();
  context.after(() => rmSync(folder, { recursive: true }));
  const { child, exit, url } = await begin('npx', ['customer-gateway'], folder);
  child.kill('SIGTERM');
  await exit;
  while (await isListening(url)) await delay(50);
});

test('a killed launcher MUST NOT leave the gateway running', async () => {
  const { child, exit, url } = await begin(process.execPath, [...asNode20, bin]);
  child.kill('SIGKILL');
  await exit;
  while (await isListening(url)) await delay(50);
});

test('the launcher MUST exit with the exit code of the command', () => {
  const run = (words: readonly string[]) =>
    spawnSync(process.execPath, [...asNode20, bin, ...words], { env: { PATH: path }, encoding: 'utf8' });
  assert.equal(run(['--version']).status, 0);
  assert.equal(run(['no-such-command']).status, 2);
});

test('a checkout without a supported Node MUST print the required version', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'checkout-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const name of ['bin', 'tools']) cpSync(join(root, name), join(folder, name), { recursive: true });
  mkdirSync(join(folder, 'src/cli'), { recursive: true });
  writeFileSync(join(folder, 'src/cli/main.ts'), 'const text: string = "not JavaScript";\n');
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', scripts }));
  // An old `node`, first in the PATH of the script.
  mkdirSync(join(folder, 'old'));
  const old = asNode20.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  writeFileSync(join(folder, 'old/node'), `#!/bin/sh\nexec '${process.execPath}' ${old} "$@"\n`, { mode: 0o755 });
  for (const name of Object.keys(scripts)) {
    const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', name], {
      cwd: folder,
      env: { PATH: [join(folder, 'old'), path].join(delimiter), HOME: tmpdir() },
      encoding: 'utf8',
    });
    assert.equal(status, 1, name);
    assert.equal(stdout, '', name);
    assert.match(stderr, /^customer-gateway needs Node 22\.19 or newer[^\n]*; this is v20\.20\.2\.\n$/, name);
  }
});

test('on a Node without TypeScript a checkout MUST print the required version, and an installed package MUST run', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'without-'));
  context.after(() => rmSync(folder, { recursive: true }));
  cpSync(join(root, 'bin'), join(folder, 'bin'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  mkdirSync(join(folder, 'dist/cli'), { recursive: true });
  writeFileSync(join(folder, 'dist/cli/main.js'), 'export const main = async () => 7;\n');
  const launch = () =>
    spawnSync(process.execPath, [...withoutTypeScript, join(folder, 'bin/customer-gateway.js')], { encoding: 'utf8' });
  const { status, stderr } = launch();
  assert.deepEqual([status, stderr], [7, '']);
  mkdirSync(join(folder, 'src/cli'), { recursive: true });
  writeFileSync(join(folder, 'src/cli/main.ts'), 'export const main = async (): Promise<number> => 8;\n');
  const refused = launch();
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /^customer-gateway needs Node [^\n]* that runs TypeScript; this is v[\d.]+\.\n$/);
});

test('a locked Node that cannot be started MUST lead to the required version, not to a stack trace', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'locked-'));
  context.after(() => rmSync(folder, { recursive: true }));
  cpSync(join(root, 'bin'), join(folder, 'bin'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  for (const path of ['src/cli', 'node_modules/.bin']) mkdirSync(join(folder, path), { recursive: true });
  writeFileSync(join(folder, 'src/cli/main.ts'), '');
  // A program for another C library fails like a script without its interpreter.
  writeFileSync(join(folder, 'node_modules/.bin/node'), '#!/no/such/interpreter\n', { mode: 0o755 });
  const launched = spawnSync(process.execPath, [...asNode20, join(folder, 'bin/customer-gateway.js')], {
    encoding: 'utf8',
  });
  assert.equal(launched.status, 1);
  assert.match(launched.stderr, /^customer-gateway needs Node 22\.19 or newer[^\n]*; this is v20\.20\.2\.\n$/);
});

test('the `exec` for shells without it MUST pass on arguments, SIGTERM and the exit code', async (context) => {
  const exec = join(root, 'tools/node/exec.js');
  const code =
    "process.once('SIGTERM', () => process.exit(7)); console.log(process.argv[1]); setTimeout(() => {}, 60_000);";
  const child = spawn(process.execPath, [exec, process.execPath, '-e', code, 'two words']);
  context.after(() => child.kill('SIGKILL'));
  const exit = once(child, 'exit');
  const [said] = await Promise.race([once(child.stdout, 'data'), exit]);
  assert.equal(String(said).trim(), 'two words');
  child.kill('SIGTERM');
  assert.deepEqual(await exit, [7, null]);

  const missing = spawnSync(process.execPath, [exec, 'no-such-command'], { encoding: 'utf8' });
  assert.deepEqual([missing.status, missing.stderr], [1, 'spawn no-such-command ENOENT\n']);
});
