import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { makeToken } from '../../src/cli/tokens.ts';
import { codes, type ErrorCode } from '../../src/errors.ts';
import { toClientError } from '../../src/execution/outcome.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { jwtSettings as auth, type Harness, rowsOf } from '../support.ts';
import { hasGrafbase } from './grafbase.ts';
import { type GraphOptions, inGraph, type RoutedAnswer, routerNames } from './graph.ts';

const readme = readFileSync(new URL('../../examples/bff/README.md', import.meta.url), 'utf8');

/** A federated operation in which the customer gateway returns a certain code. */
interface Case {
  readonly code: ErrorCode;
  readonly environment?: Readonly<Record<string, string>>;
  /** Id of the customer of the order. */
  readonly customer?: string;
  /** Operation to run. Default: read the customer of the order. */
  readonly operation?: string;
  readonly headers?: () => Promise<Record<string, string>>;
  readonly onCustomersRequest?: NonNullable<GraphOptions['onCustomersRequest']>;
  readonly before?: (harness: Harness) => unknown;
}

/** Changes the body of the router's request, to simulate an outdated or faulty router. */
function changingBody(change: (body: Record<string, unknown>) => object): NonNullable<Case['onCustomersRequest']> {
  return async (request, next) => {
    const body = (await request.json()) as Record<string, unknown>;
    return next(
      new Request(request.url, { method: 'POST', headers: request.headers, body: JSON.stringify(change(body)) }),
    );
  };
}

/** Responds with a masked error at the field of the customers. No request can cause it, so the response is built here. */
const unexpected: NonNullable<Case['onCustomersRequest']> = async (request) => {
  const { query } = (await request.json()) as { query: string };
  const field = query.includes('_entities') ? '_entities' : 'customers';
  const log = createLog('silent', () => undefined);
  const { error } = toClientError(new Error('a bug'), { correlation: { requestId: 'r-1' }, log });
  const { message, extensions } = error;
  return Response.json({ data: { [field]: [null] }, errors: [{ message, extensions, path: [field, 0] }] });
};

const result = '{ __typename ... on CustomerError { code message retryable requestId } }';
const create = (reference: string, email = 'new@example.com') =>
  `mutation { createCustomer(input: { objectReferenceId: "${reference}", mobileNumber: "9000000077", emailAddress: "${email}" }) ${result} }`;

const cases: readonly Case[] = [
  { code: 'BAD_USER_INPUT', customer: '..' },
  {
    code: 'FORBIDDEN',
    environment: auth,
    headers: async () => ({ authorization: `Bearer ${await makeToken(['--scope', 'customer:write'], auth)}` }),
  },
  {
    code: 'OPERATION_TOO_COMPLEX',
    operation: '{ orders { customer { firstName } } }',
    environment: { LIMIT_UPSTREAM_READS: '1' },
  },
  {
    code: 'CLIENT_AUTH_TOKEN_UNAVAILABLE',
    operation: '{ ticket(id: "1") { customer { clientAuthToken { token } } } }',
  },
  { code: 'RATE_LIMITED', customer: 'fault_429', environment: { OPERATION_TIMEOUT_MS: '500' } },
  { code: 'UPSTREAM_TIMEOUT', customer: 'fault_timeout', environment: { OPERATION_TIMEOUT_MS: '500' } },
  { code: 'UPSTREAM_UNAVAILABLE', customer: 'fault_503' },
  { code: 'UPSTREAM_REJECTED', customer: 'fault_rejected' },
  { code: 'UPSTREAM_MALFORMED', customer: 'fault_html' },
  { code: 'UPSTREAM_MISCONFIGURED', customer: 'fault_unauthorized' },
  { code: 'INTERNAL_SERVER_ERROR', onCustomersRequest: unexpected },
  { code: 'UNAUTHENTICATED', environment: auth },
  {
    code: 'RATE_LIMITED',
    environment: { RATE_LIMIT_PER_MINUTE: '1' },
    before: (harness) => harness.ask('{ __typename }'),
  },
  { code: 'OVERLOADED', before: (harness) => void harness.gateway.drain() },
  { code: 'OPERATION_TOO_COMPLEX', environment: { LIMIT_TOKENS: '5' } },
  {
    code: 'GRAPHQL_PARSE_FAILED',
    onCustomersRequest: changingBody((body) => ({ ...body, query: `${body['query']} }` })),
  },
  {
    code: 'GRAPHQL_VALIDATION_FAILED',
    onCustomersRequest: changingBody((body) => ({
      ...body,
      query: String(body['query']).replace('firstName', 'nickName'),
    })),
  },
  {
    code: 'PERSISTED_QUERY_NOT_FOUND',
    onCustomersRequest: changingBody(({ variables }) => ({ variables, documentId: 'sha256:none' })),
  },
  { code: 'PERSISTED_QUERY_ONLY', environment: { PERSISTED_ONLY: 'on' } },
  { code: 'VALIDATION_FAILED', operation: create('short') },
  { code: 'ALREADY_EXISTS', operation: create('customer-10002') },
  { code: 'NOT_FOUND', operation: `mutation { updateCustomer(id: "nobody", input: { firstName: "Ravi" }) ${result} }` },
  { code: 'OUTCOME_UNKNOWN', operation: create('fault_503_x1'), environment: { OPERATION_TIMEOUT_MS: '1000' } },
];

