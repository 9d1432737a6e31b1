import type { Plugin } from 'graphql-yoga';
import type { RequestState } from './http.ts';

/**
/**
 * `/health`: the process is alive. `/ready`: it can serve, so it is not draining, and the key set that tokens are verified
 * with was read once. Neither depends on the provider, and neither answers with more than a status.
 */
export function useHealth({
  isReady,
}: {
  isReady: () => boolean;
}): Plugin<{ state: RequestState }, { state: RequestState }> {
  return {
    onRequest({ serverContext, fetchAPI, endResponse }) {
      const statuses: Partial<Record<string, number>> = { '/health': 200, '/ready': isReady() ? 200 : 503 };
      const status = statuses[serverContext.state.target.path];
      if (status !== undefined) endResponse(new fetchAPI.Response(null, { status }));
    },
  };
}
