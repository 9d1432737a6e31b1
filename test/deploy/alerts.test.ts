import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { type Case, evaluate, type Firing, rulesPath } from './promtool.ts';
import { rules } from './proof.ts';
import { openSubject } from './recording.ts';

/** Increments of a counter for each step, or values of a gauge: `[value, steps]`. */
type Phases = readonly (readonly [value: number | undefined, steps: number])[];

interface Scenario {
  readonly severity: string;
  readonly window?: string;
  /** Default: one minute. */
  readonly stepMinutes?: number;
  /** By name and labels of the series. The condition starts at step 10 and ends before the last phase. */
  readonly fires: Readonly<Record<string, Phases>>;
  /** The first and the last step at which it must fire. */
  readonly from: number;
  readonly until: number;
  /** Series below a threshold or a minimum count. The alert must not fire at all. */
  readonly silent: Readonly<Record<string, Phases>>;
}

const ok = 'customer_gateway_operations_total{type="query",outcome="OK"}';
const failed = 'customer_gateway_operations_total{type="query",outcome="UPSTREAM_UNAVAILABLE"}';
const all = 'customer_gateway_operation_duration_seconds_count{type="query"}';
const fast = 'customer_gateway_operation_duration_seconds_bucket{type="query",le="1"}';
const up = 'up{job="customer-gateway"}';
const unknown = 'customer_gateway_unknown_outcomes_total{merchant="m",field="createCustomer"}';
const queued = 'customer_gateway_queue_seconds_count{caller="jwt"}';
const queuedUpTo = (le: string) => `customer_gateway_queue_seconds_bucket{caller="jwt",le="${le}"}`;
const budget = 'customer_gateway_retry_budget_left{merchant="m"}';
const operation = (outcome: string) => `customer_gateway_operations_total{type="query",outcome="${outcome}"}`;
const attempt = (outcome: string) =>
  `customer_gateway_upstream_attempts_total{merchant="m",call="get",outcome="${outcome}",repeat="false"}`;

/** A gauge that is `bad` for 20 steps. */
const gauge = (name: string, good: number, bad: number): Record<string, Phases> => ({
  [name]: [
    [good, 10],
    [bad, 20],
    [good, 20],
  ],
});
/** A counter that grows by `good`, then by `bad`, and again by `good`. */
const counter = gauge;
/** A gauge that is `bad` for one step only. */
const spike = (name: string, good: number, bad: number): Record<string, Phases> => ({
  [name]: [
    [good, 10],
    [bad, 1],
    [good, 20],
  ],
});

