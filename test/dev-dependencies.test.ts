import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';

test('a package of the root MUST be there once, and one that is linked into the root MUST stay', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dev-dependencies-'));
  const put = (path: string, content: object) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), JSON.stringify(content));
  };
  try {
    const locked = { version: '1.0.0' };
    const packages = { '': {}, 'node_modules/graphql': locked, 'node_modules/@scope/linked': locked };
    put('test/package-lock.json', { packages });
    for (const path of ['node_modules/graphql', 'test/node_modules/graphql', 'test/node_modules/@scope/linked']) {
      put(`${path}/package.json`, locked);
    }
    mkdirSync(join(folder, 'node_modules/@scope'));
    symlinkSync('../../test/node_modules/@scope/linked', join(folder, 'node_modules/@scope/linked'), 'junction');
    const run = () => spawnSync('node', [resolve('tools/dev-dependencies.js')], { cwd: folder, encoding: 'utf8' });
    // A second time it has nothing to do.
    for (const { status, stderr } of [run(), run()]) assert.deepEqual([status, stderr], [0, '']);
    assert.ok(existsSync(join(folder, 'node_modules/graphql/package.json')));
    assert.ok(!existsSync(join(folder, 'test/node_modules/graphql')));
    assert.ok(lstatSync(join(folder, 'node_modules/@scope/linked')).isSymbolicLink());
    assert.ok(existsSync(join(folder, 'node_modules/@scope/linked/package.json')));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
