import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Metrics } from './log.ts';

/** Up to the default deadline of an operation. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20];

/** {@link Metrics} that can be read. */
export interface MetricsRegistry extends Metrics {
  readonly contentType: string;
  /** All of them, in Prometheus' text format. */
  read(): Promise<string>;
}

/**
 * The gateway's numbers, beside those of the process. Every label is a name of our own or the id of a merchant of the
 * settings: as many series as there are, whatever callers send, and nothing of a caller in any of them.
 */
export function createMetrics(version: string): MetricsRegistry {
  const registry = new Registry();
  const common = { registers: [registry] };
  collectDefaultMetrics({ register: registry });

  const operations = new Counter({
    ...common,
    name: 'customer_gateway_operations_total',
    help: 'Answered operations. outcome: OK, or the code of the first error; type: none where nothing was executed.',
    labelNames: ['type', 'outcome'],
  });
  const operationSeconds = new Histogram({
    ...common,
    name: 'customer_gateway_operation_duration_seconds',
    help: 'From the head of the request to its answer, of operations that were executed.',
    labelNames: ['type'],
    buckets,
  });
  const inFlight = new Gauge({
    ...common,
    name: 'customer_gateway_in_flight',
    help: 'Requests that are not answered yet, and writes whose caller may be gone.',
  });
  const writes = new Counter({
    ...common,
    name: 'customer_gateway_writes_total',
    help: 'Mutation fields. outcome: CREATED, RECONCILED, UPDATED, or a code.',
    labelNames: ['merchant', 'field', 'outcome'],
  });
  const attempts = new Counter({
    ...common,
    name: 'customer_gateway_upstream_attempts_total',
    help: 'Calls to the provider, repeats included. outcome: OK, or the code that this call alone would have ended with.',
    labelNames: ['merchant', 'call', 'outcome', 'repeat'],
  });
  const attemptSeconds = new Histogram({
    ...common,
    name: 'customer_gateway_upstream_attempt_duration_seconds',
    help: 'One call to the provider, the wait for a free connection included.',
    labelNames: ['merchant', 'call'],
    buckets,
  });
  const breakers = new Gauge({
    ...common,
    name: 'customer_gateway_breaker_open',
    help: '1 while calls of this method to the provider are stopped.',
    labelNames: ['merchant', 'method'],
  });
  const fileFailures = new Counter({
    ...common,
    name: 'customer_gateway_file_reload_failures_total',
    help: 'Failed attempts to apply a changed file. file: the name of its setting. The last valid content stays in use.',
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
    help: 'Requests whose credentials were missing or refused. reason: a name of the gateway.',
    labelNames: ['reason'],
  });
  const keySetFailing = new Gauge({
    ...common,
    name: 'customer_gateway_key_set_failing',
    help: '1 while the key set of AUTH_JWKS_URL cannot be read.',
  });
  const rateLimitFallback = new Gauge({
    ...common,
    name: 'customer_gateway_rate_limit_fallback',
    help: '1 while the shared counters of REDIS_URL cannot be used and this instance counts for itself.',
  });
  const droppedLines = new Counter({
    ...common,
    name: 'customer_gateway_log_lines_dropped_total',
    help: 'Log lines that were not written: stdout took none, and the buffer of 1 MiB was full.',
  });
  new Gauge({
    ...common,
    name: 'customer_gateway_build_info',
    help: 'Always 1.',
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
    keySetFailing: (isFailing) => keySetFailing.set(Number(isFailing)),
    rateLimitFallback: (isLocal) => rateLimitFallback.set(Number(isLocal)),
    contentType: registry.contentType,
    read: () => registry.metrics(),
  };
}