/** For each alert of the rules, in their order. */
const scenarios: Readonly<Record<string, readonly Scenario[]>> = {
  CustomerGatewayAvailabilityBurn: [
    {
      severity: 'page',
      window: '1h',
      fires: { ...counter(ok, 60, 0), ...counter(failed, 0, 60) },
      from: 13,
      until: 29,
      // One failure in the night.
      silent: { ...counter(ok, 1, 0), ...counter(failed, 0, 0.1) },
    },
    {
      severity: 'page',
      window: '6h',
      fires: { ...counter(ok, 60, 59), ...counter(failed, 0, 1) },
      from: 25,
      until: 29,
      silent: { ...counter(ok, 600, 599.9), ...counter(failed, 0, 0.1) },
    },
    {
      severity: 'ticket',
      window: '3d',
      stepMinutes: 30,
      fires: { ...counter(ok, 1800, 1790), ...counter(failed, 0, 10) },
      from: 13,
      until: 29,
      silent: { ...counter(ok, 18000, 17999), ...counter(failed, 0, 1) },
    },
  ],
  CustomerGatewayLatencyBurn: [
    {
      severity: 'page',
      window: '1h',
      fires: { ...counter(all, 60, 60), ...counter(fast, 60, 0) },
      from: 16,
      until: 29,
      silent: { ...counter(all, 1, 1), ...counter(fast, 1, 0.5) },
    },
    {
      severity: 'page',
      window: '6h',
      fires: { ...counter(all, 60, 60), ...counter(fast, 60, 45) },
      from: 25,
      until: 29,
      silent: { ...counter(all, 60, 60), ...counter(fast, 60, 58) },
    },
    {
      severity: 'ticket',
      window: '3d',
      stepMinutes: 30,
      fires: { ...counter(all, 1800, 1800), ...counter(fast, 1800, 1700) },
      from: 15,
      until: 29,
      silent: { ...counter(all, 1800, 1800), ...counter(fast, 1800, 1795) },
    },
  ],
  CustomerGatewayDown: [
    { severity: 'page', fires: gauge(up, 1, 0), from: 11, until: 29, silent: { ...gauge(up, 1, 0), ...other(up, 1) } },
  ],
  CustomerGatewayInstanceDown: [
    { severity: 'ticket', fires: gauge(up, 1, 0), from: 12, until: 29, silent: spike(up, 1, 0) },
  ],
  CustomerGatewayRestarting: [
    {
      severity: 'ticket',
      fires: {
        'process_start_time_seconds{job="customer-gateway"}': [
          [1, 10],
          [2, 2],
          [3, 2],
          [4, 30],
        ],
      },
      from: 14,
      until: 23,
      silent: gauge('process_start_time_seconds{job="customer-gateway"}', 1, 2),
    },
  ],
  CustomerGatewayWorkerRestarting: [
    {
      severity: 'ticket',
      fires: spike('customer_gateway_worker_restarts_total', 0, 1),
      from: 10,
      until: 24,
      silent: gauge('customer_gateway_worker_restarts_total', 0, 0),
    },
  ],
  CustomerGatewayEventLoopDelay: [
    {
      severity: 'ticket',
      fires: gauge('customer_gateway_event_loop_delay_seconds{quantile="0.99"}', 0.01, 0.4),
      from: 15,
      until: 29,
      silent: spike('customer_gateway_event_loop_delay_seconds{quantile="0.99"}', 0.01, 2),
    },
  ],
  CustomerGatewayOverloaded: [
    {
      severity: 'ticket',
      fires: { ...counter(ok, 600, 300), ...counter(operation('OVERLOADED'), 0, 300) },
      from: 12,
      until: 29,
      silent: { ...counter(ok, 60, 60), ...spike(operation('OVERLOADED'), 0, 10) },
    },
  ],
  CustomerGatewayUnexpectedErrors: [
    {
      severity: 'ticket',
      fires: spike(operation('INTERNAL_SERVER_ERROR'), 0, 1),
      from: 10,
      until: 23,
      silent: counter(failed, 0, 60),
    },
  ],
  CustomerGatewayBreakerOpen: [
    {
      severity: 'page',
      fires: gauge('customer_gateway_breaker_open{merchant="m",method="GET"}', 0, 1),
      from: 11,
      until: 29,
      silent: gauge('customer_gateway_breaker_open{merchant="m",method="GET"}', 0, 0),
    },
  ],
  CustomerGatewayProviderMisconfigured: [
    {
      severity: 'page',
      fires: { ...counter(attempt('OK'), 60, 0), ...counter(attempt('UPSTREAM_MISCONFIGURED'), 0, 60) },
      from: 11,
      until: 29,
      silent: { ...counter(attempt('OK'), 60, 60), ...spike(attempt('UPSTREAM_MISCONFIGURED'), 0, 2) },
    },
  ],
  CustomerGatewayProviderFailing: [
    {
      severity: 'ticket',
      fires: { ...counter(attempt('OK'), 60, 50), ...counter(attempt('UPSTREAM_TIMEOUT'), 0, 10) },
      from: 18,
      until: 29,
      silent: { ...counter(attempt('OK'), 60, 60), ...counter(attempt('UPSTREAM_TIMEOUT'), 0, 2) },
    },
  ],
  CustomerGatewayProviderMalformed: [
    {
      severity: 'ticket',
      fires: { ...counter(attempt('OK'), 60, 50), ...counter(attempt('UPSTREAM_MALFORMED'), 0, 10) },
      from: 17,
      until: 29,
      silent: { ...counter(attempt('OK'), 60, 60), ...spike(attempt('UPSTREAM_MALFORMED'), 0, 4) },
    },
  ],
  CustomerGatewayProviderRejecting: [
    {
      severity: 'ticket',
      fires: { ...counter(attempt('OK'), 60, 20), ...counter(attempt('UPSTREAM_REJECTED'), 0, 40) },
      from: 18,
      until: 29,
      silent: { ...counter(attempt('OK'), 60, 55), ...counter(attempt('UPSTREAM_REJECTED'), 0, 5) },
    },
  ],
  CustomerGatewayHeldBack: [
    {
      severity: 'ticket',
      fires: { ...counter(attempt('OK'), 60, 0), ...counter(attempt('RATE_LIMITED'), 0, 2) },
      from: 17,
      until: 29,
      silent: { ...counter(attempt('OK'), 60, 60), ...spike(attempt('RATE_LIMITED'), 0, 1) },
    },
  ],
  CustomerGatewayRetryBudgetEmpty: [
    { severity: 'ticket', fires: gauge(budget, 14, 0), from: 15, until: 29, silent: spike(budget, 14, 0) },
  ],
  CustomerGatewayUnknownOutcomes: [
    {
      severity: 'page',
      fires: counter(unknown, 0, 2),
      from: 13,
      until: 29,
      silent: spike(unknown, 0, 3),
    },
    {
      severity: 'ticket',
      fires: {
        [unknown]: [
          [0, 10],
          [1, 1],
          [0, 80],
        ],
      },
      from: 10,
      until: 68,
      silent: counter(unknown, 0, 0),
    },
  ],
  CustomerGatewayTokensUnavailable: [
    {
      severity: 'ticket',
      fires: counter(operation('CLIENT_AUTH_TOKEN_UNAVAILABLE'), 0, 10),
      from: 12,
      until: 29,
      silent: spike(operation('CLIENT_AUTH_TOKEN_UNAVAILABLE'), 0, 3),
    },
  ],
  CustomerGatewayQueueing: [
    {
      severity: 'ticket',
      fires: {
        ...counter(queued, 60, 60),
        ...counter(queuedUpTo('0.5'), 60, 50),
        ...counter(queuedUpTo('1'), 60, 55),
        ...counter(queuedUpTo('+Inf'), 60, 60),
      },
      from: 16,
      until: 29,
      // 99 % wait for less than half a second.
      silent: {
        ...counter(queued, 1000, 1000),
        ...counter(queuedUpTo('0.5'), 1000, 995),
        ...counter(queuedUpTo('1'), 1000, 1000),
        ...counter(queuedUpTo('+Inf'), 1000, 1000),
      },
    },
  ],
  CustomerGatewayKeySetFailing: [
    {
      severity: 'ticket',
      fires: gauge('customer_gateway_key_set_failing', 0, 1),
      from: 15,
      until: 29,
      silent: spike('customer_gateway_key_set_failing', 0, 1),
    },
  ],
  CustomerGatewayKeySetStale: [
    {
      severity: 'page',
      fires: {
        customer_gateway_key_set_age_seconds: [
          [150, 10],
          [1860, 30],
          [150, 50],
        ],
        // This instance has never read it. Its 30 minutes end at step 40.
        'customer_gateway_key_set_failing{instance="other"}': [
          [0, 10],
          [1, 60],
          [0, 20],
        ],
      },
      from: 10,
      until: 69,
      silent: {
        ...gauge('customer_gateway_key_set_age_seconds', 150, 1700),
        // An instance that started 20 minutes ago.
        'customer_gateway_key_set_failing{instance="other"}': [
          [undefined, 10],
          [1, 20],
          [0, 20],
        ],
      },
    },
  ],
  CustomerGatewayRateLimitFallback: [
    {
      severity: 'ticket',
      fires: gauge('customer_gateway_rate_limit_fallback', 0, 1),
      from: 15,
      until: 29,
      silent: spike('customer_gateway_rate_limit_fallback', 0, 1),
    },
  ],
  CustomerGatewayIdempotencyFallback: [
    {
      severity: 'ticket',
      fires: gauge('customer_gateway_idempotency_fallback', 0, 1),
      from: 15,
      until: 29,
      silent: spike('customer_gateway_idempotency_fallback', 0, 1),
    },
  ],
  CustomerGatewayFileUnusable: [
    {
      severity: 'ticket',
      fires: gauge('customer_gateway_file_usable{file="MERCHANTS_FILE"}', 1, 0),
      from: 11,
      until: 29,
      silent: spike('customer_gateway_file_usable{file="MERCHANTS_FILE"}', 1, 0),
    },
  ],
  CustomerGatewayRefusedCredentials: [
    {
      severity: 'ticket',
      fires: { ...counter(ok, 60, 60), ...counter(operation('UNAUTHENTICATED'), 0, 60), ...counter(refused(), 0, 60) },
      from: 18,
      until: 29,
      silent: { ...counter(ok, 60, 60), ...counter(operation('UNAUTHENTICATED'), 1, 5), ...counter(refused(), 1, 5) },
    },
  ],
  CustomerGatewayAuditFailing: [
    {
      severity: 'page',
      fires: spike('customer_gateway_audit_failures_total', 0, 1),
      from: 10,
      until: 23,
      silent: counter('customer_gateway_audit_failures_total', 0, 0),
    },
  ],
  CustomerGatewayLogLinesDropped: [
    {
      severity: 'ticket',
      fires: spike('customer_gateway_log_lines_dropped_total', 0, 100),
      from: 10,
      until: 23,
      silent: counter('customer_gateway_log_lines_dropped_total', 0, 0),
    },
  ],
};

