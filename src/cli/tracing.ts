import type { Config } from '../config/config.ts';
import { headersOf, type tracingTable } from '../config/tracing.ts';
import type { Log } from '../telemetry/log.ts';
import type { Traces } from '../telemetry/traces.ts';

/** Maximum wait for queued spans before the process exits. */
const flushMs = 1_000;

/** The spans of the process, and the end of their export. */
export interface OpenTracing {
  readonly traces: Traces;
  /** Sends the queued spans, for at most 1 s. Never rejects. */
  close(): Promise<void>;
}

/**
 * Whether the process has registered a tracer provider, for example with `--import`. Reads the global object of the OpenTelemetry API
 * instead of importing the API, which a process without traces does not need.
 */
export function hasTracerProvider(): boolean {
  const api: unknown = Reflect.get(globalThis, Symbol.for('opentelemetry.js.api.1'));
  return typeof api === 'object' && api !== null && Reflect.get(api, 'trace') !== undefined;
}

/** Opens the traces of the registered provider, or else those of the settings. `undefined`: traces are off, and nothing was loaded. */
export async function openTracing(
  { tracing }: Pick<Config, 'tracing'>,
  version: string,
  log: Log,
): Promise<OpenTracing | undefined> {
  if (tracing === undefined) {
    const { createTraces, registeredTracer } = await import('../telemetry/traces.ts');
    const tracer = registeredTracer(version);
    // The provider belongs to the program that registered it, which also ends it.
    return tracer && { traces: createTraces(tracer), close: async () => undefined };
  }
  if (!tracing.isOn) return undefined;
  const [{ createTraces }, { openTraceExport }] = await Promise.all([
    import('../telemetry/traces.ts'),
    import('../telemetry/trace-export.ts'),
  ]);
  const exported = openTraceExport({ ...tracing, headers: headersOf(tracing) }, version, log);
  return { traces: createTraces(exported.tracer, tracing), close: () => exported.shutdown(flushMs) };
}

/** The effective settings of traces. */
export function tracingTexts({ tracing }: Config): Record<keyof typeof tracingTable, unknown> {
  const on = tracing?.isOn === true ? tracing : undefined;
  const unused = 'not used';
  const urlOf = (name: string) => (on?.urlSetting === name ? on.url : undefined);
  const { 'service.name': name, ...attributes } = on?.resource ?? {};
  return {
    OTEL_TRACES_EXPORTER: on ? 'otlp' : 'none',
    OTEL_EXPORTER_OTLP_ENDPOINT: urlOf('OTEL_EXPORTER_OTLP_ENDPOINT')?.replace(/\/v1\/traces$/, '') ?? unused,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: urlOf('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? unused,
    OTEL_EXPORTER_OTLP_HEADERS: on?.headers ?? unused,
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: on?.headers ?? unused,
    OTEL_EXPORTER_OTLP_PROTOCOL: on ? 'http/protobuf' : unused,
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: on ? 'http/protobuf' : unused,
    OTEL_SERVICE_NAME: name ?? unused,
    OTEL_RESOURCE_ATTRIBUTES:
      Object.entries(attributes)
        .map(([key, value]) => `${key}=${value}`)
        .join(',') || unused,
    OTEL_TRACES_SAMPLER: on?.sampler ?? unused,
    OTEL_TRACES_SAMPLER_ARG: on?.sampler.endsWith('ratio') ? on.samplerRatio : unused,
    OTEL_PROPAGATORS: on ? (on.continuesTraces ? 'tracecontext' : 'none') : unused,
    OTEL_BSP_SCHEDULE_DELAY: on?.batch.delayMs ?? unused,
    OTEL_BSP_EXPORT_TIMEOUT: on?.batch.timeoutMs ?? unused,
    OTEL_BSP_MAX_QUEUE_SIZE: on?.batch.maxQueueSize ?? unused,
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: on?.batch.maxBatchSize ?? unused,
    OTEL_SDK_DISABLED: on ? 'false' : unused,
  };
}
