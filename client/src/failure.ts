import { CustomerClientError } from './error.ts';

/**
 * Messages of type errors that are mistakes of a program: those of the JavaScript engines, and of `fetch` for arguments that it cannot take.
 * `fetch` rejects with a type error for a lost connection too, and the class, the message and nothing else tells the two apart.
 */
const mistake = / is [nu]|annot |nvalid |ed to [ep]/;

/** Whether `fetch` reported that there was no answer. */
export function isNetworkFailure(error: unknown): boolean {
  // By name: an error of another realm, such as a test environment's, is no instance of this one's classes.
  const { name, message } = Object(error) as Error;
  return /^(Fetch|Type)/.test(name) && !mistake.test(message);
}

/** Whether an error is a mistake of the program: a repeat cannot help. */
export function isMistake(error: unknown): boolean {
  return /^(Type|Reference|Range|Syntax|URI)Error$/.test((Object(error) as Error).name) && !isNetworkFailure(error);
}

/**
 * The error that a hook shows for whatever was thrown. A mistake of the program is shown as what it is, in the `cause`. All else that is not
 * the kit's came from the app's own `headers` or `refresh`: there was no session to send with, so nothing was done, and a repeat asks them again.
 */
export function customerErrorFrom(thrown: unknown): CustomerClientError {
  if (thrown instanceof CustomerClientError) return thrown;
  const error = isMistake(thrown)
    ? new CustomerClientError('UNEXPECTED', { retryable: false })
    : new CustomerClientError('UNAUTHENTICATED', { retryable: true });
  error.cause = thrown;
  return error;
}
