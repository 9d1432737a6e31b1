import type { Send } from './transport.ts';

/**
 * Renews the session when an operation is answered `UNAUTHENTICATED`, once for all operations that wait for it, and sends each of them once
 * more. Nothing was executed by then.
 */
export function renewing(send: Send, refresh: () => Promise<unknown>): Send {
  /** The newest renewal of the session. */
  let renewal: Promise<unknown> | undefined;

  return async (document, variables, options) => {
    // An operation that is sent while the session is renewed would be refused.
    await renewal?.catch(() => undefined);
    const seen = renewal;
    const answer = await send(document, variables, options);
    // With data beside the error something was executed: a router asked more than one server.
    if (answer.data || !answer.errors.some(({ code }) => code === 'UNAUTHENTICATED')) return answer;
    // Another operation may have renewed the session since this one was sent.
    if (seen === renewal) renewal = refresh();
    await renewal;
    return send(document, variables, options);
  };
}
