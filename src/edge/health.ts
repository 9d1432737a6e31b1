import type { Plugin } from 'graphql-yoga';

/**
 * `/health`: alive. `/ready`: able to serve, which is over as soon as the gateway drains, and does not depend on the
 * provider. Neither says more than its status.
 */
export function useHealth({ isDraining }: { isDraining: () => boolean }): Plugin {
  return {
    onRequest({ request, fetchAPI, endResponse }) {
      const statuses: Partial<Record<string, number>> = { '/health': 200, '/ready': isDraining() ? 503 : 200 };
      const status = statuses[URL.parse(request.url)?.pathname ?? ''];
      if (status !== undefined) endResponse(new fetchAPI.Response(null, { status }));
    },
  };
}
