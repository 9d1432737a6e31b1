import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { type MetricsText, printed, type Snapshot } from './aggregate.ts';
import type { GateReadings, Metrics } from './log.ts';
import { talliesOf } from './tallies.ts';

/** In seconds, up to the default deadline of an operation. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20];
/** In seconds. Most calls do not wait. */
const queueBuckets = [0.001, ...buckets];

/** Interval of the timer that measures the delay of the event loop. */
const delayResolutionMs = 20;

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

/** {@link Metrics} with an export: the Prometheus text format, and OpenMetrics, which has exemplars too. */
export interface MetricsRegistry extends Metrics, MetricsText {
  readonly openMetrics: MetricsText;
  /** @returns all metrics as data, for the supervisor of several workers. */
  snapshot(): Promise<Snapshot>;
}

/**
 * Creates the gateway's metrics and the default metrics of the process. Label values are constants of the gateway or merchant ids of the
 * settings, so callers can neither add series nor write into one.
 */
export function createMetrics(version: string): MetricsRegistry {
  const registry = new Registry();
  const { counter, gauge, collected, histogram } = talliesOf(registry);
  collectDefaultMetrics({ register: registry });

  const operations = counter({
    name: 'customer_gateway_operations_total',
    help: 'Completed GraphQL operations. outcome: OK, or the code of the first error. type: none if the operation was not executed.',
    labels: ['type', 'outcome'],
  });
  const operationSeconds = histogram(
    {
      name: 'customer_gateway_operation_duration_seconds',
      help: 'Duration of executed operations, from the received request headers to the result.',
      labels: ['type'],
    },
    buckets,
  );
  const inFlight = gauge({
    name: 'customer_gateway_in_flight',
    help: 'In-flight GraphQL requests, and writes that continue after the client disconnected.',
  }).of();
  const writes = counter({
    name: 'customer_gateway_writes_total',
    help: 'Executed mutation fields. outcome: CREATED, RECONCILED, UPDATED, or an error code.',
    labels: ['merchant', 'field', 'outcome'],
  });
  const replays = counter({
    name: 'customer_gateway_idempotent_replays_total',
    help: 'Mutations that repeated an Idempotency-Key and were answered without a write.',
    labels: ['merchant'],
  });
  const attempts = counter({
    name: 'customer_gateway_upstream_attempts_total',
    help: 'Calls to the provider. Every retry counts. outcome: OK, or the error code of this call, before retries.',
    labels: ['merchant', 'call', 'outcome', 'repeat'],
  });
  const attemptSeconds = histogram(
    {
      name: 'customer_gateway_upstream_attempt_duration_seconds',
      help: 'Duration of one call to the provider, including the wait for a free connection.',
      labels: ['merchant', 'call'],
    },
    buckets,
  );
  const breakers = gauge({
    name: 'customer_gateway_breaker_open',
    aggregator: 'max',
    help: '1 while the circuit breaker rejects calls of this method.',
    labels: ['merchant', 'method'],
  });
  const fileFailures = counter({
    name: 'customer_gateway_file_reload_failures_total',
    help: 'Failed attempts to apply a changed file. The last valid content stays in use. file: the name of its setting.',
    labels: ['file'],
  });
  const usableFiles = gauge({
    name: 'customer_gateway_file_usable',
    aggregator: 'min',
    help: '0 while the content of a watched file is unusable. file: the name of its setting.',
    labels: ['file'],
  });
  const refusedCredentials = counter({
    name: 'customer_gateway_refused_credentials_total',
    help: 'Requests with missing or invalid credentials. reason: why they were rejected.',
    labels: ['reason'],
  });
  const keySetFailing = gauge({
    name: 'customer_gateway_key_set_failing',
    aggregator: 'max',
    help: '1 if the last fetch of AUTH_JWKS_URL failed.',
  });
  const rateLimitFallback = gauge({
    name: 'customer_gateway_rate_limit_fallback',
    aggregator: 'max',
    help: '1 while REDIS_URL is unavailable and this instance uses its own rate limit counters.',
  });
  const idempotencyFallback = gauge({
    name: 'customer_gateway_idempotency_fallback',
    aggregator: 'max',
    help: '1 while REDIS_URL is unavailable and this instance keeps operations with an Idempotency-Key by itself.',
  });
  const droppedLines = counter(supervisorCounters.droppedLines);
  counter(supervisorCounters.restarts).of();
  const tokens = counter({
    name: 'customer_gateway_tokens_minted_total',
    help: 'Responses of the provider that carried a client auth token.',
    labels: ['merchant'],
  });
  const mergedReads = counter({
    name: 'customer_gateway_reads_merged_total',
    help: 'Reads that another read of the same operation served.',
    labels: ['merchant'],
  });
  const sharedReads = counter({
    name: 'customer_gateway_reads_shared_total',
    help: 'Reads that an in-flight read of another operation served.',
    labels: ['merchant'],
  });
  const reconciledCreates = counter({
    name: 'customer_gateway_creates_reconciled_total',
    help: 'Creates whose response was lost, and that a lookup confirmed.',
    labels: ['merchant'],
  });
  const unknownOutcomes = counter({
    name: 'customer_gateway_unknown_outcomes_total',
    help: 'Mutation fields that were sent and whose outcome is unknown.',
    labels: ['merchant', 'field'],
  });
  const retries = counter({
    name: 'customer_gateway_upstream_retries_total',
    help: 'Attempts that sent the same call to the provider again.',
    labels: ['merchant', 'call'],
  });
  const queueSeconds = histogram(
    {
      name: 'customer_gateway_queue_seconds',
      help: 'Wait of a call for a free connection. caller: the kind of its credentials.',
      labels: ['caller'],
    },
    queueBuckets,
  );
  const auditFailures = counter({
    name: 'customer_gateway_audit_failures_total',
    help: 'Failed writes to AUDIT_FILE, and audit lines that are missing in it.',
  });
  const configChanges = counter({
    name: 'customer_gateway_config_changes_total',
    help: 'Changed files that were applied. file: the name of its setting.',
    labels: ['file'],
  });

  const gates = new Map<string, GateReadings>();
  const ofGates = (read: (gate: GateReadings) => number) => () =>
    [...gates].map(([merchant, gate]) => ({ labels: { merchant }, value: read(gate) }));
  collected(
    {
      name: 'customer_gateway_retry_budget_left',
      aggregator: 'min',
      help: 'Reads that may be repeated now, within 20 % of the first attempts of the last 10 s, plus 10.',
    },
    ofGates((gate) => gate.retriesLeft()),
  );
  collected(
    {
      name: 'customer_gateway_hold_back_seconds_left',
      help: 'Time for which the Retry-After of the provider still holds back all calls.',
      aggregator: 'max',
    },
    ofGates((gate) => gate.heldMs() / 1000),
  );
  /** The last successful fetch, on the monotonic clock. */
  let keySetReadAtMs: number | undefined;
  collected(
    {
      name: 'customer_gateway_key_set_age_seconds',
      help: 'Time since the last successful fetch of AUTH_JWKS_URL. Absent before the first one.',
      aggregator: 'max',
    },
    () => (keySetReadAtMs === undefined ? [] : [{ labels: {}, value: (performance.now() - keySetReadAtMs) / 1000 }]),
  );
  const delays = monitorEventLoopDelay({ resolution: delayResolutionMs });
  delays.enable();
  collected(
    {
      name: 'customer_gateway_event_loop_delay_seconds',
      help: 'Delay of the event loop since the last read of the metrics. quantile: 0.5, 0.99, or 1 for the maximum.',
      aggregator: 'max',
    },
    () => {
      const values = [0.5, 0.99, 1].map((quantile) => {
        const ms = delays.count === 0 ? 0 : delays.percentile(quantile * 100) / 1e6 - delayResolutionMs;
        return { labels: { quantile: String(quantile) }, value: Math.max(0, ms) / 1000 };
      });
      delays.reset();
      return values;
    },
    'summary',
  );
  gauge({
    name: 'customer_gateway_workers',
    help: 'Processes that serve the port: WORKERS, unless one has ended and its replacement does not listen yet.',
  }).of().value = 1;
  gauge({
    name: 'customer_gateway_build_info',
    help: 'Always 1. version: the version of the gateway.',
    labels: ['version'],
    aggregator: 'max',
  }).of(version).value = 1;

  const snapshot = (): Promise<Snapshot> => registry.getMetricsAsJSON();
  return {
    operation({ type = 'none', outcome, durationMs, traceId, merchant, counts }) {
      operations.of(type, outcome).value += 1;
      if (type !== 'none') operationSeconds.of(type).observe(durationMs / 1000, traceId);
      if (merchant === undefined || counts === undefined) return;
      if (counts.tokens > 0) tokens.of(merchant).value += counts.tokens;
      if (counts.mergedReads > 0) mergedReads.of(merchant).value += counts.mergedReads;
      if (counts.sharedReads > 0) sharedReads.of(merchant).value += counts.sharedReads;
    },
    idempotentReplay(merchant) {
      replays.of(merchant).value += 1;
    },
    inFlight(count) {
      inFlight.value = count;
    },
    write({ merchant, field, outcome }) {
      writes.of(merchant, field, outcome).value += 1;
      if (outcome === 'RECONCILED') reconciledCreates.of(merchant).value += 1;
      if (outcome === 'OUTCOME_UNKNOWN') unknownOutcomes.of(merchant, field).value += 1;
    },
    attempt({ merchant, call, outcome, isRepeat, durationMs, traceId }) {
      attempts.of(merchant, call, outcome, isRepeat ? 'true' : 'false').value += 1;
      attemptSeconds.of(merchant, call).observe(durationMs / 1000, traceId);
      if (isRepeat) retries.of(merchant, call).value += 1;
    },
    queued: ({ caller, waitMs }) => queueSeconds.of(caller).observe(waitMs / 1000),
    breaker({ merchant, method, isOpen }) {
      breakers.of(merchant, method).value = Number(isOpen);
    },
    merchantOpened(merchant, gate) {
      gates.set(merchant, gate);
      // Alerts need series that start at 0.
      for (const type of ['none', 'query', 'mutation']) operations.of(type, 'INTERNAL_SERVER_ERROR');
      for (const family of [tokens, mergedReads, sharedReads, reconciledCreates, replays]) family.of(merchant);
      for (const field of ['createCustomer', 'updateCustomer']) unknownOutcomes.of(merchant, field);
      for (const call of ['get', 'create', 'update']) retries.of(merchant, call);
    },
    merchantRemoved(merchant) {
      gates.delete(merchant);
      for (const method of ['GET', 'POST']) breakers.of(merchant, method).value = 0;
    },
    watchedFile({ file, isUsable }) {
      configChanges.of(file);
      fileFailures.of(file).value += isUsable ? 0 : 1;
      usableFiles.of(file).value = Number(isUsable);
    },
    configChanged(file) {
      configChanges.of(file).value += 1;
    },
    auditFailed() {
      auditFailures.of().value += 1;
    },
    logLinesDropped(count) {
      droppedLines.of().value += count;
    },
    credentialRefused(reason) {
      refusedCredentials.of(reason).value += 1;
    },
    keySetFailing(isFailing) {
      keySetFailing.of().value = Number(isFailing);
      if (!isFailing) keySetReadAtMs = performance.now();
    },
    rateLimitFallback(isLocal) {
      rateLimitFallback.of().value = Number(isLocal);
    },
    idempotencyFallback(isLocal) {
      idempotencyFallback.of().value = Number(isLocal);
    },
    ...printed(snapshot),
    snapshot,
  };
}
