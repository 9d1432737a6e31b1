import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { rulesPath } from './promtool.ts';
import { rules } from './proof.ts';
import { openSubject, record } from './recording.ts';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

const dashboard = JSON.parse(readFileSync('deploy/grafana/dashboard.json', 'utf8')) as {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { name: string; type: string; definition?: string }[] };
  readonly panels: readonly Panel[];
};
const variables = dashboard.templating.list.map(({ name }) => name);
const charts = dashboard.panels.filter(({ type }) => type !== 'row');
const expressions = charts.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
const rulesText = readFileSync(rulesPath, 'utf8');

test('the dashboard MUST have the form of a Grafana dashboard without plugins', () => {
  assert.ok(dashboard.uid && dashboard.title && dashboard.schemaVersion >= 36);
  assert.deepEqual(variables, ['datasource', 'job', 'instance', 'merchant']);
  assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
  for (const { type, title, description, datasource, targets = [], gridPos } of dashboard.panels) {
    assert.match(type, /^(row|timeseries|stat)$/, title);
    assert.ok(gridPos.x >= 0 && gridPos.x + gridPos.w <= 24 && gridPos.h > 0, title);
    if (type === 'row') continue;
    assert.ok(description && targets.length > 0, title);
    assert.deepEqual(datasource, { type: 'prometheus', uid: `\${datasource}` }, title);
    assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
  }
  const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
  );
  assert.equal(new Set(cells).size, cells.length, 'panels overlap');
});

test('every expression of the dashboard MUST be valid', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dashboard-'));
  try {
    const path = join(folder, 'rules.yaml');
    const recorded = expressions.map((expr, index) => ({
      record: `panel:${index}`,
      expr: expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$\w+/g, 'x'),
    }));
    writeFileSync(path, JSON.stringify({ groups: [{ name: 'dashboard', rules: recorded }] }));
    const output = execFileSync('promtool', ['check', 'rules', path], { encoding: 'utf8', stdio: 'pipe' });
    assert.match(output, new RegExp(`SUCCESS: ${expressions.length} rules found`));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('alerts and dashboard MUST name only metrics and labels that the gateway exports', async () => {
  const texts = [...expressions, ...rulesText.split('\n').filter((line) => !line.trim().startsWith('record:'))];
  const metrics = createMetrics('0.0.0');
  // Some series exist only after their first event.
  metrics.credentialRefused('missing');
  metrics.keySetFailing(false);
  metrics.merchantOpened('m', { retriesLeft: () => 10, heldMs: () => 0 });
  metrics.watchedFile({ file: 'MERCHANTS_FILE', isUsable: true });
  const subject = await openSubject({});
  const { healthy } = await record(subject, undefined, { healthy: 1, faulty: 0, recovered: 0 });
  await subject.close();
  const exported = new Map<string, Set<string>>();
  const add = (key: string) => {
    const [name = '', labels = ''] = key.split('{');
    const known = exported.get(name) ?? new Set(['job', 'instance']);
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) known.add(label);
    exported.set(name, known);
  };
  for (const key of healthy.flatMap((sample) => [...sample.keys()])) add(key);
  for (const [, key = ''] of (await metrics.read()).matchAll(/^(\w+(?:\{.*\})?) \S+$/gm)) add(key);
  let named = 0;
  for (const text of texts) {
    for (const [, name = '', selector = ''] of text.matchAll(
      /(?<![:\w$"])((?:customer_gateway|process|nodejs)_\w+)(?:\{([^}]*)\})?/g,
    )) {
      named += 1;
      const labels = exported.get(name);
      assert.ok(labels !== undefined, `${name} does not exist: ${text}`);
      const unknown = [...selector.matchAll(/(\w+)\s*[=!]/g)].filter(([, label = '']) => !labels.has(label));
      assert.deepEqual(unknown.map(String), [], text);
    }
  }
  assert.ok(named > 50);
});

test('every recorded name MUST be a rule', () => {
  const recorded = new Set([...rulesText.matchAll(/record: (\S+)/g)].map(([, name]) => name));
  const used = [...expressions, ...rules.map(({ expression }) => expression)].flatMap((text) =>
    [...text.matchAll(/job:\w+:\w+/g)].map(([name]) => name),
  );
  assert.deepEqual(
    used.filter((name) => !recorded.has(name)),
    [],
  );
});
