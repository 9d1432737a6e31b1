import { CustomerClientError } from './error.ts';

/**
 * What a hook shows for whatever was thrown. What is not the kit's came from the app's own `headers` or `refresh`: there was no session to
 * send with, so nothing was done, and a repeat asks them again. The error itself is the `cause`.
 */
export function customerErrorFrom(thrown: unknown): CustomerClientError {
  if (thrown instanceof CustomerClientError) return thrown;
  const error = new CustomerClientError('UNAUTHENTICATED', { retryable: true });
  error.cause = thrown;
  return error;
}
