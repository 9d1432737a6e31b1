import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Snapshot } from './aggregate.ts';
import type { Metrics } from './log.ts';

/** In seconds, up to the default deadline of an operation. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20];

/** {@link Metrics} with an export. */
export interface MetricsRegistry extends Metrics {
  readonly contentType: string;
  /** @returns all metrics in the Prometheus text format. */
  read(): Promise<string>;
  /** @returns all metrics as data, for the supervisor of several workers. */
  snapshot(): Promise<Snapshot>;
}

export const metricsContentType = Registry.PROMETHEUS_CONTENT_TYPE;

/** Counters to which the supervisor of several workers adds. */
export const supervisorCounters = {
  restarts: {
    name: 'customer_gateway_worker_restarts_total',
    help: 'Workers that ended and were started again.',
  },
  droppedLines: {
    name: 'customer_gateway_log_lines_dropped_total',
    help: 'Log lines dropped because stdout blocked and the buffer of 1 MiB was full.',
  },
} as const;

/**
 * Creates the gateway's metrics and the default metrics of the process. Label values are constants of the gateway or merchant ids of the
 * settings, so callers can neither add series nor write into one.
 */
export function createMetrics(version: string): MetricsRegistry {
  const registry = new Registry();
  const common = { registers: [registry] };
  collectDefaultMetrics({ register: registry });

  const operations = new Counter({
    ...common,
    name: 'customer_gateway_operations_total',
    help: 'Completed GraphQL operations. outcome: OK, or the code of the first error. type: none if the operation was not executed.',
    labelNames: ['type', 'outcome'],
  });
  const operationSeconds = new Histogram({
    ...common,
    name: 'customer_gateway_operation_duration_seconds',
    help: 'Duration of executed operations, from the received request headers to the result.',
    labelNames: ['type'],
    buckets,
  });
  const inFlight = new Gauge({
    ...common,
    name: 'customer_gateway_in_flight',
    help: 'In-flight GraphQL requests, and writes that continue after the client disconnected.',
  });
  const writes = new Counter({
    ...common,
    name: 'customer_gateway_writes_total',
    help: 'Executed mutation fields. outcome: CREATED, RECONCILED, UPDATED, or an error code.',
    labelNames: ['merchant', 'field', 'outcome'],
  });
  const attempts = new Counter({
    ...common,
    name: 'customer_gateway_upstream_attempts_total',
    help: 'Calls to the provider. Every retry counts. outcome: OK, or the error code of this call, before retries.',
    labelNames: ['merchant', 'call', 'outcome', 'repeat'],
  });
  const attemptSeconds = new Histogram({
    ...common,
    name: 'customer_gateway_upstream_attempt_duration_seconds',
    help: 'Duration of one call to the provider, including the wait for a free connection.',
    labelNames: ['merchant', 'call'],
    buckets,
  });
  const breakers = new Gauge({
    ...common,
    name: 'customer_gateway_breaker_open',
    help: '1 while the circuit breaker rejects calls of this method.',
    labelNames: ['merchant', 'method'],
  });
  const fileFailures = new Counter({
    ...common,
    name: 'customer_gateway_file_reload_failures_total',
    help: 'Failed attempts to apply a changed file. The last valid content stays in use. file: the name of its setting.',
    labelNames: ['file'],
  });
  const usableFiles = new Gauge({
    ...common,
    name: 'customer_gateway_file_usable',
    help: '0 while the content of a watched file is unusable. file: the name of its setting.',
    labelNames: ['file'],
  });
  const refusedCredentials = new Counter({
    ...common,
    name: 'customer_gateway_refused_credentials_total',
    help: 'Requests with missing or invalid credentials. reason: why they were rejected.',
    labelNames: ['reason'],
  });
  const keySetFailing = new Gauge({
    ...common,
    name: 'customer_gateway_key_set_failing',
    help: '1 if the last fetch of AUTH_JWKS_URL failed.',
  });
  const rateLimitFallback = new Gauge({
    ...common,
    name: 'customer_gateway_rate_limit_fallback',
    help: '1 while REDIS_URL is unavailable and this instance uses its own rate limit counters.',
  });
  const auditFailures = new Counter({
    ...common,
    name: 'customer_gateway_audit_failures_total',
    help: 'Failed writes to AUDIT_FILE, and audit lines that are missing in it.',
  });
  const droppedLines = new Counter({ ...common, ...supervisorCounters.droppedLines });
  new Counter({ ...common, ...supervisorCounters.restarts });
  new Gauge({
    ...common,
    name: 'customer_gateway_workers',
    help: 'Processes that serve the port: WORKERS, unless one has ended and its replacement does not listen yet.',
  }).set(1);
  new Gauge({
    ...common,
    name: 'customer_gateway_build_info',
    help: 'Always 1. version: the version of the gateway.',
    labelNames: ['version'],
  }).set({ version }, 1);

  return {
    operation({ type = 'none', outcome, durationMs }) {
      operations.inc({ type, outcome });
      if (type !== 'none') operationSeconds.observe({ type }, durationMs / 1000);
    },
    inFlight: (count) => inFlight.set(count),
    write: ({ merchant, field, outcome }) => writes.inc({ merchant, field, outcome }),
    attempt({ merchant, call, outcome, isRepeat, durationMs }) {
      attempts.inc({ merchant, call, outcome, repeat: String(isRepeat) });
      attemptSeconds.observe({ merchant, call }, durationMs / 1000);
    },
    breaker: ({ merchant, method, isOpen }) => breakers.set({ merchant, method }, Number(isOpen)),
    watchedFile({ file, isUsable }) {
      fileFailures.inc({ file }, isUsable ? 0 : 1);
      usableFiles.set({ file }, Number(isUsable));
    },
    logLinesDropped: (count) => droppedLines.inc(count),
    credentialRefused: (reason) => refusedCredentials.inc({ reason }),
    auditFailed: () => auditFailures.inc(),
    keySetFailing: (isFailing) => keySetFailing.set(Number(isFailing)),
    rateLimitFallback: (isLocal) => rateLimitFallback.set(Number(isLocal)),
    contentType: registry.contentType,
    read: () => registry.metrics(),
    snapshot: () => registry.getMetricsAsJSON(),
  };
}
