import type { Tracer } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Log } from './log.ts';
import type { SamplerName } from './trace-parent.ts';
import { scopeName } from './traces.ts';

/** The settings of the SDK. */
export interface TraceExportOptions {
  /** The collector's full URL for traces. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the resource. They include `service.name`. */
  readonly resource: Readonly<Record<string, string>>;
  readonly sampler: SamplerName;
  /** From 0 to 1, for samplers by ratio. */
  readonly samplerRatio: number;
  readonly batch: {
    readonly delayMs: number;
    readonly timeoutMs: number;
    /** Spans beyond it are dropped. */
    readonly maxQueueSize: number;
    readonly maxBatchSize: number;
  };
}

export interface TraceExport {
  readonly tracer: Tracer;
  /** Sends the queued spans. Resolves after `maxWaitMs` at the latest, and never rejects. */
  shutdown(maxWaitMs: number): Promise<void>;
}

/**
 * Starts the OpenTelemetry SDK: spans are sent in batches by OTLP over HTTP, with the exporter's own client. Its queue is bounded, and
 * a failed export drops its spans. The provider is not registered globally, so that no instrumentation sends spans with it.
 *
 * The exporter reads the standard variables for its timeout, compression and certificates itself.
 */
export function openTraceExport(options: TraceExportOptions, version: string, log: Log): TraceExport {
  const { url, headers, resource, batch } = options;
  const processor = new BatchSpanProcessor({
    exporter: reporting(new OTLPTraceExporter({ url, headers: { ...headers } }), log),
    scheduledDelayMillis: batch.delayMs,
    exportTimeoutMillis: batch.timeoutMs,
    maxQueueSize: batch.maxQueueSize,
    maxExportBatchSize: Math.min(batch.maxBatchSize, batch.maxQueueSize),
  });
  const provider = new TracerProvider({
    resource: defaultResource().merge(resourceFromAttributes({ 'service.version': version, ...resource })),
    sampler: samplerOf(options),
    spanProcessors: [processor],
  });
  return {
    tracer: provider.getTracer(scopeName, version),
    async shutdown(maxWaitMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, maxWaitMs);
      provider.shutdown().then(resolve, () => resolve());
      await promise;
      clearTimeout(timer);
    },
  };
}

function samplerOf({ sampler, samplerRatio }: TraceExportOptions): Sampler {
  const root = rootOf(sampler.replace('parentbased_', ''), samplerRatio);
  return sampler.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root;
}

function rootOf(name: string, ratio: number): Sampler {
  if (name === 'traceidratio') return new TraceIdRatioBasedSampler(ratio);
  return name === 'always_off' ? new AlwaysOffSampler() : new AlwaysOnSampler();
}

/** Logs when exports begin to fail, and when they succeed again. The SDK itself logs nothing. */
function reporting(exporter: SpanExporter, log: Log): SpanExporter {
  /** Spans of failed exports since the first failure. 0: the last export succeeded. */
  let lost = 0;
  return {
    export(spans, onResult) {
      exporter.export(spans, (result) => {
        if (result.code !== 0) {
          if (lost === 0) log.warn('traces cannot be exported', { count: spans.length, cause: result.error });
          lost += spans.length;
        } else if (lost > 0) {
          log.info('traces are exported again', { count: lost });
          lost = 0;
        }
        onResult(result);
      });
    },
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  };
}
