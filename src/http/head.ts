import type { HeaderReader } from '../auth/auth.ts';
import { RequestError } from '../errors.ts';
import { tooLong } from './bodies.ts';
import { answerType, isJson } from './media.ts';

/** The head of a request. */
export interface Head {
  readonly method: string;
  readonly headers: HeaderReader;
  /** The parameters of the URL. `undefined` if there are none. */
  readonly searchParams: URLSearchParams | undefined;
}

/** Custom headers: a browser sends a CORS preflight before a cross-origin request that has one. */
const preflightHeaders = ['x-graphql-yoga-csrf', 'apollo-require-preflight'];

/** Whether a browser sends a CORS preflight before a cross-origin request with these headers. */
export function forcesPreflight(headers: HeaderReader): boolean {
  return preflightHeaders.some((name) => has(headers, name)) || isJson(headers.get('content-type'));
}

/** The reason to refuse a request for every caller; `undefined` if there is none. */
export function findFault({ method, headers, searchParams }: Head, maxBodyBytes: number): RequestError | undefined {
  if (method === 'GET') {
    if (!forcesPreflight(headers) || (has(headers, 'content-type') && !isJson(headers.get('content-type')))) {
      const message = `GET needs one of the headers ${preflightHeaders.join(', ')} or content-type: application/json. Or send POST.`;
      return new RequestError('BAD_USER_INPUT', { status: 403, message });
    }
    return findUnreadable(headers);
  }
  if (method !== 'POST') {
    return new RequestError('BAD_USER_INPUT', {
      status: 405,
      headers: { allow: 'GET, POST' },
      message: 'Send GET or POST.',
    });
  }
  if (searchParams?.has('query')) {
    return new RequestError('BAD_USER_INPUT', { message: 'Send the document of a POST in the body, not in the URL.' });
  }
  if (!isJson(headers.get('content-type'))) {
    return new RequestError('BAD_USER_INPUT', { status: 415, message: 'The body must be application/json in UTF-8.' });
  }
  const encoding = headers.get('content-encoding')?.trim().toLowerCase();
  const transfer = headers.get('transfer-encoding')?.trim().toLowerCase() ?? 'chunked';
  if ((encoding !== undefined && encoding !== '' && encoding !== 'identity') || transfer !== 'chunked') {
    return new RequestError('BAD_USER_INPUT', { status: 415, message: 'The body must not be compressed.' });
  }
  return Number(headers.get('content-length')) > maxBodyBytes ? tooLong(maxBodyBytes) : findUnreadable(headers);
}

/** Checked before execution: a client that cannot read the response would not see the result of a mutation. */
function findUnreadable(headers: HeaderReader): RequestError | undefined {
  if (answerType(headers.get('accept')) !== undefined) return undefined;
  const message = 'Accept must allow application/graphql-response+json or application/json, in UTF-8.';
  return new RequestError('BAD_USER_INPUT', { status: 406, message });
}

function has(headers: HeaderReader, name: string): boolean {
  return headers.get(name) != null;
}
