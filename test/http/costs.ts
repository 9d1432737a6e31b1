import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The provider. The process of its own allocates nothing in this one. The message `calls` is answered with their number. */
const provider = `
let calls = 0;
require('node:http').createServer((request, response) => {
  calls += 1;
  const id = decodeURIComponent(request.url.split(/[/?]/)[2] ?? 'cth_1');
  const token = { client_auth_token: 'tkn_' + id, client_auth_token_expiry: new Date(Date.now() + 900000).toISOString() };
  const body = { id, object_reference_id: 'reference', first_name: 'Asha', date_created: '2024-05-01T10:00:00Z', juspay: token };
  let form = '';
  request.on('data', (chunk) => { form += chunk; }).on('end', () => {
    if (form !== '') body.object_reference_id = new URLSearchParams(form).get('object_reference_id');
    response.writeHead(200).end(JSON.stringify(body));
  });
}).listen(0, '127.0.0.1', function () { process.send(this.address().port) });
process.on('message', () => process.send(calls));
`;

/** Sends requests over 16 connections. Answers a message with the number of responses that hold neither `errors` nor an error result. */
const client = `
const { connect } = require('node:net');
process.on('message', ({ port, query, variables, first, count }) => {
  let sent = 0, good = 0, ended = 0;
  for (let n = 0; n < 16; n += 1) {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    const next = () => {
      if (sent === count) return socket.end();
      const fill = (part) => part.replaceAll('#', String(first + sent));
      sent += 1;
      const body = JSON.stringify({ query: fill(query), variables: JSON.parse(fill(JSON.stringify(variables))) });
      const head = ['POST /graphql HTTP/1.1', 'host: a', 'content-type: application/json', 'x-api-key: key', 'content-length: ' + body.length];
      socket.write(head.join('\\r\\n') + '\\r\\n\\r\\n' + body);
    };
    socket.on('data', (data) => {
      text += data;
      const end = text.indexOf('\\r\\n\\r\\n');
      const length = /content-length: (\\d+)/i.exec(text)?.[1];
      if (end < 0 || text.length < end + 4 + Number(length)) return;
      if (text.startsWith('HTTP/1.1 200') && !/"errors"|Error"/.test(text)) good += 1;
      text = '';
      next();
    });
    socket.on('close', () => { ended += 1; if (ended === 16) process.send(good); });
    socket.on('error', () => undefined);
    next();
  }
});
`;

const fields =
  'id objectReferenceId firstName lastName emailAddress mobileNumber mobileCountryCode dateCreated lastUpdated';
const letters = [...'abcdefghij'];
const aliases = Array.from(
  { length: 50 },
  (_, n) => `${letters[n % 10]}${n}: customer(id: $${letters[n % 10]}) { ...F }`,
);

export interface Workload {
  /** The character # becomes the number of the operation. */
  readonly query: string;
  readonly variables: object;
  /** Upstream calls of one operation; a maximum if it is below 1. */
  readonly calls: number;
  /** Maximum number of promises that one operation creates: measured with Node 24.21, plus 10 %. */
  readonly promises: number;
}

/** A workload whose allocation is measured too. */
export interface MeasuredWorkload extends Workload {
  /** Maximum number of bytes that one operation allocates: measured with Node 24.21, plus 10 %. */
  readonly bytes: number;
  /** Maximum share of the allocation that survives a scavenge. */
  readonly surviving: number;
  readonly operations: number;
}

/** Four workloads of the benchmark. */
export const workloads: Readonly<Record<string, MeasuredWorkload>> = {
  'a read with the token': {
    query: `query ($id: ID!) { customer(id: $id) { ${fields} clientAuthToken { token } } }`,
    variables: { id: 'w1-#' },
    calls: 1,
    promises: 10.1,
    bytes: 31_500,
    surviving: 0.03,
    operations: 8_000,
  },
  '50 aliases of 10 customers': {
    query: `query (${letters.map((letter) => `$${letter}: ID!`).join(', ')}) { ${aliases.join(' ')} } fragment F on Customer { ${fields} }`,
    variables: Object.fromEntries(letters.map((letter) => [letter, `w2-#-${letter}`])),
    calls: 10,
    promises: 20.1,
    bytes: 222_300,
    // 16 of these operations are in flight, each with a thirtieth of what is in the new space.
    surviving: 0.05,
    operations: 1_500,
  },
  'a read by a document that no other operation sends': {
    query: `{ customer(id: "w8-#") { ${fields} } }`,
    variables: {},
    calls: 1,
    promises: 10.1,
    bytes: 31_400,
    surviving: 0.03,
    operations: 8_000,
  },
  'a create': {
    query: `mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) { __typename ... on CreateCustomerSuccess { customer { ${fields} } } } }`,
    variables: {
      input: {
        objectReferenceId: 'reference-#',
        mobileNumber: '9876543210',
        emailAddress: 'asha@example.com',
        firstName: 'Asha',
        lastName: 'Rao',
        mobileCountryCode: '91',
      },
    },
    calls: 1,
    promises: 30.9,
    bytes: 49_700,
    surviving: 0.03,
    operations: 8_000,
  },
};

/** Equal operations: 16 are in flight at a time, of which two are executed. */
export const sharedRead: Workload = {
  query: `query ($id: ID!) { customer(id: $id) { ${fields} } }`,
  variables: { id: 'shared' },
  calls: 0.5,
  promises: 1.8,
};

/** A provider and a client in processes of their own, which neither allocate nor create promises in the measured one. */
export interface Load {
  /** Address of the provider. */
  readonly baseUrl: string;
  /** File with the API key of the client. */
  readonly keysFile: string;
  /** Sends operations, and expects that all succeed. @returns the number of upstream calls. */
  send(port: number, workload: Workload, count: number): Promise<number>;
  stop(): void;
}

export async function startLoad(): Promise<Load> {
  const start = (program: string) =>
    spawn(process.execPath, ['--eval', program], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [upstream, sender] = [start(provider), start(client)];
  const [upstreamPort] = await once(upstream, 'message');
  const folder = mkdtempSync(join(tmpdir(), 'costs-'));
  const keysFile = join(folder, 'keys.json');
  const sha256 = createHash('sha256').update('key').digest('hex');
  writeFileSync(
    keysFile,
    JSON.stringify([{ name: 'a', sha256, scopes: ['customer:read', 'customer:write', 'customer:token'] }]),
  );
  let first = 0;
  return {
    baseUrl: `http://127.0.0.1:${upstreamPort}`,
    keysFile,
    async send(port, { query, variables }, count) {
      const before = await replyOf<number>(upstream, {});
      const good = await replyOf<number>(sender, { port, query, variables, first, count });
      first += count;
      assert.equal(good, count);
      return (await replyOf<number>(upstream, {})) - before;
    },
    stop() {
      for (const child of [upstream, sender]) child.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Sends a message to a process that answers each one. Rejects if the process ends before. */
export async function replyOf<Reply>(child: ChildProcess, message: object | string): Promise<Reply> {
  const ended = new AbortController();
  const onExit = () => ended.abort();
  child.once('exit', onExit);
  try {
    const reply = once(child, 'message', ended);
    child.send(message);
    return (await reply)[0] as Reply;
  } finally {
    child.off('exit', onExit);
  }
}
