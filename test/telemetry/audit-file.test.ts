import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { AuditUsageError, verifyFiles } from '../../src/cli/audit.ts';
import { createGateway } from '../../src/index.ts';
import { Chain, genesis, headerAfter } from '../../src/telemetry/audit-file/chain.ts';
import { AuditFile } from '../../src/telemetry/audit-file/file.ts';
import { Verifier } from '../../src/telemetry/audit-file/verify.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { ask, start } from '../program.ts';

const bin = fileURLToPath(new URL('../../bin/customer-gateway.js', import.meta.url));

type Line = Readonly<Record<string, unknown>>;

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'audit-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Opens a file with a log that collects its lines. */
function openAudit(path: string) {
  const lines: string[] = [];
  const failures = { count: 0 };
  const waiting = new Set<() => void>();
  const take = (line: string) => {
    lines.push(line);
    for (const look of waiting) look();
  };
  const file = new AuditFile(path);
  const log = createLog('info', take, file);
  const metrics = {
    auditFailed() {
      failures.count += 1;
    },
  };
  file.start({ log, metrics, write: take });
  const until = (text: string) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (lines.some((line) => line.includes(text))) resolve();
      };
      waiting.add(look);
      look();
    });
  return { file, log, lines, failures, until, audits: () => lines.filter((line) => line.includes('"audit":true')) };
}

const linesOf = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1);
const parse = (line: string | undefined) => JSON.parse(line ?? '{}') as Line;
const entry = (n: number) =>
  ({ audit: true, field: 'updateCustomer', customer: `pseudonym-${n}`, outcome: 'UPDATED' }) as const;

/** Waits until the file has this text. */
async function written(path: string, text: string): Promise<void> {
  while (!existsSync(path) || !readFileSync(path, 'utf8').includes(text))
    await new Promise((done) => setTimeout(done, 5));
}

async function verify(...words: string[]) {
  const { lines, exitCode } = await verifyFiles(['verify', '--json', ...words]);
  const found = JSON.parse(lines.join('\n')) as {
    verdict: string;
    findings: Line[];
    lastSequence: number;
    lastHash: string;
  };
  return { ...found, exitCode, messages: found.findings.map(({ line, message }) => `${line} ${message}`) };
}

test('each audit line MUST carry its number and the hash of the line before, also in the log', async (context) => {
  const path = join(folderOf(context), 'audit.log');
  const { file, log, audits } = openAudit(path);
  log.info('another line');
  for (let n = 0; n < 3; n += 1) log.audit?.('audit', entry(n));
  await file.close();
  const [header, ...links] = linesOf(path);
  assert.equal(parse(header)['message'], 'audit file begins');
  assert.deepEqual(
    links.map((line) => [parse(line)['message'], parse(line)['sequence'], parse(line)['audit']]),
    [
      ['audit started', 1, true],
      ['audit', 2, true],
      ['audit', 3, true],
      ['audit', 4, true],
      ['audit stopped', 5, true],
    ],
  );
  links.reduce((previous, line) => {
    assert.equal(parse(line)['previous'], previous);
    return String(parse(line)['hash']);
  }, genesis.hash);
  assert.deepEqual(audits().join(''), `${links.join('\n')}\n`, 'the log has the same lines');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(await verify(path).then(({ exitCode, findings }) => [exitCode, findings]), [0, []]);
});

test('LOG_LEVEL=silent MUST NOT keep audit lines from the file', async (context) => {
  const path = join(folderOf(context), 'audit.log');
  const file = new AuditFile(path);
  const lines: string[] = [];
  const log = createLog('silent', (line) => lines.push(line), file);
  file.start({ log });
  log.audit?.('audit', entry(1));
  await file.close();
  assert.match(readFileSync(path, 'utf8'), /"outcome":"UPDATED"/);
  assert.deepEqual(lines, []);
});

/** A sound file of about 200 lines. */
function soundFile(): Buffer[] {
  const chain = new Chain(genesis);
  const text = (n: number) =>
    `{"level":"info","audit":true,"customer":"p${n % 7}","outcome":"UPDATED","message":"audit"`;
  return [headerAfter(genesis), ...Array.from({ length: 200 }, (_, n) => chain.append(text(n)))].map((line) =>
    Buffer.from(line),
  );
}

