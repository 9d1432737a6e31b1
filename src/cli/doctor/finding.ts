/** The subject of a finding. */
export type Check =
  | 'node'
  | 'settings'
  | 'files'
  | 'proxy'
  | 'name-resolution'
  | 'tcp'
  | 'tls'
  | 'address'
  | 'key'
  | 'merchant'
  | 'ip-allow-list'
  | 'provider'
  | 'clock'
  | 'key-set'
  | 'redis';

/** The result of one check. */
export interface Finding {
  readonly check: Check;
  readonly status: 'ok' | 'warning' | 'problem';
  /** The setting to change. */
  readonly setting?: string;
  /** One sentence. If something is wrong, it says what to do. It holds names of settings, never values. */
  readonly message: string;
}

const exitCodes = { ok: 0, problem: 1, warning: 3 } as const;

/** The most severe status of all findings, and its exit code. */
export function worstOf(findings: readonly Finding[]): { worst: Finding['status']; exitCode: number } {
  const has = (wanted: Finding['status']) => findings.some(({ status }) => status === wanted);
  const worst = has('problem') ? 'problem' : has('warning') ? 'warning' : 'ok';
  return { worst, exitCode: exitCodes[worst] };
}
