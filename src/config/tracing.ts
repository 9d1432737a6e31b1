import { z } from 'zod';
import { type SamplerName, samplerNames } from '../telemetry/trace-parent.ts';
import { integer } from './integer.ts';
import { Secret } from './secret.ts';

/** The settings of traces, in the order of the documentation. Names and meanings are those of the OpenTelemetry specification. */
export const tracingTable = {
  OTEL_TRACES_EXPORTER: [
    z.string().max(256),
    '`otlp` if an endpoint is set; otherwise `none`',
    '`otlp`: export traces; `none`: do not',
  ],
  OTEL_EXPORTER_OTLP_ENDPOINT: [
    z.string().max(2048),
    'unset; http://localhost:4318 with `OTEL_TRACES_EXPORTER=otlp`',
    'base URL of the OpenTelemetry collector; traces are sent to its path `v1/traces`; setting it turns traces on',
  ],
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: [
    z.string().max(2048),
    'unset',
    'full URL for traces, instead of `OTEL_EXPORTER_OTLP_ENDPOINT`',
  ],
  OTEL_EXPORTER_OTLP_HEADERS: [
    z.string().max(65_536),
    'unset',
    'comma-separated list of headers for the collector, `name=value`, with percent-encoded values',
    'secret',
  ],
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: [
    z.string().max(65_536),
    'unset',
    'further headers for traces; they take precedence over `OTEL_EXPORTER_OTLP_HEADERS`',
    'secret',
  ],
  OTEL_EXPORTER_OTLP_PROTOCOL: [
    z.string().max(256),
    'http/protobuf',
    'protocol of the collector; only `http/protobuf` is supported',
  ],
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: [
    z.string().max(256),
    'http/protobuf',
    'protocol for traces, instead of `OTEL_EXPORTER_OTLP_PROTOCOL`',
  ],
  OTEL_SERVICE_NAME: [z.string().max(1024), 'customer-gateway', 'resource attribute `service.name` of all spans'],
  OTEL_RESOURCE_ATTRIBUTES: [
    z.string().max(65_536),
    'unset',
    'comma-separated list of resource attributes, `name=value`, with percent-encoded values',
  ],
  OTEL_TRACES_SAMPLER: [
    z.string().max(256),
    'parentbased_always_on',
    '`always_on`, `always_off`, `traceidratio`, or one of these after `parentbased_`: the decision of the caller in `traceparent` then applies',
  ],
  OTEL_TRACES_SAMPLER_ARG: [z.string().max(256), '1.0', 'share of traces that `traceidratio` samples, from 0 to 1'],
  OTEL_PROPAGATORS: [
    z.string().max(1024),
    'tracecontext,baggage',
    'whether the trace of `traceparent` is continued: with `tracecontext` in this comma-separated list; other names have no effect',
  ],
  OTEL_BSP_SCHEDULE_DELAY: [integer(1, 600_000), '5000', 'time in ms between two exports of spans'],
  OTEL_BSP_EXPORT_TIMEOUT: [integer(1, 600_000), '30000', 'time limit in ms of one export'],
  OTEL_BSP_MAX_QUEUE_SIZE: [
    integer(1, 1_000_000),
    '2048',
    'maximum number of spans that wait for their export; further spans are dropped',
  ],
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: [integer(1, 1_000_000), '512', 'maximum number of spans of one export'],
  OTEL_SDK_DISABLED: [z.string().max(16), 'false', '`true`: traces are off'],
} as const satisfies Record<string, readonly [z.ZodType, string, string, 'secret'?]>;

/** The settings of traces. */
export interface Tracing {
  /** Whether traces are exported. */
  readonly isOn: boolean;
  /** The full URL for traces. */
  readonly url: string;
  readonly urlSetting: 'OTEL_EXPORTER_OTLP_ENDPOINT' | 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT';
  /** Headers for the collector, as `name=value` pairs. */
  readonly headers: Secret | undefined;
  /** Resource attributes, `service.name` included. */
  readonly resource: Readonly<Record<string, string>>;
  readonly sampler: SamplerName;
  readonly samplerRatio: number;
  /** Whether the trace of `traceparent` is continued. */
  readonly continuesTraces: boolean;
  readonly batch: {
    readonly delayMs: number;
    readonly timeoutMs: number;
    readonly maxQueueSize: number;
    readonly maxBatchSize: number;
  };
}

type Given = { readonly [Name in keyof typeof tracingTable]?: z.output<(typeof tracingTable)[Name][0]> | undefined };

/**
 * Reads the settings of traces. Rules apply only if traces are on: many environments set these names for other programs.
 *
 * @param problems receives every problem.
 */