function findingsOf(content: Buffer, expected: string) {
  const verifier = new Verifier(expected);
  verifier.beginFile('f');
  let start = 0;
  for (let end = content.indexOf(10); end >= 0; end = content.indexOf(10, start)) {
    verifier.add(content.subarray(start, end));
    start = end + 1;
  }
  verifier.endFile(content.subarray(start));
  verifier.finish();
  return verifier.problems + verifier.losses;
}

test('any single changed byte, and any removed, inserted, swapped or copied line MUST be found', () => {
  const lines = soundFile();
  const head = String(parse(lines.at(-1)?.toString())['hash']);
  const file = Buffer.concat(lines);
  assert.equal(findingsOf(file, head), 0);
  const index = fc.nat({ max: lines.length - 1 });
  const without = (at: number) => lines.filter((_, n) => n !== at);
  const mutated = fc.oneof(
    fc.record({ at: fc.nat({ max: file.length - 1 }), bits: fc.integer({ min: 1, max: 255 }) }).map(({ at, bits }) => {
      const copy = Buffer.from(file);
      copy[at] = (copy[at] ?? 0) ^ bits;
      return copy;
    }),
    fc.nat({ max: file.length - 1 }).map((at) => Buffer.concat([file.subarray(0, at), file.subarray(at + 1)])),
    fc
      .tuple(fc.nat({ max: file.length }), fc.uint8Array({ minLength: 1, maxLength: 40 }))
      .map(([at, text]) => Buffer.concat([file.subarray(0, at), text, file.subarray(at)])),
    index.map((at) => Buffer.concat(without(at))),
    fc.tuple(index, index).map(([from, to]) => {
      const copy = [...lines];
      copy.splice(to, 0, lines[from] ?? Buffer.alloc(0));
      return Buffer.concat(copy);
    }),
    fc
      .tuple(index, index)
      .filter(([a, b]) => a !== b)
      .map(([a, b]) => {
        const copy = [...lines];
        [copy[a], copy[b]] = [lines[b] ?? Buffer.alloc(0), lines[a] ?? Buffer.alloc(0)];
        return Buffer.concat(copy);
      }),
    fc.nat({ max: file.length - 1 }).map((length) => file.subarray(0, length)),
    // A line that was made for another place.
    fc.tuple(index, fc.nat({ max: 300 })).map(([at, sequence]) => {
      const copy = [...lines];
      const forged = new Chain({ sequence, hash: genesis.hash }).append('{"audit":true,"message":"audit"');
      copy.splice(at, 0, Buffer.from(forged));
      return Buffer.concat(copy);
    }),
  );
  fc.assert(
    fc.property(mutated, (content) => findingsOf(content, head) > 0),
    { numRuns: Number(process.env['RUNS'] ?? 400) },
  );
});

test('a finding MUST have the number of its line and one sentence', async (context) => {
  const path = join(folderOf(context), 'audit.log');
  const lines = soundFile().map(String);
  const found = async (...changed: string[]) => {
    writeFileSync(path, changed.join(''));
    const { exitCode, messages } = await verify(path);
    return [exitCode, ...messages];
  };
  const [header = '', one = '', two = '', three = '', four = ''] = lines;
  const all = [header, one, two, three, four];
  assert.deepEqual(await found(...all), [0]);
  assert.deepEqual(await found(header, one, two.replace('UPDATED', 'CREATED'), three, four), [
    1,
    '3 The line is no audit line, or was changed.',
  ]);
  assert.deepEqual(await found(header, one, four), [1, '3 2 lines before this line are missing.']);
  assert.deepEqual(await found(header, one, two, two, three), [
    1,
    '4 The line is a copy, or stands in the wrong place.',
  ]);
  assert.deepEqual(await found(header, one, 'foreign\n', two), [1, '3 The line is no audit line, or was changed.']);
  assert.deepEqual(await found(one, two), [1, '1 The first line of the file is missing.']);
  assert.deepEqual(await found(''), [1, '1 The file is empty: its lines were removed.']);
  assert.deepEqual(await found(header, one, two.slice(0, 50)), [
    3,
    '3 The file ends within a line: the gateway is writing it, or was killed, or the end of the line was removed.',
  ]);
});

