import type { Ask, openHive, Send } from '../composition/graph.ts';
import { attempts, headersOfKey, type Mutation, replyOf } from './operations.ts';
import type { Program } from './programs.ts';
import { headersOf } from './world.ts';

type HiveOptions = NonNullable<Parameters<typeof openHive>[1]>;

const upstreamRetry = { maxRetries: attempts - 1, retryDelay: 1 };
const forwarded = ['authorization', 'idempotency-key'] as const;

/** As in the manual of Hive Gateway. Its repeats lack these headers: the executor removes them from the request when it sends it. */
const propagateHeaders: NonNullable<HiveOptions['propagateHeaders']> = {
  fromClientToSubgraphs: ({ request }) =>
    Object.fromEntries(forwarded.map((name) => [name, request.headers.get(name)])),
};

/** Sets the headers for each request to a subgraph, repeats included. */
const plugins: NonNullable<HiveOptions['plugins']> = () => [
  {
    onFetch({ executionRequest, options }) {
      const client = executionRequest?.context?.request.headers;
      const headers = forwarded.flatMap((name) => {
        const value = client?.get(name);
        return value == null ? [] : [[name, value]];
      });
      options.headers = { ...options.headers, ...Object.fromEntries(headers) };
    },
  },
];

/** Routers that send a request again after a lost answer, mutations included. Imported on use: they take seconds to load. */
const openers = {
  async hive(send: Send) {
    const { openHive } = await import('../composition/graph.ts');
    return openHive(send, { upstreamRetry, plugins });
  },
  async hiveWithPropagatedHeaders(send: Send) {
    const { openHive } = await import('../composition/graph.ts');
    return openHive(send, { upstreamRetry, propagateHeaders });
  },
  async hiveInRust(send: Send) {
    const { openHiveInRust } = await import('../composition/graph.ts');
    return openHiveInRust(send, { upstreamRetry, plugins });
  },
  async apollo(send: Send) {
    const { openApollo } = await import('../composition/graph.ts');
    return openApollo(retrying(send));
  },
} as const;

/** A router in front of one instance. Its clients send once. */
export function routed(name: string, version: () => string, router: keyof typeof openers): Program {
  return {
    name,
    version,
    async open({ networks }) {
      const url = `http://127.0.0.1:${networks[0]?.port}/graphql`;
      const { ask, close } = await openers[router]((_url, { method = 'POST', headers = {}, body = null }) =>
        fetch(url, { method, headers: { ...Object(headers) }, body }),
      );
      return {
        clientOf: (person) => ({
          mutate: (mutation) => askOnce(ask, mutation, headersOf(person)).catch(() => ({})),
        }),
        close,
      };
    },
  };
}

/** A data source of `@apollo/gateway` that repeats. */
function retrying(send: Send): Send {
  return async (url, init) => {
    for (let left = attempts - 1; ; left -= 1) {
      try {
        return await send(url, init);
      } catch (error) {
        if (left === 0) throw error;
      }
    }
  };
}

async function askOnce(ask: Ask, { kind, variables, key }: Mutation, headers: Readonly<Record<string, string>>) {
  const input = literalOf(variables.input);
  const field =
    kind === 'create' ? `createCustomer(input: ${input})` : `updateCustomer(id: "${variables.id}", input: ${input})`;
  const differing = kind === 'create' ? '... on CustomerAlreadyExistsError { differingFields }' : '';
  const query = `mutation { ${field} { __typename ${differing} ... on CustomerError { code } } }`;
  const { data, errors } = await ask(query, { ...headers, ...headersOfKey(key) });
  return replyOf({ data, errors });
}

const literalOf = (fields: object): string =>
  `{ ${Object.entries(fields)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
    .join(', ')} }`;
