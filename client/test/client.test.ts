import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DocumentNode } from 'graphql';
import { type Harness, newCustomer, withHarness } from '../../test/support.ts';
import {
  CreateCustomerDocument,
  CreateCustomerWithTokenDocument,
  CustomerClientError,
  type CustomerClientOptions,
  CustomerDocument,
  CustomersDocument,
  CustomerWithTokenDocument,
  createCustomerClient,
  outcomeOf,
  UpdateCustomerDocument,
} from '../src/client.ts';

const url = 'http://gateway.test/graphql';
const canary = process.env['CANARY'] ?? 'canary-of-the-client';

interface Sent {
  readonly headers: Headers;
  readonly body: { query?: string; documentId?: string; variables: Record<string, unknown> };
}

/** A client whose responses come from `answer`, and a record of its requests. */
function clientOf(
  answer: (sent: Sent, count: number) => Response | Promise<Response>,
  options: Partial<CustomerClientOptions> = {},
) {
  const sent: Sent[] = [];
  const fetch: typeof globalThis.fetch = async (_input, init) => {
    init?.signal?.throwIfAborted();
    const one = { headers: new Headers(init?.headers), body: JSON.parse(String(init?.body)) };
    sent.push(one);
    return answer(one, sent.length);
  };
  return { client: createCustomerClient({ url, fetch, ...options }), sent };
}

const clientIn = (harness: Harness, options: Partial<CustomerClientOptions> = {}) =>
  createCustomerClient({ url, fetch: (input, init) => harness.gateway.fetch(new Request(input, init)), ...options });

const unauthenticated = () =>
  Response.json(
    { errors: [{ message: '', extensions: { code: 'UNAUTHENTICATED', retryable: false } }] },
    { status: 401 },
  );
const noCustomer = () => Response.json({ data: { customer: null } });

test('the client MUST call `headers` before each request, and send the query and its variables only', async () => {
  let count = 0;
  const { client, sent } = clientOf(noCustomer, {
    headers: async () => {
      count += 1;
      return { authorization: `Bearer ${count}` };
    },
  });
  await client.execute(CustomerDocument, { id: 'a' });
  await client.execute(CustomerDocument, { id: 'a' });
  assert.deepEqual(
    sent.map(({ headers }) => headers.get('authorization')),
    ['Bearer 1', 'Bearer 2'],
  );
  assert.deepEqual(Object.keys(sent[0]?.body ?? {}), ['query', 'variables']);
});

test('with `persisted` the client MUST send the id without the document', async () => {
  const { client, sent } = clientOf(noCustomer, { persisted: true });
  await client.execute(CustomerDocument, { id: 'a' });
  assert.deepEqual(sent[0]?.body, { documentId: CustomerDocument.id, variables: { id: 'a' } });
});

test('UNAUTHENTICATED MUST renew the session once for all concurrent operations, and send each of them once more', async () => {
  let session = 'old';
  let refreshes = 0;
  const { client, sent } = clientOf(
    ({ headers }) => (headers.get('authorization') === 'new' ? noCustomer() : unauthenticated()),
    {
      headers: () => ({ authorization: session }),
      async refresh() {
        refreshes += 1;
        await Promise.resolve();
        session = 'new';
      },
    },
  );
  await Promise.all(['a', 'b', 'c'].map((id) => client.execute(CustomerDocument, { id })));
  assert.equal(refreshes, 1);
  assert.equal(sent.length, 6);
});

test('each mutation MUST have an idempotency key, which repeats of the kit share, and queries MUST NOT', async () => {
  const { client, sent } = clientOf((_one, number) => (number === 1 ? unauthenticated() : noCustomer()), {
    refresh: async () => undefined,
  });
  const update = () => client.request(UpdateCustomerDocument, { id: 'a', input: { firstName: 'A' } });
  await update();
  await update();
  await client.request(CustomerDocument, { id: 'a' });
  await client.request(UpdateCustomerDocument, { id: 'a', input: {} }, { idempotencyKey: 'own' });
  const [first, repeat, second, query, own] = sent.map(({ headers }) => headers.get('idempotency-key'));
  assert.match(first ?? '', /^"[\d.e-]{20,80}"$/);
  assert.equal(repeat, first);
  assert.notEqual(second, first);
  assert.deepEqual([query, own], [null, '"own"']);
});