/** Series of another instance. */
function other(name: string, value: number): Record<string, Phases> {
  return { [name.replace('}', ',instance="other"}')]: [[value, 50]] };
}

function refused(): string {
  return 'customer_gateway_refused_credentials_total{reason="expired"}';
}

const isCounter = (name: string) => /_(total|count|bucket)(\{|$)/.test(name);

function valuesOf(name: string, phases: Phases): string {
  let total = 0;
  const values = phases.flatMap(([value, steps]) => Array.from({ length: steps }, () => value));
  return values
    .map((value) => {
      if (value === undefined) return '_';
      total += value;
      return isCounter(name) ? total : value;
    })
    .join(' ');
}

function caseOf(name: string, given: Readonly<Record<string, Phases>>, stepMinutes = 1, more = 0): Case {
  const series = Object.fromEntries(
    Object.entries(given).map(([key, phases]): [string, Phases] => [key, [...phases, [phases.at(-1)?.[0], more]]]),
  );
  const steps = Math.max(...Object.values(series).map((phases) => phases.reduce((sum, [, count]) => sum + count, 0)));
  const withInstance = (key: string) => {
    const [metric = '', labels = ''] = key.replace('}', '').split('{');
    const added = ['job="customer-gateway"', 'instance="one"'].filter(
      (label) => !labels.includes(label.split('=')[0] ?? ''),
    );
    return `${metric}{${[...added, ...(labels === '' ? [] : [labels])].join(',')}}`;
  };
  return {
    name,
    series: Object.fromEntries(
      // Another series of the job keeps CustomerGatewayDown silent.
      [...Object.entries(series), ...(up in series ? [] : [[up, [[1, steps]]] as const])].map(([key, phases]) => [
        withInstance(key),
        valuesOf(key, phases),
      ]),
    ),
    stepSeconds: stepMinutes * 60,
    fromSeconds: 0,
    toSeconds: (steps - 1) * stepMinutes * 60,
  };
}

/** The window of 30 minutes outlasts the other scenarios. */
const longer = (window: string | undefined) => (window === '6h' ? 20 : 0);

const list = Object.entries(scenarios).flatMap(([alert, found]) =>
  found.map((scenario) => ({
    ...scenario,
    alert,
    title: [alert, scenario.severity, scenario.window].join(' ').trim(),
  })),
);
let firings: ReadonlyMap<string, readonly Firing[]>;

before(async () => {
  const cases = list.flatMap(({ title, window, fires, silent, stepMinutes }) => [
    caseOf(`${title} fires`, fires, stepMinutes, longer(window)),
    caseOf(`${title} silent`, silent, stepMinutes),
  ]);
  const groups = Map.groupBy(cases, ({ stepSeconds }) => stepSeconds).values();
  const alerts = [...new Set(rules.map(({ alert }) => alert))];
  firings = new Map(
    (await Promise.all([...groups].map((group) => evaluate(group, alerts)))).flatMap((map) => [...map]),
  );
});

test('every alert MUST have a scenario', () => {
  const named = rules.map(({ alert, severity, window }) => [alert, severity, window].join(' ').trim());
  assert.deepEqual(named.toSorted(), list.map(({ title }) => title).toSorted());
});

for (const { title, alert, severity, window, from, until, stepMinutes = 1 } of list) {
  const stepsOf = (name: string) =>
    (firings.get(name) ?? [])
      .filter((firing) => firing.alert === alert && firing.labels['severity'] === severity)
      .filter(({ labels }) => labels['window'] === window)
      .map(({ atSeconds }) => atSeconds / 60 / stepMinutes);

  test(`${title} MUST fire while its condition holds, and resolve afterwards`, () => {
    const steps = [...new Set(stepsOf(`${title} fires`))];
    assert.ok(steps.length > 0, 'never fired');
    assert.ok(Math.min(...steps) >= 10 && Math.min(...steps) <= from, `fired from step ${steps[0]}`);
    assert.deepEqual(
      Array.from({ length: until - from + 1 }, (_, index) => from + index).filter((step) => !steps.includes(step)),
      [],
    );
    assert.ok(Math.max(...steps) <= until + 16 + longer(window), `fired until step ${steps.at(-1)}`);
  });

  test(`${title} MUST NOT fire below its thresholds`, () => {
    assert.deepEqual(stepsOf(`${title} silent`), []);
  });
}

test('a counter whose first event fires an alert MUST exist before it, with the value 0', async () => {
  // `increase` does not see the event with which a series begins.
  const selectors = rules
    .filter(({ expression }) => /increase\(.*\) > 0$/m.test(expression))
    .map(({ expression }) => /increase\((\w+)(?:\{(.*?)\})?\[/.exec(expression) ?? []);
  assert.equal(selectors.length, 5);
  const subject = await openSubject({});
  const text = await subject.scrape();
  await subject.close();
  for (const [, name = '', labels = ''] of selectors) {
    const found = text.split('\n').filter((line) => line.startsWith(name) && line.includes(labels));
    assert.ok(found.length > 0 && found.every((line) => line.endsWith(' 0')), `${name} ${labels}: ${found.join()}`);
  }
});

test('promtool MUST accept the rules and the configuration', () => {
  const check = (...args: string[]) =>
    execFileSync('promtool', ['check', ...args], { encoding: 'utf8', stdio: 'pipe' });
  assert.match(check('rules', rulesPath), /SUCCESS/);
  assert.match(check('config', 'deploy/prometheus/prometheus.yaml'), /SUCCESS/);
});

test('every alert MUST have a severity, a summary, a description and its runbook', () => {
  for (const { alert, severity, text, runbook } of rules) {
    assert.match(severity, /^(page|ticket)$/);
    assert.match(text, /^ {10}summary: \S/m);
    assert.match(text, /^ {10}description: >-\n {12}\S/m);
    assert.equal(runbook, `https://runbooks.example/runbooks.md#${alert.toLowerCase()}`);
  }
});

test('docs/runbooks.md MUST have a section for each alert, and for nothing else', () => {
  const page = readFileSync('docs/runbooks.md', 'utf8');
  const sections = [...page.matchAll(/^### (CustomerGateway\w+)$/gm)].map(([, name]) => name);
  assert.deepEqual(sections, [...new Set(rules.map(({ alert }) => alert))]);
});
