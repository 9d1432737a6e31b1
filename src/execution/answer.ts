import type { GraphQLError } from 'graphql';
import { type GatewayError, RequestError } from '../errors.ts';
import type { Correlation, Log, OperationType, Outcome } from '../telemetry/log.ts';
import { toClientError } from './outcome.ts';

/** A complete response, without the headers that every response of the gateway has. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON. */
  readonly body: string;
  /** Code of the first error, or `OK`. */
  readonly outcome: Outcome;
  /** `undefined` if the document was refused. */
  readonly operationType: OperationType | undefined;
}

/** The properties of a request that determine the form of its answer. */
export interface AnswerRequest {
  readonly correlation: Correlation;
  readonly mediaType: 'application/json' | 'application/graphql-response+json';
}

/** A GraphQL result. `data` is `undefined` if no operation was executed. */
export interface Result {
  readonly errors?: readonly GraphQLError[] | undefined;
  readonly data?: unknown;
}

/** Converts a result to its answer, with the public form of its errors. */
export function answerOf(
  { data, errors = [] }: Result,
  { correlation, mediaType }: AnswerRequest,
  log: Log,
  operationType?: OperationType,
): Answer {
  const clientErrors = errors.map((error) => toClientError(error, { correlation, log }));
  const causes = clientErrors.map(({ cause }) => cause);
  const headers = { 'content-type': `${mediaType}; charset=utf-8` };
  const { status, ...more } = data === undefined ? refusalOf(causes, mediaType) : { status: 200, headers: {} };
  return {
    status,
    headers: { ...headers, ...more.headers },
    // Errors first, as the specification recommends: people see them before a long answer.
    body: JSON.stringify({ ...(errors.length > 0 && { errors: clientErrors.map(({ error }) => error) }), data }),
    outcome: causes[0]?.code ?? 'OK',
    operationType,
  };
}

/** Status and headers of an operation that was not executed: the highest status of its errors, and the headers of all. */
function refusalOf(
  errors: readonly GatewayError[],
  mediaType: string,
): { status: number; headers: Readonly<Record<string, string>> } {
  let status = 0;
  let headers = {};
  for (const error of errors) {
    if (!(error instanceof RequestError)) {
      status = Math.max(status, 500);
      continue;
    }
    headers = { ...headers, ...error.headers };
    // The GraphQL over HTTP specification: 200 for an invalid document if the client accepts `application/json` only.
    if (mediaType !== 'application/json' || !error.inDocument) status = Math.max(status, error.status);
  }
  return { status: status === 0 ? 200 : status, headers };
}
