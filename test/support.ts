import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { loadConfig } from '../src/config/config.ts';
import { Secret } from '../src/config/secret.ts';
import type { Customer } from '../src/customers/customer.ts';
import { openGateway } from '../src/gateway.ts';
import type { NodeGateway } from '../src/http/handler.ts';
import type { MerchantAccess } from '../src/juspay/merchants.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../src/sandbox/server.ts';
import { createLog, type Metrics } from '../src/telemetry/log.ts';

/** A GraphQL response with its HTTP status and headers. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly data: Record<string, unknown> | null | undefined;
  readonly errors: readonly AnswerError[] | undefined;
}

export interface AnswerError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions: Readonly<Record<string, unknown>>;
}

/** A gateway with its sandbox, and shortcuts for requests and assertions. */
export interface Harness {
  readonly sandbox: Sandbox;
  readonly gateway: NodeGateway;
  /** All log lines of the gateway. */
  readonly log: readonly string[];
  ask(query: string, variables?: object, signal?: AbortSignal): Promise<Answer>;
  fetch(init: RequestInit & { path?: string }): Promise<Answer>;
  /** The calls that the provider received, as `METHOD target`. */
  upstream(): string[];
  close(): Promise<void>;
}

/** Starts a sandbox on a free port and a gateway that uses it. */
export async function startHarness(
  environment: Readonly<Record<string, string>> = {},
  options: SandboxOptions & { provider?: Partial<MerchantAccess>; metrics?: Metrics } = {},
): Promise<Harness> {
  const sandbox = await startSandbox(options);
  const log: string[] = [];
  const { url: baseUrl, merchantId, apiKey } = sandbox;
  const provider = { baseUrl, merchantId, apiKey: new Secret(apiKey), ...options.provider };
  const config = { ...loadConfig(environment), provider };
  const gateway = openGateway(config, { log: createLog('debug', (line) => log.push(line)), metrics: options.metrics });

  const send = async ({ path = '/graphql', ...init }: RequestInit & { path?: string }): Promise<Answer> => {
    const response = await gateway.fetch(new Request(`http://gateway.test${path}`, init));
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') ?? false;
    const body = isJson
      ? (JSON.parse(text) as Pick<Answer, 'data' | 'errors'>)
      : { data: undefined, errors: undefined };
    return { status: response.status, headers: response.headers, text, data: body.data, errors: body.errors };
  };
  return {
    sandbox,
    gateway,
    log,
    fetch: send,
    ask: (query, variables, signal) =>
      send({
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query, variables }),
        ...(signal && { signal }),
      }),
    upstream: () => sandbox.calls.map(({ method, target }) => `${method} ${target}`),
    async close() {
      await gateway.dispose();
      await sandbox.close();
    },
  };
}

/** Runs `test` with a new sandbox and gateway, and closes both. */
export async function withHarness(
  test: (harness: Harness) => Promise<void>,
  ...setup: Parameters<typeof startHarness>
): Promise<void> {
  const harness = await startHarness(...setup);
  try {
    await test(harness);
  } finally {
    await harness.close();
  }
}

/** Starts a TCP server, for responses that `node:http` cannot send. It calls `answer` for each received chunk. */
export async function startRaw(answer: (socket: Socket) => void): Promise<{ url: string; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', () => answer(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Nothing listens there. The port of a server that was closed can belong to another test. */
export const nowhere = 'http://127.0.0.1:1';

/** One response of a scripted provider. */
export interface ScriptedResponse {
  readonly status: number;
  /** Strings and buffers are sent unchanged, other values as JSON. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly afterMs?: number;
}

/** Runs `test` with a gateway and a provider whose responses come from `answer`, for responses that the sandbox cannot send. */
export async function withScriptedProvider(
  answer: (call: { readonly method: string; readonly target: string }) => ScriptedResponse,
  test: (harness: Harness, calls: readonly string[]) => Promise<void>,
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const calls: string[] = [];
  const server = createHttpServer((request, response) => {
    const { method = '', url: target = '' } = request;
    calls.push(`${method} ${target}`);
    const { status, body, headers, afterMs = 0 } = answer({ method, target });
    const content = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    request.resume().once('end', () => setTimeout(() => response.writeHead(status, headers).end(content), afterMs));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await withHarness((harness) => test(harness, calls), environment, { provider: { baseUrl } });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Settings of a gateway that accepts the tokens of {@link bearer}. */
export const jwtSettings = {
  AUTH_MODE: 'jwt',
  AUTH_JWT_SECRET: 'a shared secret of more than thirty-two bytes',
  AUTH_JWT_ISSUER: 'i',
  AUTH_JWT_AUDIENCE: 'a',
} as const;

/** Creates a JWT that is valid for ten minutes. It does not use the code of the gateway, which is under test. */
export function bearer(claims: object): string {
  const { AUTH_JWT_SECRET: secret, AUTH_JWT_ISSUER: iss, AUTH_JWT_AUDIENCE: aud } = jwtSettings;
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 600;
  const input = `${encode({ alg: 'HS256' })}.${encode({ iss, aud, sub: 's', exp, ...claims })}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

/** Sends an operation with the token of a caller that has these claims. */
export const askAs = (harness: Harness, claims: object, query: string, variables: object = {}): Promise<Answer> =>
  harness.fetch({
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${bearer(claims)}` },
    body: JSON.stringify({ query, variables }),
  });

/** The error codes of a response by path. */
export function codesOf({ errors = [] }: Answer): Record<string, unknown> {
  return Object.fromEntries(errors.map(({ path = [], extensions }) => [path.join('.'), extensions['code']]));
}

export const createOperation = `mutation ($input: CreateCustomerInput!) {
  createCustomer(input: $input) {
    __typename
    ... on CreateCustomerSuccess { origin customer { id objectReferenceId mobileNumber emailAddress firstName } }
    ... on CustomerError { code message retryable requestId }
    ... on CustomerValidationError { issues { path code } }
    ... on CustomerUpstreamError { retryAfterSeconds }
  }
}`;

export const updateOperation = `mutation ($id: ID!, $input: UpdateCustomerInput!) {
  updateCustomer(id: $id, input: $input) {
    __typename
    ... on UpdateCustomerSuccess { customer { id firstName mobileNumber } }
    ... on CustomerError { code message retryable requestId }
    ... on CustomerValidationError { issues { path code } }
    ... on CustomerUpstreamError { retryAfterSeconds }
  }
}`;

/** A customer with its identifiers only. */
export const storedCustomer: Customer = {
  id: 'cth_1',
  objectReferenceId: 'reference-1',
  firstName: null,
  lastName: null,
  emailAddress: null,
  mobileNumber: null,
  mobileCountryCode: null,
  dateCreated: null,
  lastUpdated: null,
};

/** Valid input of a create. */
export function newCustomer(reference: string, more: object = {}) {
  return { objectReferenceId: reference, mobileNumber: '9000000077', emailAddress: 'new@example.com', ...more };
}

/** The result of a mutation. */
export function resultOf(answer: Answer, field: 'createCustomer' | 'updateCustomer'): Record<string, unknown> {
  const result = answer.data?.[field];
  if (typeof result !== 'object' || result === null) throw new Error(`no ${field} in ${answer.text}`);
  return result as Record<string, unknown>;
}

/** The rows of the table between the comments `<!-- name -->` and `<!-- /name -->`. */
export function rowsOf(markdown: string, name: string): string[] {
  const table = new RegExp(`<!-- ${name} -->\\n([\\s\\S]*?)\\n<!-- /${name} -->`).exec(markdown)?.[1] ?? '';
  return table.split('\n').slice(2);
}
