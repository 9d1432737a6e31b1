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
  /** The number of errors in the response by code; `undefined` if there are none. */
  readonly codes: Readonly<Record<string, number>> | undefined;
  /** `undefined` if the document was refused. */
  readonly operationType: OperationType | undefined;
  /** The name of the operation in its document, for the log. `undefined` if it has none. */
  readonly operationName: string | undefined;
  /** `undefined` if the document cannot be parsed. */
  readonly document: { hash(): string } | undefined;
}

/** The operation of an answer, as far as it is known. */
export interface AnsweredOperation {
  readonly type: OperationType | undefined;
  readonly name: string | undefined;
  readonly document: Answer['document'];
}

/** The properties of a request that determine the form of its answer. */
export interface AnswerRequest {
  readonly correlation: Correlation;
  readonly mediaType: 'application/json' | 'application/graphql-response+json';
}

/** A GraphQL result. */
export interface Result {
  readonly errors?: readonly GraphQLError[] | undefined;
  /** JSON. `undefined` if no operation was executed. */
  readonly data?: string | undefined;
}

/** Converts a result to its answer, with the public form of its errors. */
export function answerOf(
  { data, errors = [] }: Result,
  { correlation, mediaType }: AnswerRequest,
  log: Log,
  { type: operationType, name: operationName, document }: AnsweredOperation,
): Answer {
  if (errors.length === 0 && data !== undefined) {
    const body = `{"data":${data}}`;
    const headers = headersOf[mediaType];
    return { status: 200, headers, body, outcome: 'OK', codes: undefined, operationType, operationName, document };
  }
  const clientErrors = errors.map((error) => toClientError(error, { correlation, log }));
  const causes = clientErrors.map(({ cause }) => cause);
  const refusal = data === undefined ? refusalOf(causes, mediaType) : undefined;
  // Errors first, as the specification recommends: people see them before a long answer.
  const errorText = JSON.stringify(clientErrors.map(({ error }) => error));
  return {
    status: refusal?.status ?? 200,
    headers: { ...headersOf[mediaType], ...refusal?.headers },
    body: data === undefined ? `{"errors":${errorText}}` : `{"errors":${errorText},"data":${data}}`,
    outcome: causes[0]?.code ?? 'OK',
    codes: countsOf(causes),
    operationType,
    operationName,
    document,
  };
}

/** One object for each type, because most answers have no other headers. Frozen: a `Response` of Yoga writes to its headers. */
const headersOf = {
  'application/json': Object.freeze({ 'content-type': 'application/json; charset=utf-8' }),
  'application/graphql-response+json': Object.freeze({
    'content-type': 'application/graphql-response+json; charset=utf-8',
  }),
} as const;

function countsOf(errors: readonly GatewayError[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { code } of errors) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
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
