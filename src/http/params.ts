import { parseExactJson } from '../customers/exact-json.ts';
import { RequestError } from '../errors.ts';
import type { DocumentRequest } from '../execution/persisted.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Reads the parameters of a POST. @throws RequestError for anything but one JSON object with valid parameters. */
export function paramsOfBody(bytes: Uint8Array): Params {
  return paramsOfText(textOf(bytes));
}

/** @throws RequestError for anything but UTF-8. */
export function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw notJson('The body');
  }
}

export function paramsOfText(text: string): Params {
  const body = parseJson(text, 'The body');
  if (Array.isArray(body))
    throw new RequestError('BAD_USER_INPUT', { message: 'Batches are not supported. Send one operation.' });
  return checkParams(body);
}

/** Reads the parameters of a GET. */
export function paramsOfQuery(query: URLSearchParams): Params {
  const json = (name: string) => {
    const text = query.get(name);
    return text === null || text === '' ? undefined : parseJson(text, `The parameter ${name}`);
  };
  return checkParams({
    query: query.get('query') ?? undefined,
    documentId: query.get('documentId') ?? undefined,
    operationName: query.get('operationName') ?? undefined,
    variables: json('variables'),
    extensions: json('extensions'),
  });
}

export interface Params extends DocumentRequest {
  readonly operationName: string | undefined;
  readonly variables: Readonly<Record<string, unknown>> | undefined;
}

/** Checks the parameters of the GraphQL over HTTP specification, and ignores all others as it requires. */
function checkParams(params: unknown): Params {
  if (!isRecord(params)) throw new RequestError('BAD_USER_INPUT', { message: 'The body must be a JSON object.' });
  const { query, documentId, operationName, variables, extensions } = params;
  const invalid = (message: string) => new RequestError('BAD_USER_INPUT', { message });
  if (query != null && typeof query !== 'string') throw invalid('`query` must be a string with the GraphQL document.');
  if (documentId != null && typeof documentId !== 'string') throw invalid('`documentId` must be a string.');
  if (operationName != null && typeof operationName !== 'string') throw invalid('`operationName` must be a string.');
  if (variables != null && !isRecord(variables)) throw invalid('`variables` must be an object.');
  if (extensions != null && !isRecord(extensions)) throw invalid('`extensions` must be an object.');
  return {
    query: query ?? undefined,
    documentId: documentId ?? apolloId(extensions),
    // Some clients send "" if there is no name.
    operationName: operationName || undefined,
    variables: variables ?? undefined,
  };
}

/** Apollo clients send the document id as an extension. */
function apolloId(extensions: unknown): string | undefined {
  const persisted = isRecord(extensions) ? extensions['persistedQuery'] : undefined;
  const hash = isRecord(persisted) ? persisted['sha256Hash'] : undefined;
  return typeof hash === 'string' ? hash : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Replaces the parser's message, which quotes the text. */
function parseJson(text: string, what: string): unknown {
  try {
    return parseExactJson(text);
  } catch {
    throw notJson(what);
  }
}

function notJson(what: string): RequestError {
  return new RequestError('BAD_USER_INPUT', { message: `${what} is not valid JSON.` });
}
