import { MutationObserver, QueryClient } from '@tanstack/react-query';
import type { Client, ClientOptions, Mutation, Reply } from '../operations.ts';
import { post } from './fetch.ts';

/** React Query with `retry: 3` on its mutations, as `useMutation` runs them. */
export function openReactQuery(options: ClientOptions): Client {
  const queryClient = new QueryClient({ defaultOptions: { mutations: { retry: 3, retryDelay: 1 } } });
  return {
    async mutate(mutation: Mutation): Promise<Reply> {
      const observer = new MutationObserver(queryClient, { mutationFn: (sent: Mutation) => post(options, sent) });
      try {
        return await observer.mutate(mutation);
      } catch {
        return {};
      }
    },
    close: () => queryClient.clear(),
  };
}
