import { openApollo3 } from './clients/apollo-3.ts';
import { openApollo4 } from './clients/apollo-4.ts';
import { openFetch } from './clients/fetch.ts';
import { openGraphqlRequest } from './clients/graphql-request.ts';
import { openKit } from './clients/kit.ts';
import { openReactQuery } from './clients/react-query.ts';
import { openUrql } from './clients/urql.ts';
import type { NetworkFault } from './network.ts';
import type { Client, ClientOptions } from './operations.ts';
import { headersOf, type World } from './world.ts';

/** A program that repeats requests. */
export interface Program {
  readonly name: string;
  /** Instances of the gateway. Default 1. */
  readonly instances?: number;
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
  open: (options: ClientOptions) => Client,
  networkFaults?: readonly NetworkFault[],
): Program {
  return {
    name,
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

/** By their names on the command line. */
export const programs = {
  'apollo-4': inApp('Apollo Client 4, `RetryLink`', openApollo4),
  'apollo-3': inApp('Apollo Client 3, `RetryLink`', openApollo3),
  urql: inApp('urql, `retryExchange`', openUrql),
  'react-query': inApp('React Query, `retry: 3` on mutations', openReactQuery),
  'graphql-request': inApp('graphql-request, a `fetch` that repeats', openGraphqlRequest),
  fetch: inApp('`fetch`, sent again by the person, connections that close', openFetch, ['close', 'reset']),
  kit: inApp('`juspay-customer-client`, sent again by the person', openKit),
} as const satisfies Record<string, Program>;

export type ProgramName = keyof typeof programs;
export const programNames = Object.keys(programs) as ProgramName[];