test('a mutation that is sent again with its key MUST get the first answer from the gateway', () =>
  withHarness(async (harness) => {
    const client = clientIn(harness);
    const variables = { input: newCustomer('reference-key') };
    const first = await client.mutate(CreateCustomerDocument, variables, { idempotencyKey: 'key' });
    const repeat = await client.mutate(CreateCustomerDocument, variables, { idempotencyKey: 'key' });
    assert.equal(first.status, 'success');
    assert.deepEqual(repeat, first);
    assert.equal(harness.upstream().filter((call) => call.startsWith('POST')).length, 1);
  }));

test('a session that the gateway still rejects after one renewal MUST be an error', async () => {
  let refreshes = 0;
  const { client, sent } = clientOf(unauthenticated, {
    async refresh() {
      refreshes += 1;
    },
  });
  await assert.rejects(client.execute(CustomerDocument, { id: 'a' }), { code: 'UNAUTHENTICATED', status: 401 });
  assert.deepEqual([refreshes, sent.length], [1, 2]);
});

test('a 401 of a proxy MUST renew the session, and be UNAUTHENTICATED if it is repeated', async () => {
  const page = () => new Response('<h1>sign in</h1>', { status: 401 });
  let renewals = 0;
  const refresh = async () => {
    renewals += 1;
  };
  const { client, sent } = clientOf((_sent, count) => (count === 1 ? page() : noCustomer()), { refresh });
  assert.deepEqual(await client.execute(CustomerDocument, { id: 'a' }), { customer: null });
  assert.deepEqual([renewals, sent.length], [1, 2]);
  const repeated = clientOf(page);
  await assert.rejects(repeated.client.execute(CustomerDocument, { id: 'a' }), {
    code: 'UNAUTHENTICATED',
    status: 401,
  });
});

test('an operation that was executed in part MUST NOT be sent again after UNAUTHENTICATED', async () => {
  const errors = [{ message: '', path: ['other'], extensions: { code: 'UNAUTHENTICATED' } }];
  const { client, sent } = clientOf(() => Response.json({ data: { customer: null, other: null }, errors }), {
    refresh: () => assert.fail('renewed'),
  });
  assert.equal((await client.request(CustomerDocument, { id: 'a' })).errors[0]?.code, 'UNAUTHENTICATED');
  assert.equal(sent.length, 1);
});

test('a rejected request that was sent before a renewal MUST NOT start another renewal', async () => {
  let refreshes = 0;
  const late = Promise.withResolvers<void>();
  const { client } = clientOf(
    async ({ body }, count) => {
      if (body.variables['id'] === 'late' && count === 1) await late.promise;
      return count <= 2 ? unauthenticated() : noCustomer();
    },
    {
      async refresh() {
        refreshes += 1;
      },
    },
  );
  const waiting = client.execute(CustomerDocument, { id: 'late' });
  await client.execute(CustomerDocument, { id: 'early' });
  late.resolve();
  await waiting;
  assert.equal(refreshes, 1);
});

test('an abort MUST reject with its reason and cancel the request', () =>
  withHarness(async (harness) => {
    const client = clientIn(harness);
    const abort = new AbortController();
    harness.sandbox.arm({ fault: 'timeout', on: 'get', times: 1 });
    const running = client.execute(CustomerDocument, { id: 'u7' }, { signal: abort.signal });
    await harness.sandbox.whenCalled(({ pathId }) => pathId === 'u7');
    abort.abort();
    await assert.rejects(running, { name: 'AbortError' });
    await assert.rejects(client.execute(CustomerDocument, { id: 'u7' }, { signal: abort.signal }), {
      name: 'AbortError',
    });
  }));