export function readTracing(set: Given, problems: string[]): Tracing {
  const endpoint = set.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? set.OTEL_EXPORTER_OTLP_ENDPOINT;
  const exporter = set.OTEL_TRACES_EXPORTER?.trim() ?? (endpoint === undefined ? 'none' : 'otlp');
  const isOn = set.OTEL_SDK_DISABLED?.trim().toLowerCase() !== 'true' && exporter !== 'none';
  const report = (isBroken: boolean, problem: string): void => {
    if (isOn && isBroken) problems.push(problem);
  };
  report(exporter !== 'otlp', 'OTEL_TRACES_EXPORTER must be otlp or none.');
  const protocolName =
    set.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL === undefined
      ? 'OTEL_EXPORTER_OTLP_PROTOCOL'
      : 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL';
  report(
    (set[protocolName] ?? protocol) !== protocol,
    `${protocolName} must be ${protocol}: collectors accept it on port 4318.`,
  );
  const urlSetting =
    set.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT === undefined
      ? 'OTEL_EXPORTER_OTLP_ENDPOINT'
      : 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT';
  report(
    !isCollectorUrl(endpoint ?? defaultEndpoint),
    `${urlSetting} must be an http or https URL without credentials.`,
  );
  const headers = [set.OTEL_EXPORTER_OTLP_HEADERS, set.OTEL_EXPORTER_OTLP_TRACES_HEADERS].filter(Boolean).join(',');
  report(
    pairsOf(set.OTEL_EXPORTER_OTLP_HEADERS ?? '', headerName) === undefined,
    'OTEL_EXPORTER_OTLP_HEADERS must be a comma-separated list of name=value.',
  );
  report(
    pairsOf(set.OTEL_EXPORTER_OTLP_TRACES_HEADERS ?? '', headerName) === undefined,
    'OTEL_EXPORTER_OTLP_TRACES_HEADERS must be a comma-separated list of name=value.',
  );
  const attributes = pairsOf(set.OTEL_RESOURCE_ATTRIBUTES ?? '', attributeName);
  report(attributes === undefined, 'OTEL_RESOURCE_ATTRIBUTES must be a comma-separated list of name=value.');
  const sampler = samplerNames.find((name) => name === (set.OTEL_TRACES_SAMPLER?.trim() ?? 'parentbased_always_on'));
  report(sampler === undefined, `OTEL_TRACES_SAMPLER must be one of ${samplerNames.join(', ')}.`);
  const ratio = set.OTEL_TRACES_SAMPLER_ARG?.trim() ?? '1';
  // `Number` also reads blanks and hexadecimal numbers.
  const samplerRatio = /^[\d.]+(e-?\d+)?$/i.test(ratio) ? Number(ratio) : Number.NaN;
  const isRatio = samplerRatio >= 0 && samplerRatio <= 1;
  report(sampler?.endsWith('ratio') === true && !isRatio, 'OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1.');
  const name = set.OTEL_SERVICE_NAME ?? attributes?.['service.name'] ?? 'customer-gateway';
  return {
    isOn,
    urlSetting,
    url: set.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? `${(endpoint ?? defaultEndpoint).replace(/\/$/, '')}/v1/traces`,
    headers: headers === '' ? undefined : new Secret(headers),
    resource: { ...attributes, 'service.name': name },
    sampler: sampler ?? 'parentbased_always_on',
    samplerRatio: isRatio ? samplerRatio : 1,
    continuesTraces: (set.OTEL_PROPAGATORS ?? 'tracecontext')
      .split(',')
      .some((propagator) => propagator.trim() === 'tracecontext'),
    batch: {
      delayMs: set.OTEL_BSP_SCHEDULE_DELAY ?? 5000,
      timeoutMs: set.OTEL_BSP_EXPORT_TIMEOUT ?? 30_000,
      maxQueueSize: set.OTEL_BSP_MAX_QUEUE_SIZE ?? 2048,
      maxBatchSize: set.OTEL_BSP_MAX_EXPORT_BATCH_SIZE ?? 512,
    },
  };
}

const protocol = 'http/protobuf';
const defaultEndpoint = 'http://localhost:4318';
const headerName = /^[\w!#$%&'*+.^`|~-]+$/;
/** What `node:http` accepts. */
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;
const attributeName = /^[^\s=,]+$/;

/** The headers of {@link Tracing}, by name. */
export function headersOf({ headers }: Tracing): Record<string, string> {
  return pairsOf(headers?.reveal() ?? '', headerName) ?? {};
}

/** A list of `name=value` with percent-encoded values. `undefined` if it is invalid. */
function pairsOf(list: string, name: RegExp): Record<string, string> | undefined {
  const pairs: Record<string, string> = {};
  for (const pair of list.split(',')) {
    if (pair.trim() === '') continue;
    const at = pair.indexOf('=');
    const key = pair.slice(0, at).trim();
    if (at < 1 || !name.test(key)) return undefined;
    try {
      pairs[key] = decodeURIComponent(pair.slice(at + 1).trim());
    } catch {
      return undefined;
    }
    if (name === headerName && !headerValue.test(pairs[key])) return undefined;
  }
  return pairs;
}

function isCollectorUrl(text: string): boolean {
  const url = URL.parse(text);
  return (
    url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' && url.hash === ''
  );
}
