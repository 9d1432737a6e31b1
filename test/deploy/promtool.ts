import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

export const rulesPath = resolve('deploy/prometheus/alerts.yaml');
const run = promisify(execFile);

/** Series in time. `series`: name and labels → the values, in the notation of `promtool test rules`. */
export interface Case {
  readonly name: string;
  readonly series: Readonly<Record<string, string>>;
  /** The time between two values, and between two evaluations. */
  readonly stepSeconds: number;
  /** The alerts are looked at from here on, in seconds. */
  readonly fromSeconds: number;
  readonly toSeconds: number;
}

/** One firing alert at one moment. */
export interface Firing {
  readonly alert: string;
  readonly atSeconds: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: string;
}

/**
 * Evaluates the shipped rules with `promtool test rules`, and returns what fires in each case, by the name of the case. It expects no
 * alert at any moment; promtool then reports each firing alert as a difference.
 *
 * @throws if promtool cannot run the cases, for example because a rule is invalid.
 */
export async function evaluate(cases: readonly Case[], alerts: readonly string[]): Promise<Map<string, Firing[]>> {
  const folder = await mkdtemp(join(tmpdir(), 'alerts-'));
  try {
    const path = join(folder, 'cases.yaml');
    // JSON is YAML.
    await writeFile(path, JSON.stringify(fileOf(cases, alerts)));
    const output = await run('promtool', ['test', 'rules', path], { maxBuffer: 1 << 30 }).then(
      ({ stdout, stderr }) => stdout + stderr,
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    );
    if (!/SUCCESS|FAILED:\n {4}name: /.test(output)) throw new Error(output.slice(0, 2_000));
    return firingsOf(output, cases);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function fileOf(cases: readonly Case[], alerts: readonly string[]): object {
  return {
    rule_files: [rulesPath],
    evaluation_interval: `${Math.min(...cases.map(({ stepSeconds }) => stepSeconds))}s`,
    tests: cases.map(({ name, series, stepSeconds, fromSeconds, toSeconds }) => ({
      name,
      interval: `${stepSeconds}s`,
      input_series: Object.entries(series).map(([key, values]) => ({ series: key, values })),
      alert_rule_test: range(fromSeconds, toSeconds, stepSeconds).flatMap((seconds) =>
        alerts.map((alertname) => ({ eval_time: `${seconds}s`, alertname })),
      ),
    })),
  };
}

function firingsOf(output: string, cases: readonly Case[]): Map<string, Firing[]> {
  const found = new Map(cases.map(({ name }): [string, Firing[]] => [name, []]));
  for (const block of output.split(/^ {4}name: /m).slice(1)) {
    const [, name = '', alert = '', time = ''] = /^(.*),\n\s+alertname: (\w+), time: (\w+)/.exec(block) ?? [];
    const firings = found.get(name);
    if (firings === undefined) throw new Error(`promtool printed an unexpected block: ${block.slice(0, 500)}`);
    for (const [, labels = '', annotations = ''] of block.matchAll(/Labels:\{(.*)\}\n\s+Annotations:\{(.*)\}/g)) {
      firings.push({ alert, atSeconds: secondsOf(time), labels: labelsOf(labels), annotations });
    }
  }
  return found;
}

function labelsOf(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]));
}

/** Parses Prometheus' durations, such as `1h2m15s`. */
function secondsOf(text: string): number {
  const units = { d: 86_400, h: 3_600, m: 60, s: 1 };
  return [...text.matchAll(/(\d+)([dhms])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * units[unit as 's'],
    0,
  );
}

function range(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
}

export interface Rule {
  readonly alert: string;
  readonly severity: string;
  readonly window: string | undefined;
  readonly expression: string;
  readonly runbook: string;
  readonly text: string;
}

/** The alerts of the rules file, which has one form throughout. */
export function readRules(text: string): Rule[] {
  return text
    .split(/^ {6}- /m)
    .filter((block) => block.startsWith('alert: '))
    .map((block) => ({
      alert: one(/^alert: (\w+)/, block),
      severity: one(/^ {10}severity: (\w+)/m, block),
      window: /^ {10}window: (\w+)/m.exec(block)?.[1],
      expression: one(/expr: \|\n((?: {10}.*\n)+)/, block),
      runbook: one(/^ {10}runbook_url: (\S+)/m, block),
      text: block,
    }));
}

function one(pattern: RegExp, text: string): string {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`${pattern} is not in: ${text}`);
  return found;
}
