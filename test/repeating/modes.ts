import type { Report, RunOptions } from './run.ts';

/** The ways to run a program, in the order of the columns of docs/retries.md. */
export const modes = {
  plain: {},
  keyed: { keyed: true },
  /** The provider accepts a reference more than once, although the gateway relies on the opposite. */
  notUnique: { uniqueReferences: false },
  notUniqueKeyed: { uniqueReferences: false, keyed: true },
  /** Only the network between client and gateway fails. */
  notUniqueSound: { uniqueReferences: false, keyed: true, providerLoss: 0 },
} as const satisfies Readonly<Record<string, Partial<RunOptions>>>;

export type Mode = keyof typeof modes;

/** What one program did: the sums of all seeds, by mode. */
export interface ProgramResults {
  readonly version: string;
  readonly modes: Readonly<Partial<Record<Mode, Report>>>;
}

/** What must be 0. Without unique references, only what the network does is certain. */
export function faultsOf(mode: Mode, report: Report): Readonly<Record<string, number>> {
  const { duplicates, falseFailures, unexplained, lost, unsettled, undone } = report;
  if (mode === 'plain') return { duplicates, falseFailures, unexplained, lost, unsettled };
  if (mode === 'keyed') return { duplicates, falseFailures, unexplained, lost, unsettled, undone };
  if (mode === 'notUniqueSound') return { duplicates, falseFailures, unexplained, lost, unsettled };
  return { lost, unsettled };
}

export function added(one: Report | undefined, other: Report): Report {
  if (one === undefined) return other;
  const keys = Object.keys(other) as (keyof Report)[];
  return Object.fromEntries(keys.map((key) => [key, one[key] + other[key]])) as unknown as Report;
}
