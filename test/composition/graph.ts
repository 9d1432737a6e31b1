import { readFileSync } from 'node:fs';
import { after } from 'node:test';
import { composeServices as composeApollo } from '@apollo/composition';
import { ApolloGateway, RemoteGraphQLDataSource } from '@apollo/gateway';
import { createGatewayRuntime, type GatewayPlugin } from '@graphql-hive/gateway-runtime';
import { unifiedGraphHandler, useQueryPlan } from '@graphql-hive/router-runtime';
import * as http from '@graphql-mesh/transport-http';
import { buildHTTPExecutor } from '@graphql-tools/executor-http';
import { stitchSchemas } from '@graphql-tools/stitch';
import { buildASTSchema, buildSchema, type DocumentNode, parse, visit } from 'graphql';
import { createYoga } from 'graphql-yoga';
import {
  addresses,
  createOrders,
  createTickets,
  type Order,
  ordersSdl,
  type SubgraphName,
  type Ticket,
  ticketsSdl,
} from '../../examples/bff/subgraphs.ts';
import { stitchingMerge } from '../../src/graphql/stitching.ts';
import { type AnswerError, type Harness, startHarness } from '../support.ts';
import { type Grafbase, hasGrafbase, startGrafbase } from './grafbase.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The three subgraphs, in the form that all composers accept. */
export const parts = [
  { name: 'customers', url: addresses.customers, typeDefs: parse(read('schema/subgraph.graphql')) },
  { name: 'orders', url: addresses.orders, typeDefs: parse(ordersSdl) },
  { name: 'tickets', url: addresses.tickets, typeDefs: parse(ticketsSdl) },
];

export interface RoutedAnswer {
  readonly data: Record<string, unknown> | null | undefined;
  readonly errors: readonly AnswerError[] | undefined;
  readonly extensions?: Readonly<Record<string, unknown>>;
}

export type Ask = (query: string, headers?: Readonly<Record<string, string>>) => Promise<RoutedAnswer>;
export type Send = (url: string, init: RequestInit) => Promise<Response>;

/** Routers with default settings, except that they forward the credentials of the caller. */
const openers = {
  '@apollo/gateway': openApollo,
  'Hive Gateway': (send) => openHive(send),
  'Hive Gateway with router-runtime': (send) => openHiveInRust(send),
  Grafbase: openGrafbase,
  'stitching, served by Yoga': openStitching,
} as const satisfies Record<string, (send: Send) => Promise<{ ask: Ask; close(): Promise<void> }>>;

export type RouterName = keyof typeof openers;
export const routerNames = (Object.keys(openers) as RouterName[]).filter((name) => name !== 'Grafbase' || hasGrafbase);

export interface Graph {
  readonly harness: Harness;
  /** Runs an operation through a router. */
  readonly ask: (router: RouterName, ...asked: Parameters<Ask>) => Promise<RoutedAnswer>;
}

export interface GraphOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly orders?: readonly Order[];
  readonly tickets?: readonly Ticket[];
  /** Intercepts the requests of the router to the customer gateway. */
  readonly onCustomersRequest?: (request: Request, next: (request: Request) => Promise<Response>) => Promise<Response>;
}

/** Runs a test with the customer gateway, the two subgraphs of the example and all routers, in process. */
export async function inGraph(options: GraphOptions, test: (graph: Graph) => Promise<void>): Promise<void> {
  const harness = await startHarness(options.environment);
  const customers = (request: Request) => harness.gateway.fetch(request);
  const { onCustomersRequest = (request, next) => next(request) } = options;
  const orders = createOrders(options.orders ?? []);
  const tickets = createTickets(options.tickets ?? []);
  const servers: Record<SubgraphName, (request: Request) => Response | Promise<Response>> = {
    customers: (request) => onCustomersRequest(request, customers),
    orders: (request) => orders.fetch(request),
    tickets: (request) => tickets.fetch(request),
  };
  const send: Send = async (url, { method, headers, body }) => {
    const name = (Object.keys(addresses) as SubgraphName[]).find((known) => addresses[known] === url);
    if (name === undefined) throw new Error(`There is no subgraph at ${url}`);
    const text = typeof body === 'string' ? body : await new Response(body ?? null).text();
    return servers[name](new Request(url, { method: method ?? 'GET', headers: { ...Object(headers) }, body: text }));
  };
  const opened = new Map<RouterName, ReturnType<(typeof openers)[RouterName]>>();
  try {
    await test({
      harness,
      async ask(router, ...asked) {
        const running = opened.get(router) ?? openers[router](send);
        opened.set(router, running);
        return (await running).ask(...asked);
      },
    });
  } finally {
    for (const running of opened.values()) await (await running).close();
    await harness.close();
  }
}