test('`--expect` MUST find removed lines at the end', async (context) => {
  const path = join(folderOf(context), 'audit.log');
  const lines = soundFile();
  const hash = String(parse(lines.at(-1)?.toString())['hash']);
  writeFileSync(path, Buffer.concat(lines));
  assert.equal((await verify('--expect', hash, path)).exitCode, 0);
  writeFileSync(path, Buffer.concat(lines.slice(0, -2)));
  assert.equal((await verify(path)).exitCode, 0);
  const { exitCode, messages } = await verify('--expect', hash, path);
  assert.equal(exitCode, 1);
  assert.match(messages.join(), /No line has the expected hash/);
});

test('a restart MUST continue the chain, also after a torn line and after foreign text', async (context) => {
  const path = join(folderOf(context), 'audit.log');
  const run = async () => {
    const { file, log, lines } = openAudit(path);
    log.audit?.('audit', entry(1));
    await file.close();
    return lines.join('');
  };
  await run();
  await run();
  assert.equal((await verify(path)).exitCode, 0);
  // The end of a process that was killed within a line.
  truncateSync(path, statSync(path).size - 40);
  assert.match(await run(), /"reason":"torn","message":"audit file does not end with an audit line"/);
  const torn = await verify(path);
  assert.equal(torn.exitCode, 3);
  assert.match(torn.messages.join(), /^\d+ The gateway was killed while it wrote the line before this line/);
  const changed = readFileSync(path, 'utf8').replace('"audit stopped","sequ', '"audit stopped","Sequ');
  appendFileSync(path, 'foreign\n');
  assert.match(await run(), /"reason":"damaged"/);
  const damaged = await verify(path);
  assert.equal(damaged.exitCode, 1);
  assert.match(damaged.messages.join(), /The line is no audit line, or was changed/);
  writeFileSync(path, changed);
  assert.equal((await verify(path)).exitCode, 1, 'a change of the torn line is found');
});