interface ReportedError {
  readonly message: string;
  readonly extensions: Readonly<Record<string, unknown>>;
}

/** The response of the customer gateway to the router. */
interface Sent {
  readonly status: number;
  readonly body: {
    readonly data?: Record<string, { code?: string } | null> | null;
    readonly errors?: readonly ReportedError[];
  };
}

/** How the customer gateway reports the failure. */
function kindOf({ body }: Sent): 'data' | 'error' | 'refusal' {
  if (body.errors === undefined) return 'data';
  return body.data === undefined ? 'refusal' : 'error';
}

/** The cell of the table: which part of the error the client of the router receives, and what the router adds. */
function cellOf(answer: RoutedAnswer, sent: Sent): string {
  const [reported] = sent.body.errors ?? [];
  if (reported === undefined) return isDeepStrictEqual(answer.data, sent.body.data) ? 'untouched' : 'changed';
  const [received] = answer.errors ?? [];
  if (received === undefined) return 'nothing';
  const names = Object.keys(reported.extensions);
  const kept = names.filter((name) => received.extensions[name] === reported.extensions[name]);
  const added = Object.keys(received.extensions).filter((name) => !names.includes(name));
  const isWhole = received.message === reported.message && kept.length === names.length;
  const what = isWhole ? 'whole' : `\`${received.message.trim()}\`, ${kept.includes('code') ? 'the code' : 'no code'}`;
  return what + added.map((name) => `, and \`${name}\``).join('');
}

/** Cells of Apollo Router and Cosmo Router, from their documentation, by kind of failure. These routers are not run. */
const documented = {
  data: ['untouched', 'untouched'],
  error: ['`Subgraph errors redacted`, no code', 'message, path and code below `extensions.errors`'],
  refusal: ['not documented', 'not documented'],
} as const;

const rows: string[] = [];

/** A row of the README without the cell of Grafbase where it does not run. Its cell is the fourth of the routers. */
function expected(row: string | undefined, first: number): string | undefined {
  return hasGrafbase
    ? row
    : row
        ?.split(' | ')
        .toSpliced(first + 3, 1)
        .join(' | ');
}

