import type { Metric, MetricType, MetricValue, Registry } from 'prom-client';

/**
 * Metrics of plain numbers, which a Registry of prom-client reads. Its own counters validate and hash their labels at each change:
 * counting a read took 3.5 µs with them, and takes 0.3 with these.
 */
interface Head {
  readonly name: string;
  readonly help: string;
  /** At most four. */
  readonly labels?: readonly string[];
  /** How the values of several processes are combined. Default `sum`. */
  readonly aggregator?: 'sum' | 'max' | 'min';
}

type Labels = Readonly<Record<string, string | number>>;

/** One series of a counter or a gauge. */
class Tally {
  readonly labels: Labels;
  value = 0;

  constructor(labels: Labels) {
    this.labels = labels;
  }
}

interface Exemplar {
  readonly labelSet: { readonly trace_id: string };
  readonly value: number;
  /** In seconds. */
  readonly timestamp: number;
}

/** One series of a histogram. */
class Distribution {
  readonly labels: Labels;
  readonly bounds: readonly number[];
  /** By bucket, not cumulative. The last one has no bound. */
  readonly counts: number[];
  sum = 0;
  count = 0;
  /** The last one of each bucket. */
  readonly exemplars: (Exemplar | undefined)[] = [];

  constructor(labels: Labels, bounds: readonly number[]) {
    this.labels = labels;
    this.bounds = bounds;
    this.counts = [...bounds, Number.POSITIVE_INFINITY].map(() => 0);
  }

  /** @param traceId the trace of the value. Only OpenMetrics text shows it. */
  observe(value: number, traceId?: string): void {
    const { bounds, counts } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket += 1;
    counts[bucket] = (counts[bucket] as number) + 1;
    this.sum += value;
    this.count += 1;
    if (traceId !== undefined) {
      this.exemplars[bucket] = { labelSet: { trace_id: traceId }, value, timestamp: Date.now() / 1000 };
    }
  }
}

/** The children of one label value, or the series if all labels are given. */
interface Branch<Series> {
  readonly next: Map<string, Branch<Series>>;
  series: Series | undefined;
}

/** The series of a metric by their label values. Finding one builds no key. */
class Family<Series> {
  readonly #labels: readonly string[];
  readonly #create: (labels: Labels) => Series;
  readonly #root: Branch<Series> = { next: new Map(), series: undefined };
  readonly all: Series[] = [];

  constructor(labels: readonly string[], create: (labels: Labels) => Series) {
    this.#labels = labels;
    this.#create = create;
  }

  /** Returns the series with these values, in the order of the labels. Creates it at first use. */
  of(a = '', b = '', c = '', d = ''): Series {
    const depth = this.#labels.length;
    let branch = this.#root;
    if (depth > 0) branch = childOf(branch, a);
    if (depth > 1) branch = childOf(branch, b);
    if (depth > 2) branch = childOf(branch, c);
    if (depth > 3) branch = childOf(branch, d);
    return branch.series ?? this.#add(branch, [a, b, c, d]);
  }

  #add(branch: Branch<Series>, values: readonly string[]): Series {
    const series = this.#create(Object.fromEntries(this.#labels.map((name, index) => [name, values[index] ?? ''])));
    branch.series = series;
    this.all.push(series);
    return series;
  }
}

function childOf<Series>({ next }: Branch<Series>, value: string): Branch<Series> {
  const known = next.get(value);
  if (known !== undefined) return known;
  const branch = { next: new Map(), series: undefined };
  next.set(value, branch);
  return branch;
}

/** Adds metrics to a registry. */
export function talliesOf(registry: Registry) {
  return { counter, gauge, collected, histogram };

  function counter(head: Head): Family<Tally> {
    return plain(head, 'counter');
  }

  function gauge(head: Head): Family<Tally> {
    return plain(head, 'gauge');
  }

  /** A metric whose values are read with the metrics. A summary has the label `quantile`. */
  function collected(
    head: Head,
    read: () => readonly { labels: Labels; value: number }[],
    type: 'gauge' | 'summary' = 'gauge',
  ): void {
    register(head, type, () => read().map(({ labels, value }) => ({ labels, value })));
  }

  function histogram(head: Head, bounds: readonly number[]): Family<Distribution> {
    const family = new Family(head.labels ?? [], (labels) => new Distribution(labels, bounds));
    register(head, 'histogram', () => family.all.flatMap((series) => valuesOf(head.name, series)));
    return family;
  }

  function plain(head: Head, type: 'counter' | 'gauge'): Family<Tally> {
    const family = new Family(head.labels ?? [], (labels) => new Tally(labels));
    if (head.labels === undefined) family.of();
    register(head, type, () => family.all.map(({ labels, value }) => ({ labels, value })));
    return family;
  }

  function register({ name, help, aggregator = 'sum' }: Head, type: Type, read: Read) {
    const get = async () => ({ name, help, type: type as unknown as MetricType, aggregator, values: read() });
    // A registry calls only `get`. The type of the package has also the methods that change a metric.
    registry.registerMetric({ name, help, type, aggregator, get } as unknown as Metric);
  }
}

type Value = MetricValue<string> & { readonly metricName?: string; readonly exemplar?: Exemplar | undefined };
type Read = () => Value[];
type Type = 'counter' | 'gauge' | 'histogram' | 'summary';

/** The series of one distribution in the form of prom-client: cumulative buckets, sum and count. */
function valuesOf(name: string, { labels, bounds, counts, sum, count, exemplars }: Distribution): Value[] {
  let total = 0;
  const buckets = counts.map((inBucket, index) => {
    total += inBucket;
    const le = bounds[index] ?? '+Inf';
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: total, exemplar: exemplars[index] };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
