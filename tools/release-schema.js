// Copies the schema prints and the document manifest to `schema/released/<version>/`, with the version of package.json. `npm run check`
// compares the schema with all released versions. Fails if the version is already released with other content; `--again` overwrites it,
// for a version that is not published yet.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const folder = `schema/released/${version}`;
const manifest = 'persisted-documents.json';
const printsIn = (path) =>
  Object.fromEntries(
    readdirSync(path)
      .filter((name) => name.endsWith('.graphql') || name === manifest)
      .map((name) => [name, readFileSync(`${path}/${name}`, 'utf8')]),
  );

mkdirSync(folder, { recursive: true });
const released = printsIn(folder);
const prints = { ...printsIn('schema'), [manifest]: readFileSync(`schema/generated/${manifest}`, 'utf8') };
const names = [...new Set([...Object.keys(released), ...Object.keys(prints)])];
const changed = names.filter((name) => released[name] !== prints[name]);

if (Object.keys(released).length > 0 && changed.length > 0 && !process.argv.includes('--again')) {
  console.error(
    `${version} is released, and ${changed.join(', ')} would change: raise the version in package.json first.`,
  );
  console.error('For a version that is not published yet: npm run release:schema -- --again');
  process.exitCode = 1;
} else {
  for (const name of changed) {
    if (prints[name] === undefined) rmSync(`${folder}/${name}`);
    else writeFileSync(`${folder}/${name}`, prints[name]);
  }
  console.log(`${folder}: ${Object.keys(prints).join(', ')}`);
}
