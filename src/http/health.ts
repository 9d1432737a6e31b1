import type { Plugin } from 'graphql-yoga';
import type { RequestState } from './state.ts';

/**
 * Serves `/health` and `/ready`. `/health` is 200 while the process runs. `/ready` is 200 if `isReady` returns `true`, else
 * 503. Responses have no body. Neither endpoint depends on the provider.
 */
export function useHealth({
  isReady,
}: {
  isReady: () => boolean;
}): Plugin<{ state: RequestState }, { state: RequestState }> {
  return {
    onRequest({ serverContext, fetchAPI, endResponse }) {
      const statuses: Partial<Record<string, number>> = { '/health': 200, '/ready': isReady() ? 200 : 503 };
      const status = statuses[serverContext.state.origin.target.path];
      if (status !== undefined) endResponse(new fetchAPI.Response(null, { status }));
    },
  };
}
