import { type Metric, type OpenMetricsContentType, type PrometheusContentType, Registry } from 'prom-client';

interface Value {
  readonly value: number;
  readonly labels: Readonly<Partial<Record<string, string | number>>>;
  /** In a histogram: the name with its suffix. */
  readonly metricName?: string;
  readonly exemplar?: { readonly timestamp: number };
}

interface Series {
  readonly name: string;
  readonly help: string;
  readonly type: unknown;
  readonly values: readonly Value[];
}

/** All metrics of one process at one moment. It can be sent to another process. */
export type Snapshot = readonly Series[];

type Combine = (values: readonly number[]) => number;

const sum: Combine = (values) => values.reduce((total, value) => total + value, 0);
const max: Combine = (values) => Math.max(...values);
const min: Combine = (values) => Math.min(...values);

/** Gauges that count something in each process. Of other gauges of the gateway the largest value is the worst one. */
const summedGauges = new Set(['customer_gateway_in_flight', 'customer_gateway_workers']);
/** Gauges whose smallest value is the worst one, or the oldest process. */
const lowestGauges = new Set([
  'customer_gateway_file_usable',
  'customer_gateway_retry_budget_left',
  'nodejs_eventloop_lag_min_seconds',
  'process_start_time_seconds',
]);
/** Gauges of Node about the process or the event loop, which do not add up. */
const notAdditive = /^nodejs_eventloop_|^nodejs_version_info$|^process_max_fds$/;

/** Merges snapshots of several processes into one. Counters and histograms are added up. Exemplars: the latest one. */
export function mergeSnapshots(snapshots: readonly Snapshot[]): Snapshot {
  const byName = new Map<string, { series: Series; values: Map<string, Value[]> }>();
  for (const series of snapshots.flat()) {
    const known = byName.get(series.name) ?? { series, values: new Map<string, Value[]>() };
    byName.set(series.name, known);
    for (const value of series.values) {
      const key = JSON.stringify([value.metricName, Object.entries(value.labels).toSorted()]);
      const same = known.values.get(key);
      if (same === undefined) known.values.set(key, [value]);
      else same.push(value);
    }
  }
  return [...byName.values()].map(({ series, values }) => {
    const combine = combineOf(series);
    return { ...series, values: [...values.values()].map((same) => mergeValues(same, combine)) };
  });
}

/** The part of a snapshot that stays valid after its process has ended: totals, which must never decrease. */
export function totalsOf(snapshot: Snapshot): Snapshot {
  return snapshot.filter(({ type }) => type === 'counter' || type === 'histogram');
}

/** A snapshot that holds one counter without labels. Merged with others, it adds to the counter of the same name. */
export function counterSnapshot(counter: { readonly name: string; readonly help: string }, value: number): Snapshot {
  return [{ ...counter, type: 'counter', values: [{ value, labels: {} }] }];
}

/** @returns the snapshot in the text format of the content type. */
export function printSnapshot(snapshot: Snapshot, contentType: string): Promise<string> {
  const registry = new Registry<PrometheusContentType | OpenMetricsContentType>();
  if (contentType === Registry.OPENMETRICS_CONTENT_TYPE) registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  for (const series of snapshot) {
    // The registry calls `get` only. The type describes the classes of prom-client.
    registry.registerMetric({ ...series, get: () => Promise.resolve(series) } as unknown as Metric);
  }
  return registry.metrics();
}

function combineOf({ name, type }: Series): Combine {
  // A quantile of several processes cannot be computed. The largest one is the worst.
  if (type === 'summary') return max;
  if (type !== 'gauge' || summedGauges.has(name)) return sum;
  if (lowestGauges.has(name)) return min;
  return name.startsWith('customer_gateway_') || notAdditive.test(name) ? max : sum;
}

function mergeValues(same: readonly Value[], combine: Combine): Value {
  const [first] = same;
  if (first === undefined || same.length === 1) return first ?? { value: 0, labels: {} };
  let latest = first.exemplar;
  for (const { exemplar } of same) if (exemplar && exemplar.timestamp > (latest?.timestamp ?? 0)) latest = exemplar;
  const numbers = same.map(({ value }) => value).filter((value) => !Number.isNaN(value));
  return {
    ...first,
    value: numbers.length === 0 ? Number.NaN : combine(numbers),
    ...(latest !== undefined && { exemplar: latest }),
  };
}
