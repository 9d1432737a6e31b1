import { ClientError, GraphQLClient } from 'graphql-request';
import { attempts, type Client, type ClientOptions, documents, headersOfKey, replyOf } from '../operations.ts';

/** graphql-request over a `fetch` that repeats. It does not repeat when the body of an answer breaks off. */
export function openGraphqlRequest({ url, headers }: ClientOptions): Client {
  const client = new GraphQLClient(url, { headers, fetch: retryingFetch });
  return {
    async mutate({ kind, variables, key }) {
      try {
        const data = await client.request<object>(documents[kind], variables, headersOfKey(key));
        return replyOf({ data });
      } catch (error) {
        return error instanceof ClientError ? replyOf(error.response) : {};
      }
    },
  };
}

const retryingFetch: typeof fetch = async (...request) => {
  for (let left = attempts - 1; ; left -= 1) {
    try {
      const response = await fetch(...request);
      if (left === 0 || response.status < 500) return response;
    } catch (error) {
      if (left === 0) throw error;
    }
  }
};