test('a failure MUST be a CustomerClientError with code, retryable, request id, path and status, and without sent values', () =>
  withHarness(async (harness) => {
    const client = clientIn(harness);
    const failureOf = async (id: string): Promise<CustomerClientError> => {
      const error = await client.execute(CustomerDocument, { id }).catch((reason: unknown) => reason);
      assert.ok(error instanceof CustomerClientError);
      return error;
    };
    const rejected = await failureOf('fault_rejected');
    assert.equal(rejected.code, 'UPSTREAM_REJECTED');
    assert.equal(rejected.retryable, false);
    assert.match(rejected.requestId ?? '', /^[0-9a-f-]{36}$/);
    assert.deepEqual(rejected.path, ['customer']);
    assert.equal(rejected.status, 200);

    const impossible = await failureOf(`${canary}\n`);
    assert.equal(impossible.code, 'BAD_USER_INPUT');
    assert.doesNotMatch(
      `${impossible.stack} ${JSON.stringify(impossible)} ${String(impossible.cause)}`,
      new RegExp(canary),
    );
  }));

test('a response that is not GraphQL MUST be INVALID_RESPONSE, without its text', async () => {
  for (const [status, retryable] of [
    [502, true],
    [404, false],
    [200, false],
  ] as const) {
    const { client } = clientOf(() => new Response(`<h1>${canary}</h1>`, { status, headers: { 'retry-after': '7' } }));
    const error = await client.execute(CustomerDocument, { id: 'a' }).catch((reason: unknown) => reason);
    assert.ok(error instanceof CustomerClientError);
    assert.deepEqual([error.code, error.status, error.retryable], ['INVALID_RESPONSE', status, retryable]);
    assert.equal(error.retryAfterSeconds, 7);
    assert.doesNotMatch(`${error.stack} ${String(error.cause)}`, new RegExp(canary));
  }
  for (const body of [
    null,
    'null',
    {},
    { data: null },
    { data: null, errors: [] },
    { error: canary },
    { errors: canary },
  ]) {
    const { client } = clientOf(() => Response.json(body));
    await assert.rejects(client.execute(CustomerDocument, { id: 'a' }), { code: 'INVALID_RESPONSE' });
  }
  const { client } = clientOf(() => Response.json({ data: { customer: null }, errors: null }));
  assert.deepEqual(await client.execute(CustomerDocument, { id: 'a' }), { customer: null });
});

test('the client MUST read error details from the headers if the extensions lack them, and ignore invalid values', async () => {
  const headers = { 'retry-after': '12', 'x-request-id': 'r-1' };
  const detailsOf = async (extensions: object | undefined, status = 200) => {
    const { client } = clientOf(() =>
      Response.json({ errors: [{ message: canary, extensions }] }, { status, headers }),
    );
    const error = await client.execute(CustomerDocument, { id: 'a' }).catch((reason: unknown) => reason);
    assert.ok(error instanceof CustomerClientError);
    assert.equal(error.message, `${error.code} (request ${error.requestId})`);
    return [error.code, error.retryable, error.requestId, error.retryAfterSeconds];
  };
  assert.deepEqual(await detailsOf(undefined), ['INTERNAL_SERVER_ERROR', false, 'r-1', 12]);
  const own = { code: 'RATE_LIMITED', retryable: true, requestId: 'r-2', retryAfterSeconds: 0 };
  assert.deepEqual(await detailsOf(own), ['RATE_LIMITED', true, 'r-2', 0]);
  const odd = { code: `${canary} !`, retryable: 'yes', retryAfterSeconds: -1 };
  assert.deepEqual(await detailsOf(odd), ['INTERNAL_SERVER_ERROR', false, 'r-1', undefined]);
  // Without `retryable` the HTTP status decides.
  assert.deepEqual(await detailsOf({ code: 'BUSY' }, 503), ['BUSY', true, 'r-1', 12]);
  assert.deepEqual(await detailsOf({ code: 'BUSY', retryable: false }, 503), ['BUSY', false, 'r-1', 12]);
});

test('a network failure MUST be NETWORK_ERROR, and a missing response MUST be TIMEOUT', async () => {
  const { client } = clientOf(() => Promise.reject(new TypeError(`fetch failed at ${canary}`)));
  await assert.rejects(client.execute(CustomerDocument, { id: 'a' }), { code: 'NETWORK_ERROR', retryable: true });
  const slow: typeof fetch = (_input, init) =>
    new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)));
  const impatient = createCustomerClient({ url, fetch: slow, timeoutMs: 5 });
  // Keep the process alive while the timer of the client runs.
  const alive = setInterval(() => undefined, 1000);
  await assert.rejects(impatient.execute(CustomerDocument, { id: 'a' }), { code: 'TIMEOUT', retryable: true });
  clearInterval(alive);
});

