import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { generatedLines } from './generated-lines.ts';

const program = fileURLToPath(new URL('lines.ts', import.meta.url));

for (const seed of [1, 2, 3, 4, 5, 6]) {
  for (const target of ['pipe', 'file'] as const) {
    test(`lines of all lengths and widths MUST reach a ${target} whole and in order, seed ${seed}`, async (context) => {
      const folder = mkdtempSync(join(tmpdir(), 'lines-'));
      context.after(() => rmSync(folder, { recursive: true, force: true }));
      const file = join(folder, 'out');
      const fd = target === 'file' ? openSync(file, 'a') : undefined;
      const child = spawn(process.execPath, [program, `${seed}`], { stdio: ['ignore', fd ?? 'pipe', 'inherit'] });
      if (fd !== undefined) closeSync(fd);
      const piped = child.stdout === null ? undefined : buffer(child.stdout);
      const [code] = await once(child, 'exit');
      assert.equal(code, 0);
      const written = String((await piped) ?? readFileSync(file));
      assert.ok(written === generatedLines(seed).join(''), `${written.length} characters were written`);
    });
  }
}