for (const [index, { code, ...setup }] of cases.entries()) {
  test(`${code} behind each router MUST match its row in the table`, async () => {
    let sent: Sent | undefined;
    const change = setup.onCustomersRequest ?? ((request, next) => next(request));
    const options: GraphOptions = {
      environment: setup.environment ?? {},
      orders: [
        { id: '1', total: '10 INR', customer: { id: setup.customer ?? 'cth_A1b2C3d4E5f6G7h8' } },
        { id: '2', total: '10 INR', customer: { id: 'cst_0123456789abcdef' } },
      ],
      tickets: [{ id: '1', subject: 'Hello', customer: { objectReferenceId: 'fault_no_token' } }],
      onCustomersRequest: async (request, next) => {
        const response = await change(request, next);
        sent = { status: response.status, body: (await response.clone().json()) as Sent['body'] };
        return response;
      },
    };
    await inGraph(options, async ({ harness, ask }) => {
      await setup.before?.(harness);
      const statuses = new Set<number>();
      const kinds = new Set<keyof typeof documented>();
      const cells: string[] = [];
      for (const router of routerNames) {
        const operation = setup.operation ?? '{ order(id: "1") { total customer { firstName } } }';
        const answer = await ask(router, operation, await setup.headers?.());
        assert.ok(sent, 'the router sent no request to the customer gateway');
        const [error] = sent.body.errors ?? [];
        assert.equal(error?.extensions['code'] ?? Object.values(sent.body.data ?? {})[0]?.code, code);
        kinds.add(kindOf(sent));
        statuses.add(sent.status);
        cells.push(cellOf(answer, sent));
        // The data of other subgraphs must be present.
        const order = answer.data?.['order'] as { total: string } | undefined;
        if (setup.operation === undefined) assert.equal(order?.total, '10 INR');
      }
      const [kind = 'error', ...others] = kinds;
      assert.deepEqual(others, []);
      const reported = kind === 'refusal' ? `refusal, ${[...statuses].toSorted().join(' or ')}` : kind;
      const row = `| ${[`\`${code}\``, reported, ...cells, ...documented[kind]].join(' | ')} |`;
      rows.push(row);
      assert.equal(expected(rowsOf(readme, 'errors')[index], 2), row);
    });
  });
}

test('the table of errors MUST have a row for each code, and no other rows', () => {
  assert.deepEqual(new Set(cases.map(({ code }) => code)), new Set(Object.keys(codes)));
  assert.equal(rowsOf(readme, 'errors').length, cases.length);
});

/** Operations with a missing or a failing customer. */
const customerCases: readonly [situation: string, operation: string][] = [
  ['`order.customer { id firstName }`, there is none', '{ order(id: "1") { customer { id firstName } } }'],
  [
    '`order.customer { id objectReferenceId }`, there is none',
    '{ order(id: "1") { customer { id objectReferenceId } } }',
  ],
  [
    '`ticket.customer { objectReferenceId firstName }`, there is none',
    '{ ticket(id: "1") { customer { objectReferenceId firstName } } }',
  ],
  ['`ticket.customer { id firstName }`, there is none', '{ ticket(id: "1") { customer { id firstName } } }'],
  ['`order.customer { id firstName lastName }`, it fails', '{ order(id: "2") { customer { id firstName lastName } } }'],
  ['`customer(id:) { id firstName }`, it fails', '{ customer(id: "fault_rejected") { id firstName } }'],
];

test('results with a missing or a failing customer MUST match the table', () =>
  inGraph(
    {
      orders: [
        { id: '1', total: '10 INR', customer: { id: 'none' } },
        { id: '2', total: '10 INR', customer: { id: 'fault_rejected' } },
      ],
      tickets: [{ id: '1', subject: 'Hello', customer: { objectReferenceId: 'none' } }],
    },
    async ({ ask }) => {
      const received: string[] = [];
      for (const [situation, operation] of customerCases) {
        const cells = [];
        for (const router of routerNames) {
          const { data, errors = [] } = await ask(router, operation);
          const root = Object.values(data ?? {})[0] as { customer?: unknown } | null;
          const customer = root !== null && 'customer' in root ? root.customer : root;
          const reported = errors.map(
            ({ path = [], extensions }) => `; \`${extensions['code']}\` at \`${path.join('.')}\``,
          );
          cells.push(`\`${JSON.stringify(customer)}\`${reported.join('')}`);
        }
        received.push(`| ${[situation, ...cells].join(' | ')} |`);
      }
      rows.push(...received);
      assert.deepEqual(
        rowsOf(readme, 'customers').map((row) => expected(row, 1)),
        received,
      );
    },
  ));

// Set `ROWS` to print the rows, for an update of the tables.
after(() => {
  if (process.env['ROWS']) console.log(rows.join('\n'));
});
