import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span as the collector received it. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root span. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: 'INTERNAL' | 'SERVER' | 'CLIENT' | 'OTHER';
  readonly status: 'UNSET' | 'OK' | 'ERROR';
  readonly statusMessage: string;
  readonly durationMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: number;
  readonly links: number;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly scope: string;
}

/** An OpenTelemetry collector that receives traces by OTLP over HTTP, as protobuf. */
export interface Collector {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** All received bytes, for searches. */
  readonly bytes: () => string;
  readonly requests: readonly { readonly url: string; readonly headers: Readonly<Record<string, unknown>> }[];
  /** Resolves when this number of spans was received. */
  received(count: number): Promise<readonly ReceivedSpan[]>;
  close(): Promise<void>;
}

/** @param respond the status of each response; `undefined` leaves the request without a response. */
export async function startCollector(respond: () => number | undefined = () => 200): Promise<Collector> {
  const spans: ReceivedSpan[] = [];
  const bodies: Buffer[] = [];
  const requests: { url: string; headers: Record<string, unknown> }[] = [];
  const waiting = new Set<() => void>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      requests.push({ url: request.url ?? '', headers: request.headers });
      const status = respond();
      if (status === 200) {
        bodies.push(body);
        spans.push(...spansOf(body));
      }
      if (status !== undefined) response.writeHead(status, { 'content-type': 'application/x-protobuf' }).end();
      for (const look of waiting) look();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    requests,
    bytes: () => Buffer.concat(bodies).toString('latin1'),
    received: (count) =>
      new Promise((resolve) => {
        const look = () => {
          if (spans.length < count) return;
          waiting.delete(look);
          resolve(spans);
        };
        waiting.add(look);
        look();
      }),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The fields of a protobuf message by number. */
class Message {
  readonly #fields = new Map<number, (bigint | Buffer)[]>();

  constructor(bytes: Buffer) {
    let at = 0;
    const varint = () => {
      let value = 0n;
      for (let shift = 0n; ; shift += 7n) {
        const byte = bytes.readUInt8(at);
        at += 1;
        value |= BigInt(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
      }
    };
    const take = (count: number) => {
      at += count;
      return bytes.subarray(at - count, at);
    };
    while (at < bytes.length) {
      const key = Number(varint());
      const type = key & 7;
      const value = type === 0 ? varint() : take(type === 1 ? 8 : type === 5 ? 4 : Number(varint()));
      const known = this.#fields.get(key >> 3) ?? [];
      known.push(value);
      this.#fields.set(key >> 3, known);
    }
  }

  has(field: number): boolean {
    return this.#fields.has(field);
  }

  all(field: number): Message[] {
    return (this.#fields.get(field) ?? []).map((value) => new Message(value as Buffer));
  }

  bytes(field: number): Buffer {
    return (this.#fields.get(field)?.[0] as Buffer | undefined) ?? Buffer.alloc(0);
  }

  text(field: number): string {
    return this.bytes(field).toString();
  }

  int(field: number): number {
    return Number(BigInt.asIntN(64, (this.#fields.get(field)?.[0] as bigint | undefined) ?? 0n));
  }
}

const kinds = ['OTHER', 'INTERNAL', 'SERVER', 'CLIENT'] as const;
const statuses = ['UNSET', 'OK', 'ERROR'] as const;

/** @see opentelemetry/proto/collector/trace/v1/trace_service.proto, `ExportTraceServiceRequest` */
function spansOf(body: Buffer): ReceivedSpan[] {
  return new Message(body).all(1).flatMap((resourceSpans) => {
    const [resource] = resourceSpans.all(1);
    const resourceAttributes = resource ? attributesOf(resource.all(1)) : {};
    return resourceSpans.all(2).flatMap((scopeSpans) => {
      const scope = scopeSpans.all(1)[0]?.text(1) ?? '';
      return scopeSpans.all(2).map((span): ReceivedSpan => {
        const [status] = span.all(15);
        return {
          traceId: span.bytes(1).toString('hex'),
          spanId: span.bytes(2).toString('hex'),
          parentSpanId: span.bytes(4).toString('hex'),
          traceState: span.text(3),
          name: span.text(5),
          kind: kinds[span.int(6)] ?? 'OTHER',
          status: statuses[status?.int(3) ?? 0] ?? 'UNSET',
          statusMessage: status?.text(2) ?? '',
          durationMs: Number(span.bytes(8).readBigUInt64LE() - span.bytes(7).readBigUInt64LE()) / 1e6,
          attributes: attributesOf(span.all(9)),
          events: span.all(11).length,
          links: span.all(13).length,
          resource: resourceAttributes,
          scope,
        };
      });
    });
  });
}

function attributesOf(pairs: readonly Message[]): Record<string, unknown> {
  return Object.fromEntries(pairs.map((pair) => [pair.text(1), readValue(pair.all(2)[0])]));
}

function readValue(value: Message | undefined): unknown {
  if (value?.has(1)) return value.text(1);
  if (value?.has(2)) return value.int(2) === 1;
  if (value?.has(3)) return value.int(3);
  if (value?.has(4)) return value.bytes(4).readDoubleLE();
  return value?.all(5)[0]?.all(1).map(readValue);
}
