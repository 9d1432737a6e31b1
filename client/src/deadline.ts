import type { Clock } from './clock.ts';
import { CustomerClientError } from './error.ts';
import type { Send } from './transport.ts';

/**
 * Gives up an operation after `timeoutMs`, its headers and its last byte included, and when the app's own signal says so. It needs neither
 * `AbortSignal.any` nor `AbortSignal.timeout`: React Native has none of them.
 */
export function timed(send: Send, timeoutMs: number, { setTimer }: Clock): Send {
  return (document, variables, { signal } = {}) =>
    new Promise((resolve, reject) => {
      const abort = new AbortController();
      const giveUp = () => {
        abort.abort(signal?.reason);
        const late = new CustomerClientError('TIMEOUT', { retryable: true });
        reject(signal?.aborted ? (signal.reason ?? abortError()) : late);
      };
      const stopTimer = setTimer(giveUp, timeoutMs);
      signal?.addEventListener('abort', giveUp);
      if (signal?.aborted) giveUp();
      send(document, variables, abort)
        .finally(() => {
          stopTimer();
          signal?.removeEventListener('abort', giveUp);
        })
        .then(resolve, reject);
    });
}

/** Signals of React Native have no reason, and it has no `DOMException`. */
function abortError(): Error {
  return Object.assign(new Error('Aborted'), { name: 'AbortError' });
}
