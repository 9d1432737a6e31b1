import assert from 'node:assert/strict';
import { test } from 'node:test';
import { context, trace } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  StackContextManager,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { createGateway } from '../../src/index.ts';

const ask = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: '{"query":"{ customer(id: \\"u7\\") { id } }"}',
};

test('a mounted gateway MUST use the tracer provider of its server, and continue its active span', async () => {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  trace.setGlobalTracerProvider(provider);
  const manager = new StackContextManager().enable();
  context.setGlobalContextManager(manager);
  // The server's own settings, which the gateway ignores.
  const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
  const gateway = createGateway({ logLevel: 'silent', environment });
  try {
    // Loads Yoga. This context manager does not follow promises.
    await gateway.fetch(new Request('https://shop.example/health'));
    const span = provider.getTracer('server').startSpan('request of the server');
    const response = context.with(trace.setSpan(context.active(), span), () =>
      gateway.fetch(new Request('https://shop.example/graphql', ask)),
    );
    assert.equal((await response).status, 200);
    const [attempt, operation] = exporter.getFinishedSpans();
    assert.equal(operation?.name, 'query');
    assert.equal(operation.attributes['url.scheme'], 'https');
    assert.equal(operation.parentSpanContext?.spanId, span.spanContext().spanId);
    assert.equal(attempt?.name, 'GET /customers/{customer_id}');
    assert.equal(attempt.parentSpanContext?.spanId, operation.spanContext().spanId);
  } finally {
    await gateway.dispose();
    trace.disable();
    context.disable();
  }
});

test('a mounted gateway without a tracer provider MUST make no spans', async () => {
  const gateway = createGateway({ logLevel: 'silent' });
  try {
    assert.equal((await gateway.fetch(new Request('http://shop.example/graphql', ask))).status, 200);
  } finally {
    await gateway.dispose();
  }
});
