import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

interface Locked {
  readonly version: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
  readonly deprecated?: string;
}

const read = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
const { packages: locked } = read('package-lock.json') as { packages: Record<string, Locked> };

/** The packages of the gateway at run time. */
const production = Object.entries(locked).filter(
  ([path, { dev, devOptional, optional, link }]) =>
    path.startsWith('node_modules/') && !dev && !devOptional && !optional && !link,
);
const nameOf = (path: string) => path.replace(/^.*node_modules\//, '');

const allowed = ['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'Unlicense'];

/** Whether an SPDX expression lets a user choose allowed licences only. Exceptions (`WITH`) and unknown texts do not. */
function isAllowed(expression: string): boolean {
  const tokens = expression.match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;
  const factor = (): boolean => {
    const token = tokens[at++];
    if (token !== '(') return allowed.includes(token ?? '');
    const inner = either();
    return tokens[at++] === ')' && inner;
  };
  const both = (): boolean => {
    let result = factor();
    while (tokens[at] === 'AND' && ++at > 0) result = factor() && result;
    return result;
  };
  const either = (): boolean => {
    let result = both();
    while (tokens[at] === 'OR' && ++at > 0) result = both() || result;
    return result;
  };
  const result = either();
  return result && at === tokens.length;
}

test('SPDX expressions MUST be allowed only if a choice of permissive licences satisfies them', () => {
  for (const [expression, expected] of [
    ['MIT', true],
    ['(MIT OR GPL-3.0-only)', true],
    ['(MIT AND GPL-3.0-only)', false],
    ['MIT AND (Apache-2.0 OR AGPL-3.0-only)', true],
    ['GPL-2.0-only WITH Classpath-exception-2.0', false],
    ['MIT WITH Some-exception', false],
    ['Elastic-2.0', false],
    ['BUSL-1.1', false],
    ['SEE LICENSE IN LICENSE', false],
    ['', false],
  ] as const) {
    assert.equal(isAllowed(expression), expected, expression);
  }
});

test('packages of production MUST have a permissive licence, in the lockfile and as installed', () => {
  assert.ok(production.length > 20);
  assert.deepEqual(
    production.filter(([path, { license = '' }]) => path.includes('@apollo/') || !isAllowed(license)),
    [],
  );
  for (const [path, { license, version }] of production) {
    const manifest = read(`${path}/package.json`) as { license: string | { type: string }; version: string };
    const { license: declared } = manifest;
    assert.deepEqual(
      [manifest.version, typeof declared === 'string' ? declared : declared?.type],
      [version, license],
      path,
    );
  }
});

test('the client package MUST have no dependencies, and permissive peers', () => {
  const client = read('client/package.json') as {
    license: string;
    dependencies?: object;
    optionalDependencies?: object;
    peerDependencies?: Record<string, string>;
  };
  assert.deepEqual([client.dependencies, client.optionalDependencies], [undefined, undefined]);
  assert.ok(isAllowed(client.license));
  for (const name of Object.keys(client.peerDependencies ?? {})) {
    if (name === 'juspay-customer-gateway') continue;
    const { license = '' } = locked[`node_modules/${name}`] ?? locked[`client/node_modules/${name}`] ?? {};
    assert.ok(isAllowed(license), `${name}: ${license}`);
  }
});

test('packages of production MUST be few, not deprecated and without install scripts', () => {
  const names = new Set(production.map(([path]) => nameOf(path)));
  assert.ok(names.size <= 60, String(names.size));
  assert.deepEqual(
    production.filter(([, { hasInstallScript, deprecated }]) => hasInstallScript || deprecated !== undefined),
    [],
  );
});

test('each lockfile MUST hold an integrity of each package', () => {
  const files = execFileSync('git', ['ls-files', '*package-lock.json'], { encoding: 'utf8' }).trim().split('\n');
  for (const file of files) {
    const { packages } = read(file) as { packages: Record<string, Locked & { resolved?: string; inBundle?: boolean }> };
    assert.deepEqual(
      Object.entries(packages).flatMap(([path, { integrity, link, inBundle }]) =>
        /^[\w/]*node_modules\//.test(path) && !link && !inBundle && integrity === undefined ? [`${file}: ${path}`] : [],
      ),
      [],
    );
  }
});

test('npm ci MUST NOT depend on the age of the versions of a lockfile', () => {
  const files = execFileSync('git', ['ls-files', '*package-lock.json'], { encoding: 'utf8' }).trim().split('\n');
  for (const file of files) {
    const settings = join(dirname(file), '.npmrc');
    // npm looks up the versions of a lockfile without addresses, and finds none that is younger.
    if (existsSync(settings))
      assert.doesNotMatch(readFileSync(settings, 'utf8'), /^(min-release-age|before)=/m, settings);
  }
});

test('release:sbom MUST write CycloneDX with each package of production, its licence and its hash, and no address', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'bom-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'sbom.cdx.json');
  execFileSync(process.execPath, ['tools/sbom.js', path]);
  const document = read(path) as {
    bomFormat: string;
    metadata: { component: { name: string; version: string; type: string } };
    components: { name: string; version: string; purl: string; licenses: object[]; hashes: object[] }[];
  };
  const { name, version } = read('package.json') as { name: string; version: string };
  assert.equal(document.bomFormat, 'CycloneDX');
  const { component } = document.metadata;
  assert.deepEqual([component.name, component.version, component.type], [name, version, 'application']);
  const listed = document.components.map((item) => `${item.name}@${item.version}`);
  const wanted = new Set(production.map(([at, item]) => `${nameOf(at)}@${item.version}`));
  assert.deepEqual([...new Set(listed)].toSorted(), [...wanted].toSorted());
  for (const { purl, licenses, hashes } of document.components) {
    assert.match(purl, /^pkg:npm\/[^?#]+$/);
    assert.equal(licenses.length, 1);
    assert.equal(hashes.length, 1);
  }
  // The schema of CycloneDX is the one URL that is not a project's own.
  assert.doesNotMatch(readFileSync(path, 'utf8'), /"url": ?"[^"]*\.tgz|"resolved"|"type": ?"distribution"/);
});
