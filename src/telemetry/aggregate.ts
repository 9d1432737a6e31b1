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
  /** How the values of several processes are combined. */
  readonly aggregator?: string;
  readonly values: readonly Value[];
}

/** All metrics of one process at one moment. It can be sent to another process. */
export type Snapshot = readonly Series[];

/** A text of all metrics and its media type. */
export interface MetricsText {
  readonly contentType: string;
  read(): Promise<string>;
}

type Combine = (values: readonly number[]) => number;

const sum: Combine = (values) => values.reduce((total, value) => total + value, 0);
const max: Combine = (values) => Math.max(...values);
const min: Combine = (values) => Math.min(...values);

/** By the aggregator of a metric. Those of Node that have no total show the worst process, and the start time the oldest one. */
const combinations: Readonly<Record<string, Combine>> = { sum, max, min, average: max, first: max, omit: min };

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
    const combine = combinations[series.aggregator ?? 'sum'] ?? sum;
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

/** Reads a snapshot as Prometheus text, and as OpenMetrics text, which has the exemplars. */
export function printed(read: () => Promise<Snapshot>): MetricsText & { readonly openMetrics: MetricsText } {
  return {
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    read: async () => print(new Registry(), await read()),
    openMetrics: {
      contentType: Registry.OPENMETRICS_CONTENT_TYPE,
      async read() {
        const registry = new Registry<OpenMetricsContentType>();
        registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
        return print(registry, (await read()).map(withoutTotal));
      },
    },
  };
}

function print(registry: Registry<PrometheusContentType> | Registry<OpenMetricsContentType>, snapshot: Snapshot) {
  for (const series of snapshot) {
    // The registry calls `get` only. The type describes the classes of prom-client.
    registry.registerMetric({ ...series, get: () => Promise.resolve(series) } as unknown as Metric);
  }
  return registry.metrics();
}

/** The name in OpenMetrics: the registry adds `_total` to those of counters. */
function withoutTotal(series: Series): Series {
  return series.type === 'counter' ? { ...series, name: series.name.replace(/_total$/, '') } : series;
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
