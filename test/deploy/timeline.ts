import type { Case } from './promtool.ts';
import type { Recording, Sample } from './recording.ts';

/** Lengths in rule time, in seconds: of the phases, and between two samples. */
export interface Phases {
  readonly step: number;
  readonly healthy: number;
  readonly faulty: number;
  readonly recovered: number;
}

/**
 * Makes the series of a case from a recording: one sample is one step of rule time. Each phase is extended to its length by repeating
 * what its samples show at their end: counters grow by their average, gauges keep their last values.
 *
 * @param isUsed whether a metric occurs in the rules; the others are left out.
 */
export function caseOf(name: string, recording: Recording, phases: Phases, isUsed: (metric: string) => boolean): Case {
  const { healthy, faulty, recovered } = recording;
  const all = [...healthy, ...faulty, ...recovered];
  const keys = new Set(all.flatMap((sample) => [...sample.keys()]));
  const series: Record<string, string> = { 'up{job="customer-gateway",instance="gateway"}': `1x${steps(phases)}` };
  for (const key of keys) {
    const [metric = ''] = key.split('{');
    // Of this histogram the rules use one bucket.
    if (!isUsed(metric) || /operation_duration_seconds_bucket(?!.*le="1"[,}])/.test(key)) continue;
    const values = [
      ...extended(healthy, [], key, phases.healthy / phases.step, true),
      ...extended(faulty, healthy, key, phases.faulty / phases.step),
      ...extended(recovered, faulty, key, phases.recovered / phases.step),
    ];
    series[labelled(key)] = written(isCounter(metric) ? summed(values) : values);
  }
  return {
    name,
    series,
    stepSeconds: phases.step,
    fromSeconds: phases.healthy,
    toSeconds: phases.healthy + phases.faulty + phases.recovered,
  };
}

function steps({ healthy, faulty, recovered, step }: Phases): number {
  return (healthy + faulty + recovered) / step;
}

const isCounter = (metric: string) => /_(total|bucket|count|sum)$/.test(metric);

/**
 * Increments of a counter or values of a gauge, one for each step; `undefined` where the series does not exist.
 *
 * @param isBefore repeats what the phase shows at its start, before the samples.
 */
function extended(
  samples: readonly Sample[],
  earlier: readonly Sample[],
  key: string,
  count: number,
  isBefore = false,
): (number | undefined)[] {
  const counter = isCounter(key.split('{')[0] ?? '');
  const last = earlier.at(-1)?.get(key);
  const read = samples.map((sample) => sample.get(key));
  const own = counter ? read.map((value, index) => value && value - ((index > 0 ? read[index - 1] : last) ?? 0)) : read;
  const missing = count - own.length;
  // The first sample of a process has its start in it.
  const steady = own.slice(isBefore ? 1 : Math.floor(own.length / 2));
  const known = steady.filter((value) => value !== undefined);
  const average = known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / steady.length;
  const filler = counter ? average : steady.at(-1);
  const filling = Array.from({ length: Math.max(0, missing) }, () => filler);
  return isBefore ? [...filling, ...own] : [...own, ...filling];
}

function summed(increments: readonly (number | undefined)[]): (number | undefined)[] {
  let total = 0;
  return increments.map((by) => {
    if (by === undefined) return undefined;
    total += by;
    return total;
  });
}

/** Adds the labels that a scrape adds. */
function labelled(key: string): string {
  const own = 'job="customer-gateway",instance="gateway"';
  return key.endsWith('}') ? `${key.slice(0, -1)},${own}}` : `${key}{${own}}`;
}

/** The notation of promtool. */
function written(values: readonly (number | undefined)[]): string {
  return values.map((value) => (value === undefined || Number.isNaN(value) ? '_' : String(value))).join(' ');
}