/** Opens `@apollo/gateway` over a supergraph composed by `@apollo/composition`. The result of its executor is the response of Apollo Server in production. */
export async function openApollo(send: Send) {
  const { supergraphSdl } = composeApollo(parts);
  if (supergraphSdl === undefined) throw new Error('@apollo/composition does not compose');
  const silent = () => undefined;
  const gateway = new ApolloGateway({
    supergraphSdl,
    logger: { debug: silent, info: silent, warn: silent, error: silent },
    buildService: ({ url = '' }) =>
      new RemoteGraphQLDataSource<Record<string, string>>({
        url,
        fetcher: send as unknown as NonNullable<RemoteGraphQLDataSource['fetcher']>,
        willSendRequest({ request, context }) {
          for (const [name, value] of Object.entries(context)) request.http?.headers.set(name, value);
        },
      }),
  });
  const { executor } = await gateway.load();
  if (executor === null) throw new Error('@apollo/gateway does not start');
  const ask: Ask = async (query, headers = {}) => {
    const context = {
      request: { query },
      document: parse(query),
      queryHash: query,
      operationName: null,
      context: headers,
      metrics: {},
      overallCachePolicy: {},
    };
    const result = await executor(context as unknown as Parameters<typeof executor>[0]);
    return JSON.parse(JSON.stringify(result)) as RoutedAnswer;
  };
  return { ask, close: () => gateway.stop() };
}

/** Opens Hive Gateway over the committed supergraph, composed by `@theguild/federation-composition`. */
export async function openHive(send: Send, options: Partial<Parameters<typeof createGatewayRuntime>[0]> = {}) {
  const router = createGatewayRuntime({
    supergraph: read('examples/bff/supergraph.graphql'),
    transports: { http },
    fetchAPI: { fetch: (url, init = {}) => send(url, init as RequestInit) as ReturnType<typeof fetch> },
    propagateHeaders: {
      fromClientToSubgraphs: ({ request }) => ({ authorization: request.headers.get('authorization') }),
    },
    logging: false,
    ...options,
  });
  return { ask: askHttp((request) => router.fetch(request)), close: async () => router.dispose() };
}

/** The request header that makes `router-runtime` return its query plan in the extensions. */
export const showPlan = 'x-show-plan';

/** Opens Hive Gateway with the query planner of Hive Router, which is a Rust addon, and the executor of its plans. */
export function openHiveInRust(send: Send, options: NonNullable<Parameters<typeof openHive>[1]> = {}) {
  // A cast, because the types of the package hold a copy of Hive Gateway's.
  const plans = useQueryPlan({ expose: (request) => request.headers.has(showPlan) }) as unknown as GatewayPlugin;
  const { plugins = () => [] } = options;
  return openHive(send, { ...options, unifiedGraphHandler, plugins: (context) => [plans, ...plugins(context)] });
}

/** Opens a stitching gateway over the stitching print, with the merge configuration of the package. */
async function openStitching(send: Send) {
  const executorOf = (endpoint: string) =>
    buildHTTPExecutor({
      endpoint,
      fetch: (url, init = {}) => send(url, init as RequestInit),
      headers: (request) => {
        const headers: Headers | undefined = request?.context?.request?.headers;
        const authorization = headers?.get('authorization');
        return authorization ? { authorization } : {};
      },
    });
  const schema = stitchSchemas({
    subschemas: [
      {
        schema: buildSchema(read('schema/stitching.graphql')),
        executor: executorOf(addresses.customers),
        merge: stitchingMerge(),
      },
      { schema: withoutDirectives(ordersSdl), executor: executorOf(addresses.orders) },
      { schema: withoutDirectives(ticketsSdl), executor: executorOf(addresses.tickets) },
    ],
  });
  const server = createYoga({ schema, logging: false });
  return { ask: askHttp((request) => server.fetch(request)), close: async () => undefined };
}

/** One process for all tests of a file, because its start takes a second. */
let grafbase: Promise<Grafbase> | undefined;
let sendOfGrafbase: Send | undefined;

/** Opens the gateway of Grafbase over the supergraph that its own composer makes of the print and the two subgraphs. */
async function openGrafbase(send: Send) {
  sendOfGrafbase = send;
  const sdls = { customers: read('schema/subgraph.graphql'), orders: ordersSdl, tickets: ticketsSdl };
  grafbase ??= startGrafbase(sdls, async (name, headers, body) => {
    if (sendOfGrafbase === undefined) throw new Error('No test is running.');
    return sendOfGrafbase(addresses[name as SubgraphName], { method: 'POST', headers, body });
  });
  const { url } = await grafbase;
  const ask = askHttp((request) => fetch(new Request(url, request)));
  return {
    ask,
    async close() {
      sendOfGrafbase = undefined;
    },
  };
}

after(async () => (await grafbase)?.close());

function withoutDirectives(sdl: string) {
  const dropped = ['Directive', 'SchemaExtension'];
  const document: DocumentNode = visit(parse(sdl), {
    enter: (node) => (dropped.includes(node.kind) ? null : undefined),
  });
  return buildASTSchema(document);
}

function askHttp(fetch: (request: Request) => Response | Promise<Response>): Ask {
  return async (query, headers = {}) => {
    const response = await fetch(
      new Request('http://router.test/graphql', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ query }),
      }),
    );
    return (await response.json()) as RoutedAnswer;
  };
}