test('a programming error MUST be thrown unchanged, and only network failures MUST be NETWORK_ERROR', async () => {
  const programmingErrors: readonly (() => never | Promise<Response>)[] = [
    () => Promise.reject(new ReferenceError('session is not defined')),
    () => Promise.reject(new RangeError('Invalid array length')),
    () => Promise.reject(new SyntaxError('Unexpected token')),
    () => Promise.reject(new Error('out of tickets')),
    () => (undefined as unknown as { text: () => never }).text(),
    async () => (undefined as unknown as { text: () => never }).text(),
    async () => ({}) as Response,
    () => fetch('http://'),
    ...['undefined is not an object', 'x is undefined', "Cannot read property 'a' of undefined"].map(
      (message) => () => Promise.reject(new TypeError(message)),
    ),
  ];
  for (const programmingError of programmingErrors) {
    const { client } = clientOf(programmingError);
    const error = await client.execute(CustomerDocument, { id: 'a' }).catch((reason: unknown) => reason);
    assert.ok(error instanceof Error && !(error instanceof CustomerClientError), String(error));
  }
  const messages = ['Failed to fetch', 'Load failed', 'Network request failed', 'fetch failed', 'terminated'];
  for (const message of [
    ...messages,
    'NetworkError when attempting to fetch resource.',
    'The network connection was lost.',
  ]) {
    const { client } = clientOf(() => Promise.reject(new TypeError(message)));
    await assert.rejects(client.execute(CustomerDocument, { id: 'a' }), { code: 'NETWORK_ERROR', retryable: true });
  }
});

test('the client MUST work without the APIs that React Native lacks', async () => {
  const missing = [
    [AbortSignal, 'timeout'],
    [AbortSignal, 'any'],
    [AbortSignal.prototype, 'reason'],
    [globalThis, 'DOMException'],
    [Response, 'json'],
    [Promise, 'withResolvers'],
    [URL, 'parse'],
    [URL, 'canParse'],
    [globalThis, 'structuredClone'],
    [globalThis, 'crypto'],
    [Array.prototype, 'toSorted'],
    [Object, 'groupBy'],
  ] as const;
  const noCustomer = new Response('{"data":{"customer":null}}');
  const kept = missing.map(([owner, name]) => [owner, name, Object.getOwnPropertyDescriptor(owner, name)] as const);
  for (const [owner, name] of missing) Reflect.deleteProperty(owner, name);
  try {
    const { client } = clientOf(() => noCustomer.clone());
    assert.deepEqual(await client.execute(CustomerDocument, { id: 'a' }), { customer: null });
    const { signal } = new AbortController();
    assert.deepEqual(await client.execute(CustomerDocument, { id: 'a' }, { signal }), { customer: null });
    const abort = new AbortController();
    const slow = clientOf(() => {
      abort.abort();
      return new Promise(() => undefined);
    });
    await assert.rejects(slow.client.execute(CustomerDocument, { id: 'a' }, abort), { name: 'AbortError' });
    const { customerExchange, CustomerAst } = await import('../src/urql.ts');
    const { Client } = await import('urql');
    const urqlClient = new Client({ url, preferGetMethod: false, exchanges: [customerExchange(client)] });
    const { data } = await urqlClient.query(CustomerAst as DocumentNode, { id: 'a' }).toPromise();
    assert.deepEqual(data, { customer: null });
  } finally {
    for (const [owner, name, descriptor] of kept) if (descriptor) Object.defineProperty(owner, name, descriptor);
  }
});

test('an operation MUST time out even if `fetch` ignores the signal or `headers` never resolves', async () => {
  const never = () => new Promise<never>(() => undefined);
  for (const options of [{ fetch: never }, { headers: never }]) {
    const client = createCustomerClient({ url, timeoutMs: 5, ...options });
    await assert.rejects(client.execute(CustomerDocument, { id: 'a' }), { code: 'TIMEOUT', retryable: true });
  }
});

