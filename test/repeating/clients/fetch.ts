import {
  attempts,
  type Client,
  type ClientOptions,
  documents,
  headersOfKey,
  type Mutation,
  type Reply,
  replyOf,
} from '../operations.ts';

/** `fetch` on connections that are kept alive. The person sends again after a failure of the network. */
export function openFetch(options: ClientOptions): Client {
  return {
    async mutate(mutation) {
      for (let left = attempts - 1; ; left -= 1) {
        try {
          return await post(options, mutation);
        } catch {
          if (left === 0) return {};
        }
      }
    },
  };
}

/** Sends a mutation once. @throws if there is no GraphQL answer. */
export async function post({ url, headers }: ClientOptions, { kind, variables, key }: Mutation): Promise<Reply> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers, ...headersOfKey(key) },
    body: JSON.stringify({ query: documents[kind], variables }),
  });
  return replyOf((await response.json()) as Parameters<typeof replyOf>[0]);
}
