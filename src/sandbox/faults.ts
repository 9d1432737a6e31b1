import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { errorBodies } from './errors.ts';

/** The call that a fault responds to. */
export interface FaultContext {
  readonly response: ServerResponse;
  /** The customer object of the regular response, or an invented one. */
  readonly customer: Record<string, unknown>;
  /** The `Retry-After` header; `null`: none. */
  readonly retryAfter: string | null;
  readonly delayMs: number;
  /** Sends the regular response. */
  readonly proceed: () => void;
  /** Starts a timer that is cleared when the sandbox closes. */
  readonly after: (ms: number, then: () => void) => void;
}

export interface Fault {
  /** The row of the error catalogue in the provider's contract. */
  readonly row?: string;
  readonly meaning: string;
  readonly respond: (context: FaultContext) => void;
}

const json = { 'content-type': 'application/json' };
const html = '<html><body><h1>502 Bad Gateway</h1></body></html>';

const answer =
  (status: number, body: string | Buffer, headers: Record<string, string> = json) =>
  (context: FaultContext) => {
    context.response.writeHead(status, headers).end(body);
  };
const error = (status: number, body: object) => answer(status, JSON.stringify(body));
/** A 200 with a changed customer object. */
const changed = (change: (customer: Record<string, unknown>) => object) => (context: FaultContext) =>
  answer(200, JSON.stringify(change(context.customer)))(context);
const text = (context: FaultContext) => JSON.stringify(context.customer);

