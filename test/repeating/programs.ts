import { balanced } from './balancers.ts';
import { openApollo3 } from './clients/apollo-3.ts';
import { openApollo4 } from './clients/apollo-4.ts';
import { openChromium } from './clients/chromium.ts';
import { openFetch } from './clients/fetch.ts';
import { openGraphqlRequest } from './clients/graphql-request.ts';
import { openKit } from './clients/kit.ts';
import { openReactQuery } from './clients/react-query.ts';
import { openUrql } from './clients/urql.ts';
import type { NetworkFault } from './network.ts';
import type { Client, ClientOptions } from './operations.ts';
import { routed } from './routers.ts';
import { versions } from './versions.ts';
import { headersOf, type World } from './world.ts';

/** A program that repeats requests. */
export interface Program {
  readonly name: string;
  version(): string;
  /** Instances of the gateway. Default 1. */
  readonly instances?: number;
  /** Number of operations that run at the same time. Default 24. */
  readonly lanes?: number;
  /** The share of the usual number of operations. Default 1. */
  readonly scale?: number;
  /** Whether the program chooses the keys. */
  readonly hasOwnKeys?: boolean;
  /** What the network does. Default: each fault. */
  readonly networkFaults?: readonly NetworkFault[];
  /** Opens the program in front of the networks of the world. */
  open(world: World): Promise<OpenProgram> | OpenProgram;
}

export interface OpenProgram {
  clientOf(person: number): Client;
  close(): Promise<void>;
}

/** A program in the process of each person. */
function inApp(
  name: string,
  version: () => string,
  open: (options: ClientOptions) => Client,
  networkFaults?: readonly NetworkFault[],
): Program {
  return {
    name,
    version,
    ...(networkFaults && { networkFaults }),
    open(world) {
      const clients = new Map<number, Client>();
      const url = `http://127.0.0.1:${world.networks[0]?.port}/graphql`;
      return {
        clientOf(person) {
          const client = clients.get(person) ?? open({ url, headers: headersOf(person) });
          clients.set(person, client);
          return client;
        },
        async close() {
          for (const client of clients.values()) await client.close?.();
        },
      };
    },
  };
}

/** A program that runs for comparison. */
const scaled = (scale: number, program: Program): Program => ({ ...program, scale });

/** By their names on the command line. */
const table = {
  'apollo-4': inApp('Apollo Client 4, `RetryLink`', versions.package('@apollo/client'), openApollo4),
  'apollo-3': inApp('Apollo Client 3, `RetryLink`', versions.package('apollo-client-3'), openApollo3),
  urql: inApp('urql, `retryExchange`', versions.package('@urql/core'), openUrql),
  'react-query': inApp(
    'React Query, `retry: 3` on mutations',
    versions.package('@tanstack/react-query'),
    openReactQuery,
  ),
  'graphql-request': inApp(
    'graphql-request, a `fetch` that repeats',
    versions.package('graphql-request'),
    openGraphqlRequest,
  ),
  fetch: inApp('`fetch`, sent again by the person, connections that close', versions.node, openFetch, [
    'close',
    'reset',
  ]),
  chromium: {
    name: '`fetch` in Chromium, which sends again on connections that close',
    version: versions.chromium,
    open: openChromium,
  },
  kit: inApp('`juspay-customer-client`, sent again by the person', () => 'this version', openKit),
  checkout: {
    name: 'the example checkout in Chromium, double clicks',
    version: versions.chromium,
    lanes: 8,
    hasOwnKeys: true,
    // Needs `dist/`.
    open: async (world) => (await import('./checkout.ts')).openCheckout(world),
  },
  'nginx-once': scaled(
    0.25,
    balanced('nginx over two instances, without `non_idempotent`', versions.nginx, 'nginxOnce'),
  ),
  nginx: balanced('nginx over two instances, `proxy_next_upstream … non_idempotent`', versions.nginx, 'nginx'),
  haproxy: balanced('HAProxy over two instances, `retry-on all-retryable-errors`', versions.haproxy, 'haproxy'),
  hive: routed('Hive Gateway, `upstreamRetry`', versions.composition('@graphql-hive/gateway-runtime'), 'hive'),
  'hive-propagate': scaled(
    0.25,
    routed(
      'Hive Gateway, `upstreamRetry` and `propagateHeaders`',
      versions.composition('@graphql-hive/gateway-runtime'),
      'hiveWithPropagatedHeaders',
    ),
  ),
  'hive-rust': routed(
    'Hive Gateway with router-runtime, `upstreamRetry`',
    versions.composition('@graphql-hive/router-runtime'),
    'hiveInRust',
  ),
  'apollo-gateway': routed(
    '@apollo/gateway, a data source that repeats',
    versions.composition('@apollo/gateway'),
    'apollo',
  ),
} as const satisfies Record<string, Program>;

export type ProgramName = keyof typeof table;
export const programs: Readonly<Record<ProgramName, Program>> = table;
export const programNames = Object.keys(table) as ProgramName[];
