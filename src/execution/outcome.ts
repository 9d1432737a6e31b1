import { GraphQLError } from 'graphql';
import { type ErrorCode, GatewayError, RequestError } from '../errors.ts';
import { type Correlation, correlationOf, type Log } from '../telemetry/log.ts';

/** The `extensions` of an error that clients receive. No other keys are sent. */
export interface ClientExtensions {
  code: ErrorCode;
  retryable: boolean;
  requestId: string;
  retryAfterSeconds?: number;
}

/** Maximum number of errors in one response. */
export const maxReportedErrors = 5;

/**
 * Converts an error to its public form: message and extensions of a {@link GatewayError}, locations and path. Any other
 * error is logged with its cause and becomes "Unexpected error.".
 *
 * @param executed whether the operation was executed. If so, the HTTP status is 200.
 */
export function toClientError(
  error: unknown,
  { correlation, executed, log }: { correlation: Correlation; executed: boolean; log: Log },
): GraphQLError {
  const gatewayError = findGatewayError(error) ?? unexpected(error);
  const extensions: ClientExtensions & { http?: object } = {
    ...gatewayError.extensions,
    requestId: correlation.requestId,
  };
  if (!executed) extensions.http = httpOf(gatewayError);
  const located = error instanceof GraphQLError ? error : undefined;
  const requestError = gatewayError instanceof RequestError ? gatewayError : undefined;
  const origin = requestError?.at instanceof GraphQLError ? requestError.at : located;
  return new GraphQLError(gatewayError.message, {
    nodes: origin?.nodes ?? null,
    source: origin?.source ?? null,
    positions: origin?.positions ?? null,
    path: located?.path ?? null,
    extensions: { ...extensions },
  });

  function unexpected(cause: unknown): GatewayError {
    log.error('unexpected error', { ...correlationOf(correlation), cause });
    return new GatewayError('INTERNAL_SERVER_ERROR');
  }
}

/** Converts an error of a request that did not reach GraphQL. */
export function toRequestError(
  error: unknown,
  { correlation, log }: { correlation: Correlation; log: Log },
): RequestError {
  if (error instanceof RequestError) return error;
  log.error('unexpected error', { ...correlationOf(correlation), cause: error });
  return new RequestError('INTERNAL_SERVER_ERROR', { status: 500 });
}

/** The response body for a request that was rejected before it reached GraphQL. */
export function errorBody(error: GatewayError, requestId: string): string {
  return JSON.stringify({ errors: [{ message: error.message, extensions: { ...error.extensions, requestId } }] });
}

function findGatewayError(error: unknown): GatewayError | undefined {
  for (let cause = error; cause instanceof Error; cause = (cause as { originalError?: unknown }).originalError) {
    if (cause instanceof GatewayError) return cause;
    // An error of graphql-js with nodes is about an argument at run time. Its message quotes the value, so it is replaced.
    const isRoot = !(cause as { originalError?: unknown }).originalError;
    if (isRoot && cause instanceof GraphQLError && cause.nodes?.length)
      return statusError(cause) ?? new RequestError('BAD_USER_INPUT', { inDocument: true });
    if (isRoot && cause instanceof GraphQLError) return statusError(cause);
  }
  return undefined;
}

/** Converts an error of Yoga about the request. Such an error has an HTTP status and no code. */
function statusError(error: GraphQLError): RequestError | undefined {
  const { status, headers } = (error.extensions['http'] ?? {}) as { status?: number; headers?: Record<string, string> };
  if (status === undefined || status >= 500) return undefined;
  if (status === 405) {
    return new RequestError('BAD_USER_INPUT', {
      status,
      ...(headers && { headers }),
      message: 'Mutations must be sent with POST.',
    });
  }
  return noSuchOperation();
}

/** `operationName` is unknown, or it is missing in a document with several operations. */
export function noSuchOperation(): RequestError {
  const message = 'The operation name is unknown, or it is missing in a document with several operations.';
  return new RequestError('BAD_USER_INPUT', { message, inDocument: true });
}

/** With `spec`, Yoga sends status 200 to clients that accept only `application/json`, as the GraphQL-over-HTTP specification says. */
function httpOf(error: GatewayError): object {
  if (!(error instanceof RequestError)) return { status: 500 };
  const { status, headers } = error;
  return { status, headers, spec: error.inDocument };
}
