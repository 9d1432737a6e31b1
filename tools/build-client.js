// Builds `dist-client`, the package of apps: it holds no server, and the server's holds no client.
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const target = 'dist-client';

rmSync(target, { recursive: true, force: true });
const tsc = ['test/node_modules/.bin/tsc', '-p', 'tsconfig.client.json'];
const { status } = spawnSync('node', tsc, { stdio: 'inherit' });
if (status !== 0) process.exit(1);
for (const [from, to] of [
  ['src/client/package.json', 'package.json'],
  ['LICENSE', 'LICENSE'],
  ['schema/schema.graphql', 'schema/schema.graphql'],
  ['schema/generated/persisted-documents.json', 'schema/generated/persisted-documents.json'],
]) {
  cpSync(from, `${target}/${to}`);
}

// Who has this package only reads how to begin, too.
const [door = ''] = /^## Hooks for apps\n[\s\S]*?(?=^## )/m.exec(readFileSync('README.md', 'utf8')) ?? [];
writeFileSync(`${target}/README.md`, `${readFileSync('src/client/README.md', 'utf8')}\n${door.trimEnd()}\n`);
