import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';

const clients = 8;
/** So many requests on connections of their own reach each of several workers. */
const refusalsOfAll = 16;
/** Between two requests with a removed value. */
const probeMs = 10;
/** A change without an effect for so long was not applied. */
export const patienceMs = 15_000;

/** The values of all files have a generation, which a swap increments. */
export const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
export const documentOf = (generation: number) => `query D${generation}($id: ID!) { customer(id: $id) { id } }`;
export const callerKey = (generation: number) => `caller-key-${generation}`;
export const secretOf = (generation: number) => `shared secret ${generation}`.padEnd(40, '.');

function tokenOf(generation: number): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 3_600;
  const claims = { iss: 'i', aud: 'a', sub: 's', exp, scope: 'customer:any customer:read' };
  const input = `${encode({ alg: 'HS256' })}.${encode(claims)}`;
  return `${input}.${createHmac('sha256', secretOf(generation)).update(input).digest('base64url')}`;
}

/** Clients that send operations with caller keys, tokens and ids of documents, without a pause. */
export class Load {
  completed = 0;
  failed = 0;
  /** The first failures. */
  readonly failures: string[] = [];
  readonly #url: string;
  readonly #refusals: number;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #loops: Promise<unknown>;
  #generation = 0;
  /** `undefined` while the shared secret changes. */
  #token: string | undefined = tokenOf(0);
  #started = 0;
  #isStopped = false;

  constructor(url: string, workers: number) {
    this.#url = url;
    this.#refusals = workers === 1 ? 1 : refusalsOfAll;
    this.#loops = Promise.all(
      Array.from({ length: clients }, async () => {
        while (!this.#isStopped) {
          const operation = this.#operate(this.#started++);
          this.#inFlight.add(operation);
          await operation;
          this.#inFlight.delete(operation);
        }
      }),
    );
  }

  /** Resolves when `count` operations are complete. */
  async reached(count: number): Promise<void> {
    while (this.completed < count) await Promise.race(this.#inFlight);
  }

  /** Uses the caller keys and documents of this generation, and no tokens. Resolves when no operation uses older ones. */
  async prepare(generation: number): Promise<void> {
    this.#generation = generation;
    this.#token = undefined;
    await Promise.all(this.#inFlight);
  }

  resumeTokens(): void {
    this.#token = tokenOf(this.#generation);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#loops;
  }

  /** Sends the key, the token or the id of the document of this generation until it is refused. @returns when it was last accepted. */
  async lastAccepted(value: 'key' | 'token' | 'document', generation: number): Promise<number | undefined> {
    const key = { 'x-api-key': callerKey(value === 'key' ? generation : this.#generation) };
    const headers = value === 'token' ? { authorization: `Bearer ${tokenOf(generation)}` } : key;
    const documentId = sha256(documentOf(generation));
    const body = value === 'document' ? { documentId, variables: { id: 'probe' } } : { query: '{ __typename }' };
    const end = performance.now() + patienceMs;
    let acceptedMs: number | undefined;
    for (let refused = 0; ; ) {
      const sentMs = performance.now();
      const { status, text } = await sendOnce(this.#url, headers, body);
      const isRefused = status === 401 || text.includes('PERSISTED_QUERY_NOT_FOUND');
      if (!isRefused) acceptedMs = sentMs;
      refused = isRefused ? refused + 1 : 0;
      if (refused === this.#refusals || sentMs > end) return acceptedMs;
      if (!isRefused) await delay(probeMs);
    }
  }

  async #operate(number: number): Promise<void> {
    const id = `c-${number}`;
    const key = callerKey(this.#generation);
    const isUpdate = number % 10 === 0;
    const kind = number % 4;
    const headers: Record<string, string> =
      kind === 1 && this.#token !== undefined && !isUpdate
        ? { authorization: `Bearer ${this.#token}` }
        : { 'x-api-key': kind === 2 ? `${key}-beta` : key };
    const read =
      kind === 3
        ? { documentId: sha256(documentOf(this.#generation)), variables: { id } }
        : { query: `{ customer(id: "${id}") { id } }` };
    const update = { query: `mutation { updateCustomer(id: "${id}", input: { firstName: "A" }) { __typename } }` };
    const expected = isUpdate
      ? '{"data":{"updateCustomer":{"__typename":"UpdateCustomerSuccess"}}}'
      : `{"data":{"customer":{"id":"${id}"}}}`;
    const { status, text } = await this.#send(headers, isUpdate ? update : read).catch((error: unknown) => ({
      status: 0,
      text: String(error),
    }));
    this.completed += 1;
    if (status === 200 && text === expected) return;
    this.failed += 1;
    if (this.failures.length < 5) this.failures.push(`${status} ${text}`);
  }

  async #send(headers: Record<string, string>, body: object): Promise<{ status: number; text: string }> {
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    return { status: response.status, text: await response.text() };
  }
}

/** Sends one operation on a connection of its own. */
async function sendOnce(
  url: string,
  headers: Record<string, string>,
  body: object,
): Promise<{ status: number; text: string }> {
  const message = request(url, {
    method: 'POST',
    agent: false,
    headers: { 'content-type': 'application/json', ...headers },
  });
  message.end(JSON.stringify(body));
  const [response] = (await once(message, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, text: await text(response) };
}
