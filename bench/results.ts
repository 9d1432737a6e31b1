import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Figures } from './compare.ts';
import type { Scale } from './scale.ts';
import { root, type ServerName } from './servers.ts';
import type { StartTimes } from './start.ts';
import type { WorkloadName } from './workloads.ts';

export type ByServer = Readonly<Partial<Record<ServerName, Figures>>>;
export type ByWorkload = Readonly<Partial<Record<WorkloadName, ByServer>>>;

/** The published figures. The documentation is generated from them. */
export interface Results {
  /** How the last published run measured. */
  readonly conditions: string;
  readonly workloads: ByWorkload;
  /** Time to the first response in ms, by command. */
  readonly starts: StartTimes;
  readonly scale: Scale;
}

const path = join(root, 'bench/results.json');
const empty: Results = { conditions: '', workloads: {}, starts: {}, scale: { latency: [], batch: [], workers: [] } };

export function readResults(): Results {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Results) : empty;
}

/** What a run has measured. */
export type Measured = Partial<Omit<Results, 'scale'>> & { readonly scale?: Partial<Scale> };

/** Replaces the figures of what was measured, and keeps the rest. */
export function publishResults({ workloads, scale, ...rest }: Measured): void {
  const before = readResults();
  const merged = {
    ...before,
    ...rest,
    workloads: { ...before.workloads, ...workloads },
    scale: { ...before.scale, ...scale },
  };
  const text = JSON.stringify(
    merged,
    (_, value) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value),
    2,
  );
  writeFileSync(path, `${text}\n`);
}
