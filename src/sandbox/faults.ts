import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { errorBodies } from './errors.ts';

/** The inputs of a fault. */
export interface Stage {
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
  readonly play: (stage: Stage) => void;
}

const json = { 'content-type': 'application/json' };
const html = '<html><body><h1>502 Bad Gateway</h1></body></html>';

const answer =
  (status: number, body: string | Buffer, headers: Record<string, string> = json) =>
  (stage: Stage) => {
    stage.response.writeHead(status, headers).end(body);
  };
const error = (status: number, body: object) => answer(status, JSON.stringify(body));
/** A 200 with a changed customer object. */
const tampered = (change: (customer: Record<string, unknown>) => object) => (stage: Stage) =>
  answer(200, JSON.stringify(change(stage.customer)))(stage);
const text = (stage: Stage) => JSON.stringify(stage.customer);

/** All faults, by name. */
export const faults = {
  duplicate: { row: 'E1', meaning: '400: the reference is taken', play: error(400, errorBodies.duplicate) },
  empty_reference: {
    row: 'E2',
    meaning: '400: object_reference_id is empty',
    play: error(400, errorBodies.invalid('object_reference_id')),
  },
  invalid: {
    row: 'E3',
    meaning: '400: mobile_number is invalid',
    play: error(400, errorBodies.invalid('mobile_number')),
  },
  missing_parameter: {
    row: 'E4',
    meaning: '400: a required parameter is missing',
    play: error(400, errorBodies.missing('email_address')),
  },
  not_found: { row: 'E5', meaning: '404: no such customer', play: error(404, errorBodies.notFound) },
  unauthorized: { row: 'E6', meaning: '401: wrong key', play: error(401, errorBodies.unauthorized) },
  bad_origin: { row: 'E7', meaning: '403: address not allowed', play: error(403, errorBodies.badOrigin) },
  bad_origin_old: { row: 'E8', meaning: '403: the same, older body', play: error(403, errorBodies.badOriginOld) },
  wrong_route: {
    row: 'E9',
    meaning: '404 with an unspecified body',
    play: answer(404, 'Not Found', { 'content-type': 'text/plain' }),
  },
  forbidden: {
    row: 'E10',
    meaning: '403 in plain text: key missing',
    play: answer(403, 'Forbidden', { 'content-type': 'text/plain' }),
  },
  merchant: {
    row: 'E11',
    meaning: '400: merchant cannot be resolved',
    play: error(400, { status: 'error', error_code: 'nullable', error_message: 'merchantId' }),
  },
  busy: {
    row: 'E12',
    meaning: '400: another request for the id is in progress',
    play: error(400, errorBodies.duplicateRequest),
  },
  rejected: { row: 'E13', meaning: '400: generic refusal', play: error(400, errorBodies.generic) },
  error_in_200: {
    row: 'E14',
    meaning: '200 with an error body',
    play: error(200, { status: 'ERROR', status_id: 40, error_code: 'INVALID_REQUEST' }),
  },
  not_found_in_200: {
    row: 'E14',
    meaning: '200 with NOT_FOUND in its body',
    play: error(200, { status: 'NOT_FOUND', status_id: 40 }),
  },
  500: { row: 'E15', meaning: '500 with an error body', play: error(500, errorBodies.internal) },
  501: { row: 'E15', meaning: '501', play: answer(501, '') },
  408: { meaning: '408 with an empty body', play: answer(408, '') },
  429: {
    row: 'E16',
    meaning: '429 with Retry-After: 1',
    play: ({ response, retryAfter }) => {
      response.writeHead(429, retryAfter === null ? {} : { 'retry-after': retryAfter }).end();
    },
  },
  502: { row: 'E17', meaning: '502 with HTML', play: answer(502, html, { 'content-type': 'text/html' }) },
  503: {
    row: 'E17',
    meaning: '503 with an empty body',
    play: ({ response, retryAfter }) => {
      response.writeHead(503, retryAfter === null || retryAfter === '' ? {} : { 'retry-after': retryAfter }).end();
    },
  },
  504: { row: 'E17', meaning: '504 with an empty body', play: answer(504, '') },
  html: { row: 'E18', meaning: '200 with HTML', play: answer(200, html, { 'content-type': 'text/html' }) },
  empty: { row: 'E18', meaning: '200 with an empty body', play: answer(200, '') },
  array: { row: 'E18', meaning: '200 with a JSON array', play: answer(200, '[]') },
  null: { row: 'E18', meaning: '200 with null', play: answer(200, 'null') },
  bom: {
    row: 'E18',
    meaning: '200 with a byte order mark before the JSON',
    play: (stage) => answer(200, `\uFEFF${text(stage)}`)(stage),
  },
  invalid_utf8: {
    row: 'E18',
    meaning: '200 with invalid UTF-8',
    play: (stage) =>
      answer(
        200,
        Buffer.concat([Buffer.from(text(stage).replace(/}$/, ',"x":"')), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
      )(stage),
  },
  no_id: { row: 'E18', meaning: '200 without an id', play: tampered(({ id: _, customer_id: __, ...rest }) => rest) },
  empty_id: {
    row: 'E18',
    meaning: '200 with an empty id',
    play: tampered((customer) => ({ ...customer, id: '', customer_id: '' })),
  },
  two_ids: {
    row: 'E18',
    meaning: '200 with two different ids',
    play: tampered((customer) => ({ ...customer, id: 'cth_X1', customer_id: 'cth_X2' })),
  },
  wrong_customer: {
    row: 'E18',
    meaning: "200 with somebody else's customer",
    play: tampered((customer) => ({
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
    play: answer(200, '['.repeat(100_000) + ']'.repeat(100_000)),
  },
  oversized: {
    row: 'E18',
    meaning: '200 with 2 MiB of JSON',
    play: tampered((customer) => ({ ...customer, filler: 'x'.repeat(2 * 1024 * 1024) })),
  },
  gzip: {
    row: 'E18',
    meaning: '200 with an unrequested gzip encoding',
    play: (stage) => answer(200, gzipSync(text(stage)), { ...json, 'content-encoding': 'gzip' })(stage),
  },
  redirect: {
    row: 'E18',
    meaning: '302 to another customer',
    play: answer(302, '', { location: '/customers/cth_A1b2C3d4E5f6G7h8' }),
  },
  timeout: { row: 'E19', meaning: 'no response', play: () => undefined },
  reset: { row: 'E19', meaning: 'resets the connection', play: ({ response }) => response.socket?.resetAndDestroy() },
  close: {
    row: 'E19',
    meaning: 'closes the connection without a response',
    play: ({ response }) => response.socket?.destroySoon(),
  },
  hang_body: {
    row: 'E19',
    meaning: 'half a response, then silence',
    play: (stage) => {
      stage.response
        .writeHead(200, { ...json, 'content-length': Buffer.byteLength(text(stage)) })
        .write(text(stage).slice(0, 20));
    },
  },
  drip: {
    row: 'E19',
    meaning: 'one byte every 50 ms, endless',
    play: ({ response, after }) => {
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
    play: (stage) => {
      const half = text(stage).slice(0, 30);
      stage.response.writeHead(200, { ...json, 'content-length': Buffer.byteLength(text(stage)) });
      stage.response.write(half, () => stage.response.socket?.destroySoon());
    },
  },
  truncated_close: {
    row: 'E19',
    meaning: 'half a response of unknown length, then closes',
    play: (stage) => {
      stage.response.socket?.end(
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n${text(stage).slice(0, 30)}`,
      );
    },
  },
  slow: { meaning: 'responds after one second', play: ({ after, delayMs, proceed }) => after(delayMs, proceed) },
  extra_fields: {
    meaning: '200 with unknown fields',
    play: tampered((customer) => ({ ...customer, __proto__x: { a: 1 }, loyalty: { tier: 3 } })),
  },
  bad_dates: {
    meaning: '200 with invalid dates',
    play: tampered((customer) => ({ ...customer, date_created: 'yesterday', last_updated: 17, last_udpated: 17 })),
  },
  wrong_types: {
    meaning: '200 with fields of other types',
    play: tampered((customer) => ({
      ...customer,
      first_name: { a: 1 },
      last_name: 7,
      email_address: true,
      mobile_number: 9000000001,
    })),
  },
  no_token: { meaning: '200 without the token that was asked for', play: tampered(({ juspay: _, ...rest }) => rest) },
  null_token: {
    meaning: '200 with null instead of the token',
    play: tampered((customer) => ({ ...customer, juspay: null })),
  },
  half_token: {
    meaning: '200 with half a token',
    play: tampered((customer) => ({ ...customer, juspay: { client_auth_token: 'tkn_half' } })),
  },
  camel_case: {
    meaning: '404 with camelCase keys',
    play: error(404, { errorCode: 'object_not_found', errorMessage: 'x' }),
  },
  error_info_text: {
    meaning: '404 with error_info as JSON text',
    play: error(404, { error_info: JSON.stringify(errorBodies.notFound.error_info) }),
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
