import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { errorBodies } from './errors.ts';

/** What a fault has to work with. */
export interface Stage {
  readonly response: ServerResponse;
  /** The customer object that would have been answered, or one made up for the id. */
  readonly customer: Record<string, unknown>;
  /** What `Retry-After` says; `null`: nothing. */
  readonly retryAfter: string | null;
  readonly delayMs: number;
  /** Answers as if there were no fault. */
  readonly proceed: () => void;
  /** A timer that ends with the sandbox. */
  readonly after: (ms: number, then: () => void) => void;
}

export interface Fault {
  /** The row of the error catalogue in the provider's contract, where it is one. */
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
/** A 200 whose customer object was tampered with. */
const tampered = (change: (customer: Record<string, unknown>) => object) => (stage: Stage) =>
  answer(200, JSON.stringify(change(stage.customer)))(stage);
const text = (stage: Stage) => JSON.stringify(stage.customer);

/** Every fault that can be provoked, by name. */
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
    meaning: '404 without a body that says why',
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
  rejected: { row: 'E13', meaning: '400: refused for no reason of its own', play: error(400, errorBodies.generic) },
  error_in_200: {
    row: 'E14',
    meaning: '200 that holds an error',
    play: error(200, { status: 'ERROR', status_id: 40, error_code: 'INVALID_REQUEST' }),
  },
  not_found_in_200: {
    row: 'E14',
    meaning: '200 that says there is none',
    play: error(200, { status: 'NOT_FOUND', status_id: 40 }),
  },
  500: { row: 'E15', meaning: '500 with an error body', play: error(500, errorBodies.internal) },
  501: { row: 'E15', meaning: '501', play: answer(501, '') },
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
    meaning: '200 with bytes that are no UTF-8',
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
    meaning: '200, compressed though nobody asked',
    play: (stage) => answer(200, gzipSync(text(stage)), { ...json, 'content-encoding': 'gzip' })(stage),
  },
  redirect: {
    row: 'E18',
    meaning: '302 to another customer',
    play: answer(302, '', { location: '/customers/cth_A1b2C3d4E5f6G7h8' }),
  },
  timeout: { row: 'E19', meaning: 'never answers', play: () => undefined },
  reset: { row: 'E19', meaning: 'resets the connection', play: ({ response }) => response.socket?.resetAndDestroy() },
  close: {
    row: 'E19',
    meaning: 'closes the connection without an answer',
    play: ({ response }) => response.socket?.destroySoon(),
  },
  hang_body: {
    row: 'E19',
    meaning: 'half an answer, then nothing',
    play: (stage) => {
      stage.response
        .writeHead(200, { ...json, 'content-length': Buffer.byteLength(text(stage)) })
        .write(text(stage).slice(0, 20));
    },
  },
  drip: {
    row: 'E19',
    meaning: 'one byte every 50 ms, without end',
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
    meaning: 'half an answer, then closes',
    play: (stage) => {
      const half = text(stage).slice(0, 30);
      stage.response.writeHead(200, { ...json, 'content-length': Buffer.byteLength(text(stage)) });
      stage.response.write(half, () => stage.response.socket?.destroySoon());
    },
  },
  truncated_close: {
    row: 'E19',
    meaning: 'half an answer of unknown length, then closes',
    play: (stage) => {
      stage.response.socket?.end(
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n${text(stage).slice(0, 30)}`,
      );
    },
  },
  slow: { meaning: 'answers after a second', play: ({ after, delayMs, proceed }) => after(delayMs, proceed) },
  extra_fields: {
    meaning: '200 with fields that nobody knows',
    play: tampered((customer) => ({ ...customer, __proto__x: { a: 1 }, loyalty: { tier: 3 } })),
  },
  bad_dates: {
    meaning: '200 with dates that are none',
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
    meaning: '200 with null in place of the token',
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

/** What a magic id asks for. */
export interface Magic {
  readonly fault: FaultName;
  /** The first call with this id only. */
  readonly once: boolean;
  /** Writes only: the write is done, its answer is lost. Reads of the id behave. */
  readonly afterCommit: boolean;
}

/** `fault_<name>`, then `_once`, then `_after_commit`, then `_x<anything>` to make references unique. */
export function readMagic(id: string): Magic | undefined {
  const match = /^fault_([a-z0-9_]+?)(_once)?(_after_commit)?(_x.*)?$/s.exec(id);
  const [, name, once, afterCommit] = match ?? [];
  const fault = faultNames.find((known) => known === name);
  return fault && { fault, once: once !== undefined, afterCommit: afterCommit !== undefined };
}
