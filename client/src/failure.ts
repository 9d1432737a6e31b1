import { CustomerClientError } from './error.ts';

/**
 * Messages of type errors that are programming errors: those of the JavaScript engines, and those of `fetch` for invalid arguments.
 * `fetch` also rejects with a type error when the network fails. Only the message distinguishes the two.
 */
const programmingError = / is [nu]|annot |nvalid |ed to [ep]/;

/** Whether `fetch` reported a network failure. */
export function isNetworkFailure(error: unknown): boolean {
  // Compare names: an error of another realm, such as a test environment's, is not an instance of this realm's classes.
  const { name, message } = Object(error) as Error;
  return /^(Fetch|Type)/.test(name) && !programmingError.test(message);
}

/** Whether an error is a programming error. A retry cannot help. */
function isProgrammingError(error: unknown): boolean {
  return /^(Type|Reference|Range|Syntax|URI)Error$/.test((Object(error) as Error).name) && !isNetworkFailure(error);
}

/**
 * Converts a thrown value into the error that a hook reports. A programming error becomes `UNEXPECTED`, with the thrown value as `cause`. Any
 * other value that the kit did not throw comes from the app's `headers` or `refresh`. It becomes a retryable `UNAUTHENTICATED`: nothing was
 * executed, and a retry calls these functions again.
 */
export function customerErrorFrom(thrown: unknown): CustomerClientError {
  if (thrown instanceof CustomerClientError) return thrown;
  const error = isProgrammingError(thrown)
    ? new CustomerClientError('UNEXPECTED', { retryable: false })
    : new CustomerClientError('UNAUTHENTICATED', { retryable: true });
  error.cause = thrown;
  return error;
}
