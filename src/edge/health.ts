import type { Plugin } from 'graphql-yoga';
import type { RequestState } from './http.ts';

/**
 * `/health`: alive. `/ready`: able to serve, which ends with the signal to stop, and does not depend on the
 * provider. Neither says more than its status.
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