test('Retry-After MUST be read as seconds or as any form of an HTTP date, and limited to one day', async (context) => {
  const zone = process.env['TZ'];
  context.after(() => {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  });
  // A date without a time zone is in GMT, wherever the app runs.
  process.env['TZ'] = 'Asia/Kolkata';
  const retryAfterOf = async (retryAfter: string) => {
    const { client } = clientOf(() => new Response('busy', { status: 503, headers: { 'retry-after': retryAfter } }));
    const error = await client.execute(CustomerDocument, { id: 'a' }).catch((reason: unknown) => reason);
    assert.ok(error instanceof CustomerClientError);
    return error.retryAfterSeconds;
  };
  for (const [text, seconds] of [
    ['0', 0],
    ['000000000000012', 12],
    ['86400', 86_400],
    ['86401', 86_400],
    ['9'.repeat(400), 86_400],
    ['Fri, 31 Dec 9999 23:59:59 GMT', 86_400],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 0],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 0],
    ['Sun Nov  6 08:49:37 1994', 0],
    ['-1', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['Never', undefined],
  ] as const) {
    assert.equal(await retryAfterOf(text), seconds, text);
  }
  const at = new Date(Date.now() + 3_600_000);
  const [day, date, month, year, time] = at.toUTCString().replace(',', '').split(' ');
  const names = { Sun: 'Sunday', Mon: 'Monday', Tue: 'Tuesday', Wed: 'Wednesday', Thu: 'Thursday', Fri: 'Friday' };
  const name = { Sat: 'Saturday', ...names }[day as 'Sat'];
  for (const text of [
    at.toUTCString(),
    `${name}, ${date}-${month}-${year?.slice(2)} ${time} GMT`,
    `${day} ${month} ${date} ${time} ${year}`,
  ]) {
    const seconds = (await retryAfterOf(text)) ?? 0;
    assert.ok(seconds > 3500 && seconds <= 3600, `${text}: ${seconds}`);
  }
});

test('variables that cannot be serialised MUST throw a TypeError, and nothing MUST be sent', async () => {
  const { client, sent } = clientOf(noCustomer);
  await assert.rejects(client.execute(CustomerDocument, { id: 1n as unknown as string }), TypeError);
  assert.equal(sent.length, 0);
});

test('errors of `headers` and `refresh` MUST be thrown unchanged', async () => {
  const own = new Error('signed out');
  const { client } = clientOf(noCustomer, { headers: () => Promise.reject(own) });
  await assert.rejects(client.execute(CustomerDocument, { id: 'a' }), own);
  const rejected = clientOf(unauthenticated, { refresh: () => Promise.reject(own) });
  await assert.rejects(rejected.client.execute(CustomerDocument, { id: 'a' }), own);
});

test('if one customer of a list fails, `execute` MUST throw and `request` MUST return the others', () =>
  withHarness(async (harness) => {
    const client = clientIn(harness);
    const variables = { ids: ['u7', 'fault_rejected', 'nobody'] };
    await assert.rejects(client.execute(CustomersDocument, variables), { code: 'UPSTREAM_REJECTED' });
    const { data, errors } = await client.request(CustomersDocument, variables);
    assert.deepEqual(
      data?.customers?.map((customer) => customer?.objectReferenceId),
      ['u7', undefined, undefined],
    );
    assert.deepEqual(
      errors.map(({ path }) => path),
      [['customers', 1]],
    );
  }));

test('an error of the token MUST NOT discard an acknowledged write', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: 'no_token', on: 'create' });
    const client = clientIn(harness);
    const variables = { input: newCustomer('client-no-token') };
    const made = await client.mutate(CreateCustomerWithTokenDocument, variables);
    assert.ok(made.status === 'success');
    assert.equal(made.customer.clientAuthToken, null);
    assert.equal(client.tokens.held(made.customer.id), undefined);
  }));

test('the token in the result of a mutation MUST be moved to `tokens`, under the id and the reference', () =>
  withHarness(async (harness) => {
    const client = clientIn(harness);
    const made = await client.mutate(CreateCustomerWithTokenDocument, { input: newCustomer('client-with-token') });
    assert.ok(made.status === 'success');
    assert.doesNotMatch(JSON.stringify(made), /tkn_/);
    for (const name of [made.customer.id, 'client-with-token']) {
      assert.match((await client.tokens.get(name)).token, /^tkn_/);
    }
    assert.deepEqual(harness.upstream(), ['POST /customers']);
  }));

