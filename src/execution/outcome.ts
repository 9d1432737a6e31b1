import { type ASTNode, GraphQLError } from 'graphql';
import { GatewayError, RequestError } from '../errors.ts';
import { type Correlation, correlationOf, type Log } from '../telemetry/log.ts';

/** Maximum number of errors in one response. */
export const maxReportedErrors = 5;

/** An error in its public form, and the error that it stands for. */
export interface ClientError {
  readonly error: GraphQLError;
  readonly cause: GatewayError;
}

/**
 * Converts an error to its public form: message and extensions of a {@link GatewayError}, locations and path. Any other
 * error is logged with its cause and becomes "Unexpected error.".
 */
export function toClientError(
  error: unknown,
  { correlation, log }: { correlation: Correlation; log: Log },
): ClientError {
  const cause = findGatewayError(error) ?? unexpected(error);
  const located = error instanceof GraphQLError ? error : undefined;
  const origin = cause instanceof RequestError && cause.at instanceof GraphQLError ? cause.at : located;
  const publicError = new GraphQLError(cause.message, {
    path: located?.path ?? null,
    // No other keys are sent.
    extensions: { ...cause.extensions, requestId: correlation.requestId },
  });
  const locations = origin?.locations;
  return { error: locations ? Object.assign(publicError, { locations }) : publicError, cause };

  function unexpected(thrown: unknown): GatewayError {
    // The error of the executor has no name and code of the original error.
    const cause = (thrown instanceof GraphQLError && thrown.originalError) || thrown;
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
    if (isRoot && cause instanceof GraphQLError && cause.nodes?.length) {
      return new RequestError('BAD_USER_INPUT', { inDocument: true });
    }
  }
  return undefined;
}

/** `operationName` is unknown, or it is missing in a document with several operations. */
export function noSuchOperation(): RequestError {
  const message = 'The operation name is unknown, or it is missing in a document with several operations.';
  return new RequestError('BAD_USER_INPUT', { message, inDocument: true });
}

/** A mutation over GET: browsers and proxies may repeat it. */
export function mutationOverGet(): RequestError {
  return new RequestError('BAD_USER_INPUT', {
    status: 405,
    headers: { allow: 'POST' },
    message: 'Mutations must be sent with POST.',
  });
}

/** Gives an error the form of graphql-js, with the position of `node`. */
export function located(error: unknown, node?: ASTNode): GraphQLError {
  const cause =
    error instanceof Error ? error : new Error('A value was thrown that is not an error.', { cause: error });
  return new GraphQLError(cause.message, { nodes: node ?? null, originalError: cause });
}
