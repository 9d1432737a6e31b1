// Writes the software bill of materials of the gateway (CycloneDX, JSON) to the file of the argument. It lists the packages of production
// in the lockfile, which are those of the image.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [path = 'sbom.cdx.json'] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'sbom-'));
try {
  // `npm sbom --omit dev` also omits packages of production that a development package uses too, so remove the others beforehand.
  const {
    devDependencies: _,
    workspaces: __,
    scripts: ___,
    ...manifest
  } = JSON.parse(readFileSync('package.json', 'utf8'));
  const lockfile = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  const packages = Object.entries(lockfile.packages).filter(
    ([at, { dev, devOptional, optional, link }]) =>
      at.startsWith('node_modules/') && !dev && !devOptional && !optional && !link,
  );
  lockfile.packages = { '': manifest, ...Object.fromEntries(packages) };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lockfile));
  const options = ['--package-lock-only', '--sbom-format', 'cyclonedx', '--sbom-type', 'application'];
  const text = execFileSync('npm', ['sbom', ...options], {
    cwd: folder,
    encoding: 'utf8',
    shell: process.platform === 'win32',
    maxBuffer: 64 * 1_024 * 1_024,
  });
  const document = JSON.parse(text);
  // npm takes the name from the folder.
  document.metadata.component.name = manifest.name;
  writeFileSync(path, `${JSON.stringify(document, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