test('after an ambiguous outcome, "already exists" without differing fields MUST become the lost success', () =>
  withHarness(
    async (harness) => {
      const client = clientIn(harness);
      const create = (more: object = {}) =>
        client.mutate(CreateCustomerDocument, { input: newCustomer('client-lost-create', more) });
      harness.sandbox.arm({ fault: '500', on: 'create', afterCommit: true, times: 1 });
      harness.sandbox.arm({ fault: '500', on: 'get', times: 50 });
      assert.equal((await create()).status, 'outcomeUnknown');
      harness.sandbox.disarm();

      const other = await create({ mobileNumber: '1' });
      assert.ok(other.status === 'exists');
      assert.deepEqual(other.differingFields, ['mobileNumber']);
      const settled = await create();
      assert.ok(settled.status === 'success');
      assert.equal(settled.origin, 'RECONCILED');
      assert.equal(settled.customer.objectReferenceId, 'client-lost-create');
      // The ambiguous outcome is settled, so another retry is an ordinary duplicate.
      assert.equal((await create()).status, 'exists');
    },
    { OPERATION_TIMEOUT_MS: '1500' },
  ));

test('a response that is lost between gateway and app MUST count as an ambiguous outcome', () =>
  withHarness(async (harness) => {
    let isDisconnected = true;
    const client = clientIn(harness, {
      async fetch(input, init) {
        const response = await harness.gateway.fetch(new Request(input, init));
        if (isDisconnected) throw new TypeError('connection lost');
        return response;
      },
    });
    const variables = { input: newCustomer('client-disconnected') };
    await assert.rejects(client.mutate(CreateCustomerDocument, variables), { code: 'NETWORK_ERROR' });
    isDisconnected = false;
    const made = await client.mutate(CreateCustomerDocument, variables);
    assert.ok(made.status === 'success' && made.origin === 'RECONCILED');
  }));

test('a create that the app cancelled MUST count as an ambiguous outcome', () =>
  withHarness(async (harness) => {
    const abort = new AbortController();
    const client = clientIn(harness, {
      async fetch(input, init) {
        const response = await harness.gateway.fetch(new Request(input, { ...init, signal: null }));
        abort.abort();
        init?.signal?.throwIfAborted();
        return response;
      },
    });
    const variables = { input: newCustomer('client-given-up') };
    const { signal } = abort;
    await assert.rejects(client.mutate(CreateCustomerDocument, variables, { signal }), { name: 'AbortError' });
    const made = await client.mutate(CreateCustomerDocument, variables);
    assert.ok(made.status === 'success' && made.origin === 'RECONCILED');
  }));

test('an error of a router, or of a repeat that it or the browser sent, MUST count as an ambiguous outcome; a refusal MUST NOT', () =>
  withHarness(async (harness) => {
    const router = (code: string, data: unknown, isDone: boolean) =>
      clientIn(harness, {
        async fetch(input, init) {
          if (answers.length === 0) return harness.gateway.fetch(new Request(input, init));
          answers.pop();
          if (isDone) await harness.gateway.fetch(new Request(input, init));
          return Response.json({
            data,
            errors: [{ message: 'upstream', path: ['createCustomer'], extensions: { code } }],
          });
        },
      });
    const answers: true[] = [];
    const createTwice = async (client: ReturnType<typeof clientIn>, reference: string) => {
      answers.push(true);
      const variables = { input: newCustomer(reference) };
      await assert.rejects(client.mutate(CreateCustomerDocument, variables), { name: 'CustomerClientError' });
      return (await client.mutate(CreateCustomerDocument, variables)).status;
    };
    assert.equal(
      await createTwice(router('SUBREQUEST_HTTP_ERROR', { createCustomer: null }, true), 'client-router-1'),
      'success',
    );
    assert.equal(await createTwice(router('GATEWAY_TIMEOUT', null, true), 'client-router-2'), 'success');
    for (const code of ['UNAUTHENTICATED', 'OVERLOADED', 'RATE_LIMITED']) {
      assert.equal(await createTwice(router(code, null, true), `client-router-${code}`), 'success');
    }
    await clientIn(harness).mutate(CreateCustomerDocument, { input: newCustomer('client-router-3') });
    assert.equal(await createTwice(router('FORBIDDEN', null, false), 'client-router-3'), 'exists');
  }));

