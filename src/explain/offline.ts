import { performance } from 'node:perf_hooks';
import { scopes } from '../customers/access.ts';
import { never } from '../customers/cancellation.ts';
import { parseExactJson } from '../customers/exact-json.ts';
import { OperationRecord } from '../customers/record.ts';
import type { EngineOptions } from '../execution/engine.ts';
import { createLog } from '../telemetry/log.ts';
import { createExplainer } from './explainer.ts';
import type { Plan } from './explanation.ts';

/** The scopes that a caller of an offline plan can have. */
export const planScopes: readonly string[] = scopes.filter((scope) => scope !== 'gateway:explain');

export interface OfflineOperation {
  readonly query: string;
  readonly operationName: string | undefined;
  /** JSON. */
  readonly variables: string;
  readonly scopes: readonly string[];
  /** The customer that the caller is bound to. */
  readonly customer: string | undefined;
  readonly limits: EngineOptions['limits'] & { readonly upstreamReads: number };
}

/** Plans an operation without a server, a provider or a network. @returns the messages of the errors if it is refused. */
export async function planOffline(operation: OfflineOperation): Promise<Plan | readonly string[]> {
  const { query, operationName, limits, customer } = operation;
  const variables = readVariables(operation.variables);
  if (variables === undefined) return ['The variables are not a JSON object.'];
  const log = createLog('silent');
  const client = {
    merchantId: 'offline',
    server: undefined,
    pseudonyms: { of: () => '', ofCaller: () => '' },
    acquire() {},
    release() {},
    open: () => {
      throw new Error('A plan opens no client.');
    },
    hasRead: () => false,
  };
  const explained = createExplainer({
    limits,
    introspection: true,
    log,
    hasVersion: false,
    operations: {
      clientOf: () => client,
      inFlight: { acquire() {}, release() {} },
      timeoutMs: 60_000,
      maxReads: limits.upstreamReads,
      log,
      metrics: undefined,
    },
  })('plan');
  const state = {
    requestId: 'offline',
    startedAtMs: performance.now(),
    address: undefined,
    span: undefined,
    record: new OperationRecord(),
    use() {},
    caller: {
      name: 'offline',
      credentialKeys: [],
      scopes: new Set(scopes.filter((scope) => operation.scopes.includes(scope))),
      merchant: undefined,
      customers: customer === undefined ? ('any' as const) : [customer],
      denied: false,
      anyDocument: true,
    },
  };
  const request = { isGet: false, headers: { get: () => undefined }, cancellation: never };
  const answer = await explained.engine.run(
    { query, operationName, variables },
    {
      ...request,
      correlation: state,
      mediaType: 'application/json',
      requester: 'offline',
      createContext: ({ name }) => explained.openOperation(state, { ...request, name }),
    },
  );
  const { extensions, errors = [] } = JSON.parse(explained.explain(answer).body) as {
    extensions?: { explain: Plan };
    errors?: readonly { message: string; locations?: readonly { line: number; column: number }[] }[];
  };
  return (
    extensions?.explain ??
    errors.map(({ message, locations: [at] = [] }) => (at ? `${at.line}:${at.column} ${message}` : message))
  );
}

function readVariables(text: string): Record<string, unknown> | undefined {
  try {
    const value = parseExactJson(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
