// Builds `dist` and `schema`. The compilation includes the server's input rules and error codes (`../src`), so the package contains them.
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';

process.chdir(import.meta.dirname);
for (const folder of ['dist', 'schema']) rmSync(folder, { recursive: true, force: true });
const { status } = spawnSync('tsc', ['-p', 'tsconfig.build.json'], {
  stdio: 'inherit',
  shell: process.platform === 'win32',
});
if (status !== 0) process.exit(1);
for (const path of ['schema/schema.graphql', 'schema/generated/persisted-documents.json']) cpSync(`../${path}`, path);
cpSync('schema/generated', 'dist/schema/generated', { recursive: true });