test('two gateways MUST NOT write to one file, and the lock of a killed process MUST NOT block the next one', async (context) => {
  const path = join(folderOf(context), 'audit.log');
  const program = `
    const { AuditFile } = await import(${JSON.stringify(new URL('../../src/telemetry/audit-file/file.ts', import.meta.url).href)});
    new AuditFile(${JSON.stringify(path)});
    console.log('open');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
  context.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  assert.throws(() => new AuditFile(path), { code: 'EBUSY' });
  assert.throws(() => createGateway({ auditFile: path }), /auditFile is in use by another gateway/);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const { file } = openAudit(path);
  assert.throws(() => new AuditFile(path), { code: 'EBUSY' });
  await file.close();
  assert.equal(existsSync(`${path}.lock`), false);
});

for (const way of ['renamed', 'removed'] as const) {
  test(`a file that was ${way} MUST be followed by a new one that continues the chain`, async (context) => {
    const path = join(folderOf(context), 'audit.log');
    const { file, log } = openAudit(path);
    log.audit?.('audit', entry(1));
    await written(path, 'pseudonym-1');
    if (way === 'renamed') renameSync(path, `${path}.1`);
    else unlinkSync(path);
    // The path is compared every 100 ms.
    for (let n = 2; !existsSync(path); n += 1) {
      log.audit?.('audit', entry(n));
      await new Promise((done) => setTimeout(done, 10));
    }
    await file.close();
    assert.equal((await verify(path)).exitCode, 0);
    if (way === 'removed') return;
    assert.deepEqual(await verify(`${path}.1`, path).then(({ exitCode, messages }) => [exitCode, messages]), [0, []]);
    assert.equal((await verify(path, `${path}.1`)).exitCode, 3, 'a new chain after the end of another one is reported');
    writeFileSync(`${path}.1`, `${linesOf(`${path}.1`).slice(0, -1).join('\n')}\n`);
    assert.match((await verify(`${path}.1`, path)).messages.join(), /does not continue the one before it/);
  });
}

test('lines of another writer and a truncation MUST be reported while the gateway runs', async (context) => {
  const path = join(folderOf(context), 'audit.log');
  const { file, log, until, failures } = openAudit(path);
  log.audit?.('audit', entry(1));
  await written(path, 'pseudonym-1');
  appendFileSync(path, 'foreign\n');
  const nudge = setInterval(() => log.audit?.('audit', entry(2)), 20);
  context.after(() => clearInterval(nudge));
  await until('"reason":"foreign_lines"');
  truncateSync(path, 0);
  await until('"reason":"truncated"');
  clearInterval(nudge);
  await file.close();
  assert.equal(failures.count, 2);
  assert.equal((await verify(path)).exitCode, 1);
});

/** A file system of this size; `undefined` if this user cannot mount one. */
function smallDisk(context: TestContext, bytes: number): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'audit-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    rmSync(folder, { recursive: true });
    return undefined;
  }
  context.after(() => {
    execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true });
  });
  return folder;
}

test('a full disk MUST NOT block, lost lines MUST be counted, and the file MUST show how many are missing', async (context) => {
  const folder = smallDisk(context, 262_144);
  if (folder === undefined) return context.diagnostic('this user cannot mount a small file system');
  const path = join(folder, 'audit.log');
  const filler = join(folder, 'filler');
  const { file, log, lines, until, failures } = openAudit(path);
  writeFileSync(filler, Buffer.alloc(131_072));
  // The file and the memory together hold fewer lines.
  const total = 6_000;
  for (let n = 0; n < total; n += 1) log.audit?.('audit', entry(n));
  await until('"code":"ENOSPC","message":"audit file cannot be written"');
  assert.ok(failures.count > 1);
  unlinkSync(filler);
  execFileSync('mount', ['-o', 'remount,size=16777216', folder]);
  await until('"message":"audit file is written again"');
  await until('"message":"audit lines lost"');
  log.audit?.('audit', entry(total));
  await file.close();
  const { exitCode, messages } = await verify(path);
  assert.equal(exitCode, 3, messages.join());
  const [, lost = '0'] = /^\d+ (\d+) lines are missing: the gateway could not write them/.exec(messages.join()) ?? [];
  const audits = (all: readonly string[]) => all.filter((line) => line.includes('"message":"audit"'));
  assert.equal(audits(linesOf(path)).length + Number(lost), total + 1);
  assert.equal(audits(lines).length, total + 1, 'every line is in the log');
});

test('a folder that cannot be used MUST be reported at the start', (context) => {
  const folder = folderOf(context);
  assert.throws(
    () => createGateway({ auditFile: join(folder, 'none/audit.log') }),
    /auditFile names a file that cannot be written \(ENOENT\)/,
  );
  assert.throws(() => createGateway({ auditFile: folder }), /auditFile names a file that cannot be written/);
  assert.throws(() => createGateway({ environment: { AUDIT_FILE: folder } }), /AUDIT_FILE names a file/);
});

test('a mounted gateway MUST write its audit to the file, also with a custom log', async (context) => {
  const path = join(folderOf(context), 'audit.log');
  const taken: string[] = [];
  const take = (message: string) => {
    taken.push(message);
  };
  const gateway = createGateway({ auditFile: path, log: { debug: take, info: take, warn: take, error: take } });
  const query = 'mutation { updateCustomer(id: "u7", input: { firstName: "A" }) { __typename } }';
  const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query }) };
  await gateway.fetch(new Request('http://app.test/graphql', request));
  await gateway.dispose();
  assert.ok(taken.includes('audit'));
  assert.equal(parse(linesOf(path).find((line) => line.includes('"message":"audit"')))['outcome'], 'UPDATED');
  assert.equal((await verify(path)).exitCode, 0);
});

/** Ten writes in one operation. */
const tenWrites = `mutation { ${Array.from({ length: 10 }, (_, n) => `u${n}: updateCustomer(id: "u7", input: { firstName: "A${n}" }) { __typename }`).join(' ')} }`;

async function startProgram(context: TestContext, environment: Record<string, string>) {
  const run = start([], { PORT: '0', METRICS_PORT: '0', ...environment });
  context.after(() => run.child.kill('SIGKILL'));
  const [, url = ''] = await run.waitFor(/GraphiQL {2}(http:\S+)/);
  return { ...run, url };
}

test('a program that is killed under load MUST leave a file that the next start continues', async (context) => {
  const path = join(folderOf(context), 'audit.log');
  const killed = await startProgram(context, { AUDIT_FILE: path });
  const state = { answered: 0 };
  const load = Promise.allSettled(
    Array.from({ length: 4 }, async () => {
      for (;;) {
        await ask(killed.url, tenWrites);
        state.answered += 1;
        if (state.answered === 20) killed.child.kill('SIGKILL');
      }
    }),
  );
  await load;
  await killed.exit;
  const next = await startProgram(context, { AUDIT_FILE: path });
  for (let n = 0; n < 5; n += 1) assert.equal((await ask(next.url, tenWrites)).status, 200);
  next.child.kill('SIGTERM');
  assert.equal(await next.exit, 0);
  const result = await verify(path);
  assert.equal(result.exitCode, 3, result.messages.join());
  assert.match(result.messages.join(), /^\d+ The gateway was killed/);
  assert.equal(result.findings.length, 1);
  const all = linesOf(path);
  const isAudit = (line: string) => line.includes('"message":"audit"');
  const begin = all.findIndex((line) => line.includes('"reason":"crash"') || line.includes('"reason":"torn"'));
  assert.ok(all.slice(0, begin).filter(isAudit).length >= 100, 'the lines of the killed process are in the file');
  assert.equal(all.slice(begin).filter(isAudit).length, 50);
  assert.equal(parse(all.at(-1))['message'], 'audit stopped');
  const written = killed.output().split('\n').filter(isAudit);
  // The log and the file are written at different times, so either may have lines that the other lost.
  const both = written.filter((line) => all.includes(line)).length;
  assert.ok(both >= 100);
  assert.doesNotMatch(all.join(''), /u7|A\d"/);
});

test('each worker MUST write to a file of its own', async (context) => {
  const folder = folderOf(context);
  const run = await startProgram(context, { AUDIT_FILE: join(folder, 'audit.log'), WORKERS: '2' });
  await ask(run.url, tenWrites);
  run.child.kill('SIGTERM');
  assert.equal(await run.exit, 0);
  assert.equal(existsSync(join(folder, 'audit.log')), false);
  const files = [1, 2].map((worker) => join(folder, `audit-${worker}.log`));
  for (const path of files) assert.equal((await verify(path)).exitCode, 0);
  const lines = files.flatMap(linesOf).filter((line) => line.includes('"message":"audit"'));
  assert.equal(lines.length, 10);
  // A line of the log has the number of the worker, too.
  const logged = run
    .output()
    .replaceAll(/^\{"worker":[12],/gm, '{')
    .split('\n');
  for (const line of lines) assert.ok(logged.includes(line), line);
});

test('the command MUST verify files, and MUST use the exit code 2 for wrong usage', async (context) => {
  const folder = folderOf(context);
  const path = join(folder, 'audit.log');
  writeFileSync(path, Buffer.concat(soundFile()));
  const sound = await verifyFiles(['verify', path]);
  assert.match(sound.lines.join('\n'), /^sound: 201 lines, numbers 1 to 200, last hash [\da-f]{64}$/);
  assert.equal(sound.exitCode, 0);
  writeFileSync(path, `${readFileSync(path, 'utf8')}foreign\n`);
  const run = (...words: string[]) => spawnSync(process.execPath, [bin, 'audit', ...words], { encoding: 'utf8' });
  const unsound = run('verify', path);
  assert.deepEqual([unsound.status, unsound.stderr], [1, '']);
  assert.ok(unsound.stdout.startsWith(`problem  ${path}:202  The line is no audit line, or was changed.\n`));
  assert.equal(run('verify').status, 2);
  for (const words of [[], ['check', path], ['verify', '--all', path], ['verify', '--expect', 'x', path]]) {
    await assert.rejects(verifyFiles(words), AuditUsageError);
  }
  await assert.rejects(verifyFiles(['verify', join(folder, 'none')]), /cannot be read \(ENOENT\)/);
});
