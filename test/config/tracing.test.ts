import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, loadConfig } from '../../src/config/config.ts';
import { headersOf, type Tracing } from '../../src/config/tracing.ts';

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector.example:4318' };

function tracingOf(environment: Record<string, string>): Tracing {
  const { tracing } = loadConfig(environment);
  assert.ok(tracing);
  return tracing;
}

function problemsOf(environment: Record<string, string>): readonly string[] {
  try {
    loadConfig(environment);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
}

test('traces MUST be on only where the standard variables ask for them', () => {
  const isOn = (environment: Record<string, string>) => tracingOf(environment).isOn;
  assert.equal(isOn({}), false);
  assert.equal(isOn({ OTEL_SERVICE_NAME: 'a' }), false);
  assert.equal(isOn(endpoint), true);
  assert.equal(isOn({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://collector.example/traces' }), true);
  assert.equal(isOn({ OTEL_TRACES_EXPORTER: 'otlp' }), true);
  assert.equal(isOn({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }), false);
  assert.equal(isOn({ ...endpoint, OTEL_SDK_DISABLED: 'True' }), false);
  assert.equal(isOn({ ...endpoint, OTEL_SDK_DISABLED: 'false' }), true);
});

test('the URL for traces MUST be the base URL with v1/traces, or the URL for traces unchanged', () => {
  const urlOf = (environment: Record<string, string>) => tracingOf(environment).url;
  assert.equal(urlOf({ OTEL_TRACES_EXPORTER: 'otlp' }), 'http://localhost:4318/v1/traces');
  assert.equal(urlOf(endpoint), 'http://collector.example:4318/v1/traces');
  assert.equal(urlOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://a.example/otlp/' }), 'https://a.example/otlp/v1/traces');
  assert.equal(
    urlOf({ ...endpoint, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://a.example/in' }),
    'https://a.example/in',
  );
});

test('lists MUST be decoded, and more specific names MUST take precedence', () => {
  const tracing = tracingOf({
    ...endpoint,
    OTEL_EXPORTER_OTLP_HEADERS: 'a=1, b=x%20y',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'a=2',
    OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,deployment.environment.name=pro%2Cd',
    OTEL_TRACES_SAMPLER: 'traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0.25',
    OTEL_PROPAGATORS: 'baggage',
    OTEL_BSP_MAX_QUEUE_SIZE: '10',
  });
  assert.deepEqual(headersOf(tracing), { a: '2', b: 'x y' });
  assert.deepEqual(tracing.resource, { 'service.name': 'other', 'deployment.environment.name': 'pro,d' });
  assert.deepEqual([tracing.sampler, tracing.samplerRatio, tracing.continuesTraces], ['traceidratio', 0.25, false]);
  assert.equal(tracing.batch.maxQueueSize, 10);
  assert.doesNotMatch(JSON.stringify(tracing), /x y|x%20y/);
});

test('invalid settings of traces MUST be reported by name, never by value, and only if traces are on', () => {
  const invalid = {
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_HEADERS: 'canary',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'canary=%',
    OTEL_RESOURCE_ATTRIBUTES: '=canary',
    OTEL_TRACES_SAMPLER: 'canary',
  };
  assert.deepEqual(problemsOf({ ...endpoint, ...invalid }), [
    'OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf: collectors accept it on port 4318.',
    'OTEL_EXPORTER_OTLP_HEADERS must be a comma-separated list of name=value.',
    'OTEL_EXPORTER_OTLP_TRACES_HEADERS must be a comma-separated list of name=value.',
    'OTEL_RESOURCE_ATTRIBUTES must be a comma-separated list of name=value.',
    'OTEL_TRACES_SAMPLER must be one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio.',
  ]);
  assert.deepEqual(problemsOf({ ...endpoint, OTEL_TRACES_EXPORTER: 'console' }), [
    'OTEL_TRACES_EXPORTER must be otlp or none.',
  ]);
  for (const ratio of ['2', '-0.1', ' ', '0x1', '.', '1.0.0', 'half']) {
    assert.deepEqual(problemsOf({ ...endpoint, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: ratio }), [
      'OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1.',
    ]);
  }
  for (const ratio of ['0', '1', '.5', '0.25', ' 1.0 ', '1e-3']) {
    assert.deepEqual(
      problemsOf({ ...endpoint, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: ratio }),
      [],
    );
  }
  assert.deepEqual(problemsOf({ ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: 'a=x%0d%0ab' }), [
    'OTEL_EXPORTER_OTLP_HEADERS must be a comma-separated list of name=value.',
  ]);
  for (const url of ['collector:4318', 'ftp://a.example', 'http://user:canary@a.example', 'canary']) {
    assert.deepEqual(problemsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: url }), [
      'OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https URL without credentials.',
    ]);
  }
  assert.deepEqual(problemsOf(invalid), []);
  assert.deepEqual(problemsOf({ ...endpoint, ...invalid, OTEL_SDK_DISABLED: 'true' }), []);
});

test('a program that has its own tracer provider or mounts the gateway MUST keep its OTEL variables', () => {
  const environment = { ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
  assert.equal(loadConfig(environment, undefined, { ignoresTracing: true }).tracing, undefined);
});
