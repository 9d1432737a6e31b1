import assert from 'node:assert/strict';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import { start } from '../program.ts';

/** A finding that is not `ok`. */
export type Expected = readonly [check: Finding['check'], status: Finding['status'], message: RegExp];

/** Values that a message may contain by chance. */
const common = ['none', 'jwt', 'api-key', 'production'];

/** Runs the shipped `doctor --json` with this environment only. Asserts that its output holds no value of the environment. */
export async function diagnose(environment: Record<string, string>) {
  const run = start(['doctor', '--json'], environment);
  const exit = await run.exit;
  expectNoValues(run.output(), environment);
  // Node warns on stderr about some variables.
  const [json = '{}'] = /^\{[\s\S]*^\}/m.exec(run.output()) ?? [];
  const { worst, findings } = JSON.parse(json) as { worst: string; findings: Finding[] };
  assert.ok(findings, run.output());
  for (const { message } of findings) assert.match(message, /^[A-Z][^\n]*[.?]$/);
  assert.equal(exit, { ok: 0, problem: 1, warning: 3 }[worst]);
  return { exit, findings };
}

/** Asserts exactly these findings that are not `ok`, and the exit code of the worst one. */
export async function expectFindings(environment: Record<string, string>, ...expected: readonly Expected[]) {
  const { exit, findings } = await diagnose(environment);
  const wrong = findings.filter(({ status }) => status !== 'ok');
  assert.deepEqual(
    wrong.map(({ check, status }) => [check, status]),
    expected.map(([check, status]) => [check, status]),
    JSON.stringify(wrong),
  );
  for (const [index, [, , message]] of expected.entries()) assert.match(wrong[index]?.message ?? '', message);
  const has = (wanted: string) => expected.some(([, status]) => status === wanted);
  assert.equal(exit, has('problem') ? 1 : has('warning') ? 3 : 0);
  return findings;
}

export function expectNoValues(output: string, environment: Record<string, string>): void {
  assert.doesNotMatch(output, /canary/);
  for (const [name, value] of Object.entries(environment)) {
    if (/^NODE_|_MS$|^PORT$/.test(name) || common.includes(value) || value.length < 4) continue;
    const url = URL.parse(value);
    const parts = url === null ? [value] : [value, url.host, url.hostname, url.password, url.username, url.port];
    for (const part of parts.filter((text) => text.length > 3)) assert.ok(!output.includes(part), `${name}: ${output}`);
  }
}