test('"already exists" without an ambiguous outcome MUST stay `exists`', () =>
  withHarness(async (harness) => {
    const variables = { input: newCustomer('client-duplicate') };
    assert.equal((await clientIn(harness).mutate(CreateCustomerDocument, variables)).status, 'success');
    assert.equal((await clientIn(harness).mutate(CreateCustomerDocument, variables)).status, 'exists');
    // A create that was never sent has no ambiguous outcome.
    let isSignedOut = true;
    const client = clientIn(harness, { headers: () => (isSignedOut ? Promise.reject(new Error('signed out')) : {}) });
    await assert.rejects(client.mutate(CreateCustomerDocument, variables), /signed out/);
    isSignedOut = false;
    assert.equal((await client.mutate(CreateCustomerDocument, variables)).status, 'exists');
  }));

test('a union member of a later version MUST be `other`, with the common fields of errors', () => {
  const later = { __typename: 'CustomerFrozenError', code: 'FROZEN', message: 'm', retryable: false, requestId: 'r' };
  assert.deepEqual(outcomeOf(later), { ...later, status: 'other' });
});

test('the path of an error MAY be null, and one that is no list MUST be ignored', async () => {
  for (const path of [null, 'createCustomer', 7, {}]) {
    const { client } = clientOf(() => Response.json({ data: null, errors: [{ message: '', path }] }));
    const variables = { input: newCustomer('client-path') };
    await assert.rejects(client.mutate(CreateCustomerDocument, variables), { code: 'INTERNAL_SERVER_ERROR', path: [] });
  }
});

test('a `refresh` that hangs MUST NOT outlast the time limit of an operation, or its signal', async () => {
  const refresh = () => new Promise(() => undefined);
  const { client } = clientOf(unauthenticated, { refresh, timeoutMs: 20 });
  await assert.rejects(client.execute(CustomerDocument, { id: 'a' }), { code: 'TIMEOUT' });
  const abort = new AbortController();
  const waiting = client.execute(CustomerDocument, { id: 'b' }, { signal: abort.signal });
  abort.abort(new Error('left'));
  await assert.rejects(waiting, { message: 'left' });
});

test('an `idempotencyKey` that is undefined or empty MUST be replaced by a key of the call', async () => {
  const { client, sent } = clientOf(() => Response.json({ data: { updateCustomer: null } }));
  for (const idempotencyKey of [undefined, '']) {
    await client.request(UpdateCustomerDocument, { id: 'a', input: {} }, { idempotencyKey });
  }
  const keys = sent.map(({ headers }) => headers.get('idempotency-key'));
  assert.ok(
    keys.every((key) => /^"[\d.]+"$/.test(key ?? '')),
    String(keys),
  );
  assert.equal(new Set(keys).size, 2);
});

test('a token that arrives after `tokens.clear` MUST be dropped, in the result of a mutation and of a query', () =>
  withHarness(async (harness) => {
    let onSent = () => {};
    const client = clientIn(harness, {
      async fetch(input, init) {
        const response = await harness.gateway.fetch(new Request(input, init));
        onSent();
        return response;
      },
    });
    onSent = () => client.tokens.clear();
    const made = await client.mutate(CreateCustomerWithTokenDocument, { input: newCustomer('client-cleared') });
    assert.ok(made.status === 'success');
    assert.equal(client.tokens.held('client-cleared'), undefined);
    const { customer } = await client.execute(CustomerWithTokenDocument, { id: 'client-cleared' });
    assert.deepEqual([customer?.objectReferenceId, customer?.clientAuthToken], ['client-cleared', null]);
    onSent = () => {};
    assert.ok((await client.execute(CustomerWithTokenDocument, { id: 'client-cleared' })).customer?.clientAuthToken);
  }));

test('a time limit that is longer than the longest timer MUST NOT expire at once', async () => {
  const { client } = clientOf(noCustomer, { timeoutMs: Number.POSITIVE_INFINITY });
  assert.deepEqual(await client.execute(CustomerDocument, { id: 'a' }), { customer: null });
});
