import type { Send } from './transport.ts';

/**
 * Calls `refresh` when a response is `UNAUTHENTICATED`, once for all concurrent operations, and sends each of them once more. This is safe
 * for writes, because nothing was executed.
 */
export function renewing(send: Send, refresh: () => Promise<unknown>): Send {
  /** The latest renewal of the session. */
  let renewal: Promise<unknown> | undefined;

  return async (document, variables, options) => {
    // Wait for a renewal in progress: the gateway would reject the old session.
    await renewal?.catch(() => undefined);
    const renewalAtStart = renewal;
    const answer = await send(document, variables, options);
    // Data beside the error means that a part was executed, for example by another subgraph of a router.
    if (answer.data || !answer.errors.some(({ code }) => code === 'UNAUTHENTICATED')) return answer;
    // Skip the renewal if another operation has started one since this one was sent.
    if (renewalAtStart === renewal) renewal = refresh();
    await renewal;
    return send(document, variables, options);
  };
}
