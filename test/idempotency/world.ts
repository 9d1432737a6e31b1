import { request } from 'node:http';
import type { TestContext } from 'node:test';
import { loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { openGateway } from '../../src/gateway.ts';
import { startServer } from '../../src/http/server.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { bearer, createOperation, jwtSettings, newCustomer, updateOperation } from '../support.ts';

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body without the ids of the request. */
  readonly body: Record<string, unknown>;
}

export interface Sent {
  /** The instance that gets the request. Default 0. */
  readonly instance?: number;
  /** The header `Idempotency-Key`. */
  readonly key?: string;
  readonly claims?: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Instances of the gateway in front of one sandbox. */
export interface World {
  readonly sandbox: Sandbox;
  readonly log: readonly string[];
  send(query: string, variables: object, sent?: Sent): Promise<Reply>;
  /** Calls of the provider that write. */
  posts(): number;
  replays(): Promise<number>;
  /** The gauge of the fallback. */
  fallback(): Promise<number>;
  /** Waits for a line of the log. */
  logged(message: string): Promise<void>;
}

/** The two ways that serve a request: a plain POST, or one with an origin, which passes through Yoga. */
export const doors = { plain: {}, yoga: { origin: 'http://localhost:1' } } as const;

export async function openWorld(
  context: TestContext,
  {
    instances = 1,
    environment = {},
    apiKeys = [],
    other,
  }: {
    instances?: number;
    environment?: Record<string, string>;
    apiKeys?: readonly (readonly [string, string?])[];
    /** The provider of the second merchant, "other". */
    other?: Sandbox;
  } = {},
): Promise<World> {
  const sandbox = await startSandbox();
  context.after(() => sandbox.close());
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const log = createLog('debug', (line) => {
    lines.push(line);
    for (const check of waiting) check();
  });
  const metrics = createMetrics('test');
  const ports = await Promise.all(
    Array.from({ length: instances }, async (_, index) => {
      const [apiKey = sandbox.apiKey, older] = apiKeys[index] ?? [];
      const config = {
        ...loadConfig({ ...jwtSettings, CORS_ORIGINS: 'http://localhost:1', ...environment }),
        provider: {
          baseUrl: sandbox.url,
          merchantId: sandbox.merchantId,
          apiKey: new Secret(apiKey),
          ...(older !== undefined && { olderApiKey: new Secret(older) }),
        },
        merchants: other ? [{ baseUrl: other.url, merchantId: 'other', apiKey: new Secret(other.apiKey) }] : [],
      };
      const gateway = openGateway(config, { log, metrics });
      const server = await startServer(gateway, { host: '127.0.0.1', port: 0 });
      context.after(async () => {
        await server.stop(0);
        await gateway.dispose();
      });
      return Number(new URL(server.url).port);
    }),
  );

  return {
    sandbox,
    log: lines,
    posts: () => sandbox.calls.filter(({ method }) => method === 'POST').length,
    async replays() {
      const [, count = '0'] =
        /^customer_gateway_idempotent_replays_total\{.*\} (\d+)$/m.exec(await metrics.read()) ?? [];
      return Number(count);
    },
    fallback: async () => Number(/^customer_gateway_idempotency_fallback (\d)$/m.exec(await metrics.read())?.[1]),
    async logged(message) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const check = () => lines.some((line) => line.includes(message)) && resolve();
      waiting.add(check);
      check();
      await promise;
      waiting.delete(check);
    },
    send(query, variables, { instance = 0, key, claims = {}, headers = {}, signal } = {}) {
      const { promise, resolve, reject } = Promise.withResolvers<Reply>();
      const body = JSON.stringify({ query, variables });
      const sending = request({
        host: '127.0.0.1',
        port: ports[instance % instances],
        path: '/graphql',
        method: 'POST',
        agent: false,
        ...(signal && { signal }),
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          authorization: `Bearer ${bearer({ scope: allScopes, ...claims })}`,
          ...(key !== undefined && { 'idempotency-key': key }),
          ...headers,
        },
      });
      sending.on('error', reject).on('response', async (response) => {
        try {
          let text = '';
          for await (const chunk of response) text += String(chunk);
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: withoutIds(text) });
        } catch (error) {
          reject(error as Error);
        }
      });
      sending.end(body);
      return promise;
    },
  };
}

const allScopes = 'customer:any customer:read customer:write customer:token gateway:explain';

function withoutIds(text: string): Record<string, unknown> {
  return JSON.parse(text, (name, value: unknown) => (name === 'requestId' ? undefined : value)) as never;
}

export const createOf = (reference: string, more: object = {}) =>
  [createOperation, { input: newCustomer(reference, more) }] as const;
export const updateOf = (id: string, input: object) => [updateOperation, { id, input }] as const;

/** The result of the only field. */
export function resultOf({ body }: Reply): Record<string, unknown> {
  const [result] = Object.values((body['data'] ?? {}) as Record<string, Record<string, unknown>>);
  return result ?? {};
}

export function codeOf({ body }: Reply): unknown {
  const [error] = (body['errors'] ?? []) as { extensions: Record<string, unknown> }[];
  return error?.extensions['code'];
}
