import { GraphQLError } from 'graphql';
import { type ErrorCode, GatewayError, RequestError } from '../errors.ts';
import { type Correlation, correlationOf, type Log } from '../telemetry/log.ts';

/** How an error leaves the gateway: these and nothing else stand in `extensions`. */
export interface ClientExtensions {
  code: ErrorCode;
  retryable: boolean;
  requestId: string;
  retryAfterSeconds?: number;
}

/** More than this many errors of one document or one set of variables tell nobody anything. */
export const maxReportedErrors = 5;

/**
 * The error as its reader sees it: message and extensions of a {@link GatewayError}, the place in the document and in
 * the answer; or "Unexpected error." for whatever was not meant to be seen, which goes to the log with its cause.
 *
 * @param executed whether there is data beside it: an operation that was executed answers 200.
 */
export function toClientError(
  error: unknown,
  { correlation, executed, log }: { correlation: Correlation; executed: boolean; log: Log },
): GraphQLError {
  const gatewayError = recognise(error) ?? unexpected(error);
  const extensions: ClientExtensions & { http?: object } = {
    ...gatewayError.extensions,
    requestId: correlation.requestId,
  };
  if (!executed) extensions.http = httpOf(gatewayError);
  const located = error instanceof GraphQLError ? error : undefined;
  const edge = gatewayError instanceof RequestError ? gatewayError : undefined;
  const place = edge?.at instanceof GraphQLError ? edge.at : located;
  return new GraphQLError(gatewayError.message, {
    nodes: place?.nodes ?? null,
    source: place?.source ?? null,
    positions: place?.positions ?? null,
    path: located?.path ?? null,
    extensions: { ...extensions },
  });

  function unexpected(cause: unknown): GatewayError {
    log.error('unexpected error', { ...correlationOf(correlation), cause });
    return new GatewayError('INTERNAL_SERVER_ERROR');
  }
}

/** What is answered to a request that never reached GraphQL. */
export function toRequestError(
  error: unknown,
  { correlation, log }: { correlation: Correlation; log: Log },
): RequestError {
  if (error instanceof RequestError) return error;
  log.error('unexpected error', { ...correlationOf(correlation), cause: error });
  return new RequestError('INTERNAL_SERVER_ERROR', { status: 500 });
}

/** The body of an answer that was refused before it reached GraphQL. */
export function errorBody(error: GatewayError, requestId: string): string {
  return JSON.stringify({ errors: [{ message: error.message, extensions: { ...error.extensions, requestId } }] });
}

function recognise(error: unknown): GatewayError | undefined {
  for (let cause = error; cause instanceof Error; cause = (cause as { originalError?: unknown }).originalError) {
    if (cause instanceof GatewayError) return cause;
    // What graphql-js finds wrong with an argument at run time quotes it; such errors point into the document.
    const isRoot = !(cause as { originalError?: unknown }).originalError;
    if (isRoot && cause instanceof GraphQLError && cause.nodes?.length)
      return statusError(cause) ?? new RequestError('BAD_USER_INPUT', { inDocument: true });
    if (isRoot && cause instanceof GraphQLError) return statusError(cause);
  }
  return undefined;
}

/** Errors of the server library about the request itself: it gives them a status, and no code of ours. */
function statusError(error: GraphQLError): RequestError | undefined {
  const { status, headers } = (error.extensions['http'] ?? {}) as { status?: number; headers?: Record<string, string> };
  if (status === undefined || status >= 500) return undefined;
  if (status === 405) {
    return new RequestError('BAD_USER_INPUT', {
      status,
      ...(headers && { headers }),
      message: 'Mutations are sent with POST.',
    });
  }
  return noSuchOperation();
}

/** `operationName` is missing where it is needed, or names nothing. */
export function noSuchOperation(): RequestError {
  const message = 'The document holds no operation of this name, or several and none is named.';
  return new RequestError('BAD_USER_INPUT', { message, inDocument: true });
}

/** `spec`: who accepts `application/json` only gets 200 then, as the GraphQL-over-HTTP specification asks. */
function httpOf(error: GatewayError): object {
  if (!(error instanceof RequestError)) return { status: 500 };
  const { status, headers } = error;
  return { status, headers, spec: error.inDocument };
}