/** All faults, by name. */
export const faults = {
  duplicate: { row: 'E1', meaning: '400: the reference is taken', respond: error(400, errorBodies.duplicate) },
  empty_reference: {
    row: 'E2',
    meaning: '400: object_reference_id is empty',
    respond: error(400, errorBodies.invalid('object_reference_id')),
  },
  invalid: {
    row: 'E3',
    meaning: '400: mobile_number is invalid',
    respond: error(400, errorBodies.invalid('mobile_number')),
  },
  missing_parameter: {
    row: 'E4',
    meaning: '400: a required parameter is missing',
    respond: error(400, errorBodies.missing('email_address')),
  },
  not_found: { row: 'E5', meaning: '404: no such customer', respond: error(404, errorBodies.notFound) },
  unauthorized: { row: 'E6', meaning: '401: wrong key', respond: error(401, errorBodies.unauthorized) },
  bad_origin: { row: 'E7', meaning: '403: address not allowed', respond: error(403, errorBodies.badOrigin) },
  bad_origin_old: { row: 'E8', meaning: '403: the same, older body', respond: error(403, errorBodies.badOriginOld) },
  wrong_route: {
    row: 'E9',
    meaning: '404 with an unspecified body',
    respond: answer(404, 'Not Found', { 'content-type': 'text/plain' }),
  },
  forbidden: {
    row: 'E10',
    meaning: '403 in plain text: key missing',
    respond: answer(403, 'Forbidden', { 'content-type': 'text/plain' }),
  },
  merchant: {
    row: 'E11',
    meaning: '400: merchant cannot be resolved',
    respond: error(400, { status: 'error', error_code: 'nullable', error_message: 'merchantId' }),
  },
  busy: {
    row: 'E12',
    meaning: '400: another request for the id is in progress',
    respond: error(400, errorBodies.duplicateRequest),
  },
  rejected: { row: 'E13', meaning: '400: generic refusal', respond: error(400, errorBodies.generic) },
  error_in_200: {
    row: 'E14',
    meaning: '200 with an error body',
    respond: error(200, { status: 'ERROR', status_id: 40, error_code: 'INVALID_REQUEST' }),
  },
  not_found_in_200: {
    row: 'E14',
    meaning: '200 with NOT_FOUND in its body',
    respond: error(200, { status: 'NOT_FOUND', status_id: 40 }),
  },
  500: { row: 'E15', meaning: '500 with an error body', respond: error(500, errorBodies.internal) },
  501: { row: 'E15', meaning: '501', respond: answer(501, '') },
  408: { meaning: '408 with an empty body', respond: answer(408, '') },
  429: {
    row: 'E16',
    meaning: '429 with Retry-After: 1',
    respond: ({ response, retryAfter }) => {
      response.writeHead(429, retryAfter === null ? {} : { 'retry-after': retryAfter }).end();
    },
  },
  502: { row: 'E17', meaning: '502 with HTML', respond: answer(502, html, { 'content-type': 'text/html' }) },
  503: {
    row: 'E17',
    meaning: '503 with an empty body',
    respond: ({ response, retryAfter }) => {
      response.writeHead(503, retryAfter === null || retryAfter === '' ? {} : { 'retry-after': retryAfter }).end();
    },
  },
  504: { row: 'E17', meaning: '504 with an empty body', respond: answer(504, '') },
  html: { row: 'E18', meaning: '200 with HTML', respond: answer(200, html, { 'content-type': 'text/html' }) },
  empty: { row: 'E18', meaning: '200 with an empty body', respond: answer(200, '') },
  array: { row: 'E18', meaning: '200 with a JSON array', respond: answer(200, '[]') },
  null: { row: 'E18', meaning: '200 with null', respond: answer(200, 'null') },
  bom: {
    row: 'E18',
    meaning: '200 with a byte order mark before the JSON',
    respond: (context) => answer(200, `\uFEFF${text(context)}`)(context),
  },
  invalid_utf8: {
    row: 'E18',
    meaning: '200 with invalid UTF-8',
    respond: (context) =>
      answer(
        200,
        Buffer.concat([
          Buffer.from(text(context).replace(/}$/, ',"x":"')),
          Buffer.from([0xc3, 0x28]),
          Buffer.from('"}'),
        ]),
      )(context),
  },
  no_id: { row: 'E18', meaning: '200 without an id', respond: changed(({ id: _, customer_id: __, ...rest }) => rest) },
  empty_id: {
    row: 'E18',
    meaning: '200 with an empty id',
    respond: changed((customer) => ({ ...customer, id: '', customer_id: '' })),
  },
  two_ids: {
    row: 'E18',
    meaning: '200 with two different ids',
    respond: changed((customer) => ({ ...customer, id: 'cth_X1', customer_id: 'cth_X2' })),
  },
  wrong_customer: {
    row: 'E18',
    meaning: "200 with somebody else's customer",
    respond: changed((customer) => ({
      ...customer,
      id: 'cth_Z9z9Z9z9Z9z9Z9z9',
      customer_id: 'cth_Z9z9Z9z9Z9z9Z9z9',
      object_reference_id: 'somebody.else@example.com',
      first_name: 'Somebody',
    })),
  },
  deep: {
    row: 'E18',
    meaning: '200 with JSON 100,000 levels deep',
    respond: answer(200, '['.repeat(100_000) + ']'.repeat(100_000)),
  },
  oversized: {
    row: 'E18',
    meaning: '200 with 2 MiB of JSON',
    respond: changed((customer) => ({ ...customer, filler: 'x'.repeat(2 * 1024 * 1024) })),
  },
  gzip: {
    row: 'E18',
    meaning: '200 with an unrequested gzip encoding',
    respond: (context) => answer(200, gzipSync(text(context)), { ...json, 'content-encoding': 'gzip' })(context),
  },
  redirect: {
    row: 'E18',
    meaning: '302 to another customer',
    respond: answer(302, '', { location: '/customers/cth_A1b2C3d4E5f6G7h8' }),
  },
  timeout: { row: 'E19', meaning: 'no response', respond: () => undefined },
  reset: {
    row: 'E19',
    meaning: 'resets the connection',
    respond: ({ response }) => response.socket?.resetAndDestroy(),
  },
  close: {
    row: 'E19',
    meaning: 'closes the connection without a response',
    respond: ({ response }) => response.socket?.destroySoon(),
  },
  hang_body: {
    row: 'E19',
    meaning: 'half a response, then silence',
    respond: (context) => {
      context.response
        .writeHead(200, { ...json, 'content-length': Buffer.byteLength(text(context)) })
        .write(text(context).slice(0, 20));
    },
  },
  drip: {
    row: 'E19',
    meaning: 'one byte every 50 ms, endless',
    respond: ({ response, after }) => {
      response.writeHead(200, json);
      const drop = () => {
        response.write(' ');
        after(50, drop);
      };
      drop();
    },
  },
  truncated: {
    row: 'E19',
    meaning: 'half a response, then closes',
    respond: (context) => {
      const half = text(context).slice(0, 30);
      context.response.writeHead(200, { ...json, 'content-length': Buffer.byteLength(text(context)) });
      context.response.write(half, () => context.response.socket?.destroySoon());
    },
  },
  truncated_close: {
    row: 'E19',
    meaning: 'half a response of unknown length, then closes',
    respond: (context) => {
      context.response.socket?.end(
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n${text(context).slice(0, 30)}`,
      );
    },
  },
  slow: { meaning: 'responds after one second', respond: ({ after, delayMs, proceed }) => after(delayMs, proceed) },
  extra_fields: {
    meaning: '200 with unknown fields',
    respond: changed((customer) => ({ ...customer, __proto__x: { a: 1 }, loyalty: { tier: 3 } })),
  },
  bad_dates: {
    meaning: '200 with invalid dates',
    respond: changed((customer) => ({ ...customer, date_created: 'yesterday', last_updated: 17, last_udpated: 17 })),
  },
  wrong_types: {
    meaning: '200 with fields of other types',
    respond: changed((customer) => ({
      ...customer,
      first_name: { a: 1 },
      last_name: 7,
      email_address: true,
      mobile_number: 9000000001,
    })),
  },
  no_token: { meaning: '200 without the requested token', respond: changed(({ juspay: _, ...rest }) => rest) },
  null_token: {
    meaning: '200 with null instead of the token',
    respond: changed((customer) => ({ ...customer, juspay: null })),
  },
  half_token: {
    meaning: '200 with half a token',
    respond: changed((customer) => ({ ...customer, juspay: { client_auth_token: 'tkn_half' } })),
  },
  camel_case: {
    meaning: '404 with camelCase keys',
    respond: error(404, { errorCode: 'object_not_found', errorMessage: 'x' }),
  },
  error_info_text: {
    meaning: '404 with error_info as JSON text',
    respond: error(404, { error_info: JSON.stringify(errorBodies.notFound.error_info) }),
  },
} as const satisfies Record<string, Fault>;

export type FaultName = `${keyof typeof faults}`;
export const faultNames = Object.keys(faults) as FaultName[];

/** A fault for the next calls that match. */
export interface ArmedFault {
  readonly fault: FaultName;
  readonly on?: 'create' | 'get' | 'update';
  readonly pathId?: string;
  /** Number of calls. Default 1. */
  readonly times?: number;
  /** Commits the write first; only its response fails. */
  readonly afterCommit?: boolean;
  readonly retryAfter?: string | null;
  readonly delayMs?: number;
}

/** The fault that a magic id selects. */
export interface Magic {
  readonly fault: FaultName;
  /** Only the first call with this id fails. */
  readonly once: boolean;
  /** For writes: the write is committed and its response is lost. Reads of the id succeed. */
  readonly afterCommit: boolean;
}

/** Parses `fault_<name>`, then `_once`, then `_after_commit`, then `_x<anything>`, which makes references unique. */
export function readMagic(id: string): Magic | undefined {
  const match = /^fault_([a-z0-9_]+?)(_once)?(_after_commit)?(_x.*)?$/s.exec(id);
  const [, name, once, afterCommit] = match ?? [];
  const fault = faultNames.find((known) => known === name);
  return fault && { fault, once: once !== undefined, afterCommit: afterCommit !== undefined };
}
