// Builds `dist-client`, the package of apps: it holds no server, and the server's holds no client.
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';

const target = 'dist-client';

rmSync(target, { recursive: true, force: true });
const tsc = ['test/node_modules/.bin/tsc', '-p', 'tsconfig.client.json'];
const { status } = spawnSync('node', tsc, { stdio: 'inherit' });
if (status !== 0) process.exit(1);
for (const [from, to] of [
  ['src/client/package.json', 'package.json'],
  ['src/client/README.md', 'README.md'],
  ['LICENSE', 'LICENSE'],
  ['schema/schema.graphql', 'schema/schema.graphql'],
  ['schema/generated/persisted-documents.json', 'schema/generated/persisted-documents.json'],
]) {
  cpSync(from, `${target}/${to}`);
}
