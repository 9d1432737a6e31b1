import persisted from '../schema/generated/persisted-documents.json' with { type: 'json' };
import { faultNames } from '../src/sandbox/faults.ts';
import { bearer, createOperation, newCustomer, updateOperation } from './support.ts';

/** A generated POST to the endpoint. */
export interface Post {
  /** Header lines without the framing of the body. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  /** `body`: disconnects before the last byte of the body. `answer`: disconnects when the provider has received `upstream`. */
  readonly leaves?: 'body' | 'answer';
  /** A text of the target of the call that `leaves: 'answer'` waits for. */
  readonly upstream?: string;
}

type Random = () => number;

const all = 'customer:read customer:write customer:token';
/** Names of the API keys, with their scopes. */
export const keys: Readonly<Record<string, { readonly scopes: string[]; readonly customer?: string }>> = {
  all: { scopes: all.split(' ') },
  reader: { scopes: ['customer:read'] },
  bound: { scopes: all.split(' '), customer: 'u7' },
  nothing: { scopes: [] },
};
export const keyOf = (name: string) => `key-of-the-caller-${name}`;

/** Faults whose result does not depend on time, and which do not stop later calls. */
const readFaults = faultNames.filter(
  (name) => !['429', '503', 'timeout', 'hang_body', 'drip', 'slow', 'deep', 'oversized', '408', '504'].includes(name),
);
const readDocuments = [
  '{ customer(id: "ID") { id } }',
  'query Named { customer(id: "ID") { id firstName lastName emailAddress mobileNumber dateCreated } }',
  '{ customer(id: "ID") { id clientAuthToken { token } } }',
  '{ a: customer(id: "ID") { id } b: customer(id: "ID") { ...F } } fragment F on Customer { objectReferenceId __typename }',
  '{ customers(ids: ["ID", "ID-other", "ID"]) { id firstName } }',
  '{ _entities(representations: [{ __typename: "Customer", id: "ID" }]) { __typename ... on Customer { firstName } } }',
];
const refusedDocuments = [
  '{ nothing }',
  '{ customer }',
  '{ customer(id: "ID") { id nothing } }',
  '{',
  '',
  ' ',
  '{ customer(id: "ID") { id } } #\ud800',
  'subscription { customer(id: "ID") { id } }',
  'query A { __typename } query B { __typename }',
  '{ __schema { queryType { name } } }',
  '{ _service { sdl } }',
  `{ ${'customer(id: "ID") { id } '.repeat(200)} }`,
  `${'{ a '.repeat(300)}${'}'.repeat(300)}`,
  '{ customer(id: 7) { id @skip(if: "x") } }',
  'mutation { updateCustomer(id: "ID", input: {}) { __typename } }',
];
const accepts = [
  undefined,
  'application/json',
  '*/*',
  'application/graphql-response+json',
  'application/graphql-response+json, application/json;q=0.9',
  'application/json;q=0, */*',
  'text/html',
  'text/event-stream',
  'multipart/mixed, application/json',
  'application/json; charset=utf-16',
  '',
  ',,',
];
const contentTypes = [
  'application/json; charset=utf-8',
  'application/json;charset="UTF-8"',
  'Application/JSON',
  'application/json; charset=latin1',
  'application/graphql-response+json',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/graphql',
  '',
];
/** Bodies that are not the usual parameters. None exceeds the limit: of a known length it is refused before the credentials are checked. */
const bodies = [
  '',
  ' ',
  'null',
  '[]',
  '7',
  '"x"',
  '{',
  '{}',
  '[{"query":"{ __typename }"}]',
  '{"query":7}',
  '{"query":null}',
  '{"query":"{ __typename }","variables":[]}',
  '{"query":"{ __typename }","variables":"{}"}',
  '{"query":"{ __typename }","operationName":7}',
  '{"query":"{ __typename }","extensions":7}',
  '{"query":"{ __typename }","operationName":""}',
  '{"query":"{ __typename }","operationName":"Other"}',
  '{"query":"{ __typename }","unknown":{"a":1}}',
  '{"query":"{ __typename }","query":"{ nothing }"}',
  '{"__proto__":{"query":"{ __typename }"}}',
  '{"constructor":{},"query":"{ __typename }"}',
  '{"documentId":"sha256:0"}',
  '{"documentId":7}',
  '{"documentId":"sha256:0","query":"{ __typename }"}',
  '{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"0"}}}',
  '{"query":"query ($id: ID!) { customer(id: $id) { id } }"}',
  '{"query":"query ($id: ID!) { customer(id: $id) { id } }","variables":{"id":1e400}}',
  '{"query":"query ($id: ID!) { customer(id: $id) { id } }","variables":{"id":9007199254740993.5}}',
  '{"query":"query ($id: ID!) { customer(id: $id) { id } }","variables":{"id":{"a":1}}}',
  '{"query":"query ($id: ID!) { customer(id: $id) { id } }","variables":null}',
  '\ufeff{"query":"{ __typename }"}',
  `{"query":"{ __typename }","x":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
];

/** Generates the `n`-th request of a run. A third is hostile. */
export function postOf(n: number, random: Random): Post {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const isHostile = random() < 1 / 3;
  const id = idOf(n, random, pick);
  const headers = ['host: gateway.test', ...credentials(n, random, pick, id, isHostile)];
  const accept = pick(isHostile ? accepts : accepts.slice(0, 5));
  if (accept !== undefined) headers.push(`accept: ${accept}`);
  const contentType = isHostile && random() < 0.3 ? pick(contentTypes) : 'application/json';
  if (random() < 0.99) headers.push(`content-type: ${contentType}`);
  if (random() < 0.2) headers.push(`traceparent: ${pick([traceparent, traceparent.replace('00-', 'ff-'), 'x'])}`);
  if (random() < 0.1) headers.push(`x-request-timeout-ms: ${pick(['5000', '0', '-1', '1e3', 'x', '99999999999'])}`);
  if (random() < 0.1) headers.push(`x-forwarded-for: ${pick(['10.0.0.1', '1.2.3.4, 10.0.0.2', 'x', '::1'])}`);
  if (random() < 0.05) headers.push('x-unknown: \u00e4', 'connection: keep-alive');
  if (random() < 0.003) {
    const slow = `fault_slow_x${n}`;
    const body = bufferOf({ query: readDocuments[0]?.replaceAll('ID', slow) });
    return { headers: [...headers.slice(0, 1), ...valid], body, leaves: 'answer', upstream: slow };
  }
  const body = bodyOf(n, random, pick, id, isHostile);
  return random() < 0.004 && body.length > 0 ? { headers, body, leaves: 'body' } : { headers, body };
}

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const valid = [`x-api-key: ${keyOf('all')}`, 'content-type: application/json'];

/** The id of a customer that no other request of the run uses, or one of the example customers. */
function idOf(n: number, random: Random, pick: <T>(list: readonly T[]) => T): string {
  const kind = random();
  if (kind < 0.1) return `fault_${pick(readFaults)}_x${n}`;
  if (kind < 0.6) return `fault_extra_fields_x${n}`;
  // Concurrent reads of one customer share a call or do not: that depends on time.
  if (kind < 0.65) return n % 30 === 0 ? 'u7' : pick(['.', '..', `a/b${n}`, '', 'x'.repeat(300)]);
  return `nobody-${n}`;
}

function credentials(
  n: number,
  random: Random,
  pick: <T>(list: readonly T[]) => T,
  id: string,
  isHostile: boolean,
): string[] {
  const claims = () =>
    pick([
      { scope: `${all} customer:any` },
      { scope: all, customer: id },
      { scope: all, customer: 'another-customer' },
      { scope: 'customer:read customer:any' },
      { scope: 'customer:any' },
      { scope: all },
      { scope: `${all} customer:any`, merchant_id: 'unknown' },
    ]);
  const token = () => `authorization: Bearer ${bearer({ sub: `s${n % 50}`, ...claims() })}`;
  const key = () => `x-api-key: ${keyOf(pick(Object.keys(keys)))}`;
  const kind = random();
  if (!isHostile || kind < 0.5) return random() < 0.5 ? [key()] : random() < 0.8 ? [token()] : [key(), token()];
  if (kind < 0.6) return [];
  return [
    pick([
      'x-api-key: wrong',
      'x-api-key: ',
      'authorization: Basic eDp5',
      'authorization: Bearer',
      'authorization: Bearer x.y.z',
      'authorization: Bearer \u00e4',
      `authorization: Bearer ${bearer({ exp: 1 })}`,
      `authorization: Bearer ${bearer({ aud: 'other' })}`,
      `authorization: Bearer ${bearer({}).slice(0, -3)}`,
    ]),
  ];
}

function bodyOf(n: number, random: Random, pick: <T>(list: readonly T[]) => T, id: string, isHostile: boolean): Buffer {
  if (isHostile) {
    const kind = random();
    if (kind < 0.4) return Buffer.from(pick(bodies));
    if (kind < 0.45) return Buffer.from([0x7b, 0xff, 0xfe, 0x7d]);
    if (kind < 0.6) return bufferOf({ query: pick(readDocuments) }).subarray(0, Math.floor(random() * 40));
    return bufferOf({
      query: pick(refusedDocuments).replaceAll('ID', id),
      operationName: pick([undefined, 'A', null]),
    });
  }
  const kind = random();
  // After an ambiguous result of a write the gateway reads until the deadline. The number of these reads depends on time.
  const writeId = `${pick(['fault_extra_fields', 'nobody'])}_x${n}`;
  if (kind < 0.15) {
    const input = newCustomer(
      `reference-${n}`,
      pick([{}, { firstName: 'Z\u00f6e' }, { mobileNumber: 'x' }, { emailAddress: '' }]),
    );
    return bufferOf({ query: createOperation, variables: { input } });
  }
  if (kind < 0.25) {
    const input = pick([{ firstName: `A ${n}` }, {}, { mobileNumber: 'x' }, { lastName: null }]);
    return bufferOf({ query: updateOperation, variables: { id: writeId, input } });
  }
  if (kind < 0.35) {
    const [documentId] = pick(Object.entries(persisted));
    const variables = { id: writeId, ids: [id], input: newCustomer(`reference-${n}`) };
    return bufferOf(
      pick([
        { documentId, variables },
        { extensions: { persistedQuery: { version: 1, sha256Hash: documentId.slice('sha256:'.length) } }, variables },
      ]),
    );
  }
  if (kind < 0.5) {
    const query =
      'query One($id: ID!, $with: Boolean = true) { customer(id: $id) { id firstName @include(if: $with) } }';
    return bufferOf({ query, operationName: 'One', variables: { id, with: pick([true, false, undefined]) } });
  }
  return bufferOf({ query: pick(readDocuments).replaceAll('ID', id) });
}

function bufferOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
