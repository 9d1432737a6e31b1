import type { Clock } from './clock.ts';
import { CustomerClientError } from './error.ts';
import type { Send } from './transport.ts';

/**
 * Cancels an operation after `timeoutMs`, or when the app's signal aborts. The time includes the call of `headers` and the response body.
 * Does not use `AbortSignal.any` and `AbortSignal.timeout`, which React Native lacks.
 */
export function timed(send: Send, timeoutMs: number, { setTimer }: Clock): Send {
  return (document, variables, { signal, idempotencyKey } = {}) =>
    new Promise((resolve, reject) => {
      const abort = new AbortController();
      const cancel = () => {
        abort.abort(signal?.reason);
        // In React Native, signals have no reason and there is no `DOMException`.
        const reason = signal?.reason ?? Object.assign(new Error('Aborted'), { name: 'AbortError' });
        reject(signal?.aborted ? reason : new CustomerClientError('TIMEOUT', { retryable: true }));
      };
      const stopTimer = setTimer(cancel, timeoutMs);
      signal?.addEventListener('abort', cancel);
      if (signal?.aborted) cancel();
      send(document, variables, { signal: abort.signal, idempotencyKey })
        .finally(() => {
          stopTimer();
          signal?.removeEventListener('abort', cancel);
        })
        .then(resolve, reject);
    });
}
