// Loaded with `--import`: an OpenTelemetry SDK of the operator, with the stock instrumentations of node:http and undici.
import { createRequire } from 'node:module';
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';

trace.setGlobalTracerProvider(
  new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: new OTLPTraceExporter() })] }),
);
context.setGlobalContextManager(new AsyncLocalStorageContextManager());
propagation.setGlobalPropagator({
  inject: (_context, carrier, setter) => setter.set(carrier, 'x-injected', 'yes'),
  extract: (extracted) => extracted,
  fields: () => ['x-injected'],
});
for (const instrumentation of [new HttpInstrumentation(), new UndiciInstrumentation()]) instrumentation.enable();
// Instruments the module, which also instruments servers that are created with `import`.
createRequire(import.meta.url)('node:http');

// The proof that the instrumentations work: they see other requests of this process.
if (process.env.PROBE_URL) await fetch(process.env.PROBE_URL);
