import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverAudits } from 'graphql-http';
import { codesOf, withHarness } from '../support.ts';

const json = { 'content-type': 'application/json' };
const post = (body: string, headers: Record<string, string> = json) => ({ method: 'POST', headers, body });
const query = (text: string, more: object = {}) => JSON.stringify({ query: text, ...more });
const canary = 'canary-7f3a';

test('the GraphQL-over-HTTP audits MUST all pass, with the header that forces a preflight', () =>
  withHarness(async ({ gateway }) => {
    const audits = serverAudits({
      url: 'http://gateway.test/graphql',
      fetchFn: (url: string, init: RequestInit = {}) => {
        const headers = new Headers(init.headers);
        headers.set('x-graphql-yoga-csrf', '1');
        return gateway.fetch(new Request(url, { ...init, headers }));
      },
    });
    const results = await Promise.all(audits.map(async (audit) => ({ ...(await audit.fn()), name: audit.name })));
    assert.deepEqual(
      results.filter(({ status }) => status !== 'ok').map(({ name, status }) => ({ name, status })),
      [],
    );
    assert.equal(results.length, 61);
  }));

/** Requests that MUST be refused, with their status. None of them may reach the provider. */
const refused: readonly [string, RequestInit & { path?: string }, number, string][] = [
  [
    'GET without a header that forces a preflight',
    { path: '/graphql?query={customer(id:"u7"){id}}' },
    403,
    'BAD_USER_INPUT',
  ],
  [
    'GET with a type that needs no preflight',
    { path: '/graphql?query={__typename}', headers: { 'content-type': 'message/rfc822' } },
    403,
    'BAD_USER_INPUT',
  ],
  [
    'GET with such a type and the header',
    { path: '/graphql?query={__typename}', headers: { 'content-type': 'text/plain', 'x-graphql-yoga-csrf': '1' } },
    403,
    'BAD_USER_INPUT',
  ],
  [
    'a mutation by GET',
    {
      path: '/graphql?query=mutation{updateCustomer(id:"u7",input:{}){__typename}}',
      headers: { 'x-graphql-yoga-csrf': '1' },
    },
    405,
    'BAD_USER_INPUT',
  ],
  ['PUT', { method: 'PUT', headers: json, body: query('{__typename}') }, 405, 'BAD_USER_INPUT'],
  [
    'a form',
    post('query={__typename}', { 'content-type': 'application/x-www-form-urlencoded' }),
    415,
    'BAD_USER_INPUT',
  ],
  ['plain text', post(query('{__typename}'), { 'content-type': 'text/plain' }), 415, 'BAD_USER_INPUT'],
  ['multipart', post('--x--', { 'content-type': 'multipart/form-data; boundary=x' }), 415, 'BAD_USER_INPUT'],
  [
    'another charset',
    post(query('{__typename}'), { 'content-type': 'application/json; charset=utf-16' }),
    415,
    'BAD_USER_INPUT',
  ],
  [
    'two charsets',
    post(query('{__typename}'), { 'content-type': 'application/json; charset=utf-8; charset=utf-16' }),
    415,
    'BAD_USER_INPUT',
  ],
  [
    'a charset between spaces',
    post(query('{__typename}'), { 'content-type': 'application/json; charset = "utf-7"' }),
    415,
    'BAD_USER_INPUT',
  ],
  ['a compressed body', post('x', { ...json, 'content-encoding': 'gzip' }), 415, 'BAD_USER_INPUT'],
  ['a compressed transfer', post('x', { ...json, 'transfer-encoding': 'gzip, chunked' }), 415, 'BAD_USER_INPUT'],
  ['a body over the limit', post(query(`{__typename} #${'x'.repeat(70_000)}`)), 413, 'BAD_USER_INPUT'],
  ['malformed JSON', post(`{"query": "${canary}`), 400, 'BAD_USER_INPUT'],
  ['an array', post(`[${query('{__typename}')}]`), 400, 'BAD_USER_INPUT'],
  ['a body that is not an object', post('"text"'), 400, 'BAD_USER_INPUT'],
  ['no query', post('{}'), 400, 'BAD_USER_INPUT'],
  ['a query that is not a string', post('{"query": 1}'), 400, 'BAD_USER_INPUT'],
  ['variables that are not an object', post(query('{__typename}', { variables: [] })), 400, 'BAD_USER_INPUT'],
];

for (const [name, init, status, code] of refused) {
  test(`${name} MUST be refused with ${status} and an error body`, () =>
    withHarness(async (harness) => {
      const answer = await harness.fetch(init);
      assert.equal(answer.status, status);
      assert.deepEqual(codesOf(answer), { '': code });
      assert.equal(answer.text.includes(canary), false);
      assert.equal(answer.headers.get('cache-control'), 'no-store');
      assert.deepEqual(harness.upstream(), []);
    }));
}

test('a mutation MUST NOT be executed if the client does not accept the type of the response', () =>
  withHarness(async (harness) => {
    const document = 'mutation { updateCustomer(id: "u7", input: { firstName: "A" }) { __typename } }';
    for (const accept of [
      'text/plain',
      'text/event-stream',
      'multipart/mixed',
      'text/html',
      'application/json; charset=utf-16',
      'application/json;q=0',
      'application/json;q=0, application/graphql-response+json; q=0.0, text/html',
      '*/*;q=0',
    ]) {
      const answer = await harness.fetch(post(query(document), { ...json, accept }));
      assert.equal(answer.status, 406, accept);
      assert.deepEqual(codesOf(answer), { '': 'BAD_USER_INPUT' });
    }
    assert.deepEqual(harness.upstream(), []);
    for (const accept of [
      '*/*',
      'application/*',
      'text/html, application/json;q=0.9',
      'text/event-stream, application/graphql-response+json',
    ]) {
      const answer = await harness.fetch(post(query(document), { ...json, accept }));
      assert.equal(answer.status, 200, accept);
      assert.deepEqual(answer.data, { updateCustomer: { __typename: 'UpdateCustomerSuccess' } }, accept);
    }
  }));

test('an operation by GET MUST be executed although `Accept` names HTML, and a browser MUST get GraphiQL', () =>
  withHarness(async (harness) => {
    const path = `/graphql?query=${encodeURIComponent('{ __typename }')}`;
    for (const accept of ['application/json, text/html;q=0', 'text/html;q=0.1, application/json', '*/*, text/html']) {
      const answer = await harness.fetch({ path, headers: { accept, 'apollo-require-preflight': '1' } });
      assert.deepEqual(answer.data, { __typename: 'Query' }, accept);
    }
    const page = await harness.fetch({ path, headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } });
    assert.match(page.headers.get('content-type') ?? '', /^text\/html/);
  }));

/** Values of `Accept`, and the type of the response. */
const wanted: readonly [string | undefined, 'json' | 'graphql-response+json'][] = [
  [undefined, 'json'],
  ['*/*', 'json'],
  ['text/html, application/*;q=0.1', 'json'],
  ['application/graphql-response+json, application/json', 'graphql-response+json'],
  ['application/json, application/graphql-response+json', 'json'],
  ['application/json;q=0.5, application/graphql-response+json', 'graphql-response+json'],
  ['application/graphql-response+json;q=0.5, application/json', 'json'],
  ['application/graphql-response+json; Q=0.9, application/json ; q=0.95, */*', 'json'],
  ['application/json;q=0, */*;q=0.1', 'graphql-response+json'],
  ['application/graphql-response+json;q=0, application/*', 'json'],
  ['application/json;charset=utf-16, application/graphql-response+json;q=0.1', 'graphql-response+json'],
];

test('each response MUST have the accepted type with the highest weight', () =>
  withHarness(async (harness) => {
    for (const [accept, type] of wanted) {
      const headers = { ...json, ...(accept !== undefined && { accept }) };
      const executed = await harness.fetch(post(query('{ __typename }'), headers));
      const invalid = await harness.fetch(post(query('{ nothing }'), headers));
      const unparsed = await harness.fetch(post(query('{'), headers));
      const refused = await harness.fetch(post('{', headers));
      const badBody = await harness.fetch(post('x', { ...headers, 'content-type': 'text/plain' }));
      const answers = [executed, invalid, unparsed, refused, badBody];
      const inDocument = type === 'json' ? 200 : 400;
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, inDocument, inDocument, 400, 415],
        accept,
      );
      for (const answer of answers)
        assert.equal(answer.headers.get('content-type'), `application/${type}; charset=utf-8`, accept);
    }
  }));

test('reading an endless chunked body MUST stop at the limit', () =>
  withHarness(async (harness) => {
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        sent += 1024;
        controller.enqueue(new Uint8Array(1024).fill(32));
      },
    });
    const answer = await harness.fetch({ method: 'POST', headers: json, body, duplex: 'half' } as RequestInit);
    assert.equal(answer.status, 413);
    assert.ok(sent < 200_000, `${sent} bytes were taken`);
  }));

const repeat = (count: number, text: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => text(n)).join(' ');
const nested = (levels: number): string => (levels === 0 ? '{ id }' : `{ ...on Customer ${nested(levels - 1)} }`);

/** Documents that MUST be refused before anything is executed. */
const documents: readonly [string, string, string][] = [
  ['61 aliases', `{ ${repeat(61, (n) => `a${n}: customer(id: "u7") { id }`)} }`, 'OPERATION_TOO_COMPLEX'],
  ['61 aliases of __typename', `{ ${repeat(61, (n) => `a${n}: __typename`)} }`, 'OPERATION_TOO_COMPLEX'],
  [
    'aliases multiplied by fragments',
    `{ ${repeat(8, () => '...f')} } fragment f on Query { ${repeat(8, (n) => `a${n}: __typename`)} }`,
    'OPERATION_TOO_COMPLEX',
  ],
  [
    '11 mutations',
    `mutation { ${repeat(11, (n) => `a${n}: updateCustomer(id: "u7", input: { firstName: "A" }) { __typename }`)} }`,
    'OPERATION_TOO_COMPLEX',
  ],
  [
    '11 mutations in a fragment',
    `mutation { ...f } fragment f on Mutation { ${repeat(11, (n) => `a${n}: updateCustomer(id: "u7", input: { firstName: "A" }) { __typename }`)} }`,
    'OPERATION_TOO_COMPLEX',
  ],
  ['2001 tokens', `{ ${repeat(2000, () => 'id')} }`, 'OPERATION_TOO_COMPLEX'],
  ['101 directives', `{ __typename ${'@skip(if: false) '.repeat(101)} }`, 'OPERATION_TOO_COMPLEX'],
  ['101 directives on the operation', `query ${'@a '.repeat(101)} { __typename }`, 'OPERATION_TOO_COMPLEX'],
  [
    '101 directives on a variable and a fragment',
    `query ($a: ID ${'@a '.repeat(50)}) { ...f } fragment f on Query ${'@b '.repeat(51)} { customer(id: $a) { id } }`,
    'OPERATION_TOO_COMPLEX',
  ],
  ['a field 11 levels deep', `{ ${'a { '.repeat(11)} b ${'} '.repeat(11)} }`, 'OPERATION_TOO_COMPLEX'],
  [
    'doubling fragments',
    `{ ...f0 } ${repeat(30, (n) => `fragment f${n} on Query { ...f${n + 1} ...f${n + 1} }`)} fragment f30 on Query { a: __typename }`,
    'OPERATION_TOO_COMPLEX',
  ],
  [
    'circular fragments',
    '{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }',
    'GRAPHQL_VALIDATION_FAILED',
  ],
  ['an object without a selection', '{ customer(id: "u7") }', 'GRAPHQL_VALIDATION_FAILED'],
  ['a subscription', 'subscription { __typename }', 'GRAPHQL_VALIDATION_FAILED'],
  ['an unknown field', '{ custmer(id: "u7") { id } }', 'GRAPHQL_VALIDATION_FAILED'],
  ['a value of a wrong type', `{ customers(ids: { a: "${canary}" }) { id } }`, 'GRAPHQL_VALIDATION_FAILED'],
  ['a syntax error', `{ customer(id: "${canary}" }`, 'GRAPHQL_PARSE_FAILED'],
];

for (const [name, document, code] of documents) {
  test(`${name} MUST be refused as ${code}, with nothing executed and no value repeated`, () =>
    withHarness(async (harness) => {
      for (const accept of ['application/json', 'application/graphql-response+json']) {
        const answer = await harness.fetch(post(query(document), { ...json, accept }));
        assert.equal(answer.status, accept === 'application/json' ? 200 : 400);
        assert.equal('data' in JSON.parse(answer.text), false);
        const codes = answer.errors?.map(({ extensions }) => extensions['code']);
        assert.deepEqual([...new Set(codes)], [code], answer.text);
        assert.ok((answer.errors?.length ?? 0) <= 5);
        assert.doesNotMatch(answer.text, new RegExp(`${canary}|did you mean|node_modules| at `, 'i'));
      }
      assert.deepEqual(harness.upstream(), []);
    }));
}

test('operations just within the limits MUST be executed', () =>
  withHarness(async (harness) => {
    const answers = await Promise.all([
      harness.ask(`{ ${repeat(60, (n) => `a${n}: __typename`)} }`),
      harness.ask(`{ ${repeat(1998, () => '__typename')} }`),
      harness.ask(`{ ${repeat(490, () => '... { __typename }')} }`),
      harness.ask(`{ customer(id: "u7") ${nested(30)} }`),
      harness.ask(
        `mutation { __typename ${repeat(10, (n) => `a${n}: updateCustomer(id: "", input: { firstName: "A" }) { __typename }`)} }`,
      ),
      harness.ask(
        '{ __schema { types { fields { type { ofType { ofType { ofType { ofType { ofType { ofType { name } } } } } } } } } } }',
      ),
    ]);
    for (const answer of answers) assert.equal(answer.errors, undefined, answer.text);
  }));

test('a document with too many repeated fields to compare MUST be too complex, for any LIMIT_TOKENS', () =>
  withHarness(
    async (harness) => {
      const answer = await harness.ask(`{ ${repeat(200, (n) => `customer(id: "${n}") { id }`)} }`);
      assert.deepEqual(codesOf(answer), { '': 'OPERATION_TOO_COMPLEX' });
    },
    { LIMIT_TOKENS: '100000' },
  ));

test('invalid variables MUST be reported by path, without a value', () =>
  withHarness(async (harness) => {
    const document = 'mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) { __typename } }';
    const answer = await harness.ask(document, {
      input: { objectReferenceId: { [canary]: canary }, mobileNumber: '1', surname: canary },
    });
    assert.deepEqual(
      answer.errors?.map(({ message }) => message),
      [
        'The value of the variable $input is invalid.',
        'The value of the variable $input is invalid at objectReferenceId.',
        'The value of the variable $input is invalid.',
      ],
    );
    assert.deepEqual(codesOf(answer), { '': 'BAD_USER_INPUT' });
    const missing = await harness.ask('query ($id: ID!) { customers(ids: [$id]) { id } }');
    assert.deepEqual(codesOf(missing), { '': 'BAD_USER_INPUT' });
    const unknown = await harness.fetch(
      post(query('query A { __typename } query B { __typename }', { operationName: canary })),
    );
    assert.deepEqual(codesOf(unknown), { '': 'BAD_USER_INPUT' });
    assert.doesNotMatch(answer.text + unknown.text, new RegExp(canary));
    assert.deepEqual(harness.upstream(), []);
  }));

test('x-request-timeout-ms MUST shorten the deadline, and MUST NOT extend it', () =>
  withHarness(
    async (harness) => {
      // The caller's deadline allows one attempt, the gateway's allows two.
      const budgets = { 900: 1, 999999999: 2, '-5': 2, '1e4': 2, 0: 2 };
      const attempts = await Promise.all(
        Object.keys(budgets).map(async (budget) => {
          const id = `fault_timeout_x${budget}`;
          const body = query(`{ customer(id: "${id}") { id } }`);
          const answer = await harness.fetch(post(body, { ...json, 'x-request-timeout-ms': budget }));
          assert.deepEqual(codesOf(answer), { customer: 'UPSTREAM_TIMEOUT' });
          return [budget, harness.sandbox.calls.filter(({ pathId }) => pathId === id).length];
        }),
      );
      assert.deepEqual(Object.fromEntries(attempts), budgets);
    },
    { JUSPAY_TIMEOUT_MS: '1000', OPERATION_TIMEOUT_MS: '1900' },
  ));

test('CORS MUST allow listed origins only, without credentials', () =>
  withHarness(
    async (harness) => {
      const ask = (origin: string) => harness.fetch(post(query('{__typename}'), { ...json, origin }));
      const listed = await ask('https://shop.example');
      assert.equal(listed.headers.get('access-control-allow-origin'), 'https://shop.example');
      assert.equal(
        listed.headers.get('access-control-expose-headers'),
        'retry-after, x-request-id, idempotency-replayed',
      );
      assert.equal(listed.headers.get('vary'), 'Origin');
      assert.equal(listed.headers.get('access-control-allow-credentials'), null);
      for (const origin of [
        'null',
        'https://evil.example',
        'https://shop.example.evil.example',
        'http://shop.example',
        'https://shop.example:444',
        'http://localhost:3000',
      ]) {
        assert.equal((await ask(origin)).headers.get('access-control-allow-origin'), null, origin);
      }
      const preflight = await harness.fetch({
        method: 'OPTIONS',
        headers: { origin: 'https://shop.example', 'access-control-request-method': 'POST' },
      });
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers.get('access-control-allow-methods'), 'GET, POST');
      const allowed = preflight.headers.get('access-control-allow-headers')?.split(', ') ?? [];
      for (const name of ['traceparent', 'tracestate', 'baggage', 'sentry-trace', 'x-request-timeout-ms', 'x-api-key'])
        assert.ok(allowed.includes(name), name);
      for (const origin of ['capacitor://localhost', 'chrome-extension://abcdefghijklmnop']) {
        const native = await ask(origin);
        assert.equal(native.headers.get('access-control-allow-origin'), origin);
        assert.equal(
          native.headers.get('access-control-expose-headers'),
          'retry-after, x-request-id, idempotency-replayed',
        );
      }
      assert.equal((await ask('capacitor://localhost.evil')).headers.get('access-control-allow-origin'), null);
    },
    { CORS_ORIGINS: 'https://shop.example,capacitor://localhost,chrome-extension://abcdefghijklmnop' },
  ));

test('the settings MUST be able to disable introspection and GraphiQL', () =>
  withHarness(
    async (harness) => {
      for (const document of [
        '{ __schema { queryType { name } } }',
        '{ __type(name: "Customer") { name } }',
        'query { ...f } fragment f on Query { x: __schema { __typename } }',
      ]) {
        assert.deepEqual(codesOf(await harness.ask(document)), { '': 'GRAPHQL_VALIDATION_FAILED' });
      }
      const page = await harness.fetch({ headers: { accept: 'text/html' } });
      assert.equal(page.status, 403);
    },
    { INTROSPECTION: 'off', GRAPHIQL: 'off' },
  ));

test('every response MUST have the request id of its errors and log lines', () =>
  withHarness(async (harness) => {
    const answer = await harness.ask('{ customer(id: "fault_unauthorized") { id } }');
    const requestId = answer.headers.get('x-request-id');
    assert.equal(answer.errors?.[0]?.extensions['requestId'], requestId);
    assert.ok(
      harness.log.some(
        (line) => line.includes(`"requestId":"${requestId}"`) && line.includes('UPSTREAM_MISCONFIGURED'),
      ),
    );
    assert.deepEqual(Object.keys(answer.errors?.[0]?.extensions ?? {}).sort(), ['code', 'requestId', 'retryable']);
  }));

test('errors and log lines MUST NOT contain values of the provider or of the caller', () =>
  withHarness(
    async (harness) => {
      const reference = `${canary}@example.com`;
      harness.sandbox.arm({ fault: '500', times: 99 });
      const answers = await Promise.all([
        harness.ask(`{ customer(id: "${reference}") { id } }`),
        harness.ask(
          `mutation { updateCustomer(id: "${reference}", input: { firstName: "${canary}" }) { ... on CustomerError { message } } }`,
        ),
      ]);
      // The provider received the call, and its response has the value.
      assert.ok(harness.sandbox.calls.length >= 2);
      const all = answers.map(({ text }) => text).join('\n') + harness.log.join('\n');
      assert.doesNotMatch(
        all,
        new RegExp(`${canary}|db-17|asha|127\\.0\\.0\\.1|${harness.sandbox.apiKey}|Something went wrong`),
      );
    },
    { OPERATION_TIMEOUT_MS: '800', JUSPAY_TIMEOUT_MS: '200' },
  ));

test('an unexpected error MUST be masked and logged with its request id', () =>
  withHarness(
    async (harness) => {
      const answer = await harness.ask('{ customer(id: "u7") { id } }');
      assert.deepEqual(codesOf(answer), { customer: 'INTERNAL_SERVER_ERROR' });
      assert.equal(answer.errors?.[0]?.message, 'Unexpected error.');
      const lines = harness.log.filter((line) => line.includes('unexpected error'));
      assert.deepEqual(
        lines.map((line) => (JSON.parse(line) as { requestId?: string }).requestId),
        [answer.errors?.[0]?.extensions['requestId']],
      );
      assert.doesNotMatch(harness.log.join('\n'), new RegExp(canary));
    },
    {},
    {
      // A failing secret store is an unexpected error.
      get provider() {
        const broken = {
          reveal: () => {
            throw new Error(canary);
          },
        };
        return { apiKey: broken as never };
      },
    },
  ));

test('every log line of an operation MUST have the trace id of the caller, and MUST omit an invalid one', async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const span = 'b7ad6b7169203331';
  const body = query(
    'mutation { good: updateCustomer(id: "u7", input: { firstName: "A" }) { __typename } bad: updateCustomer(id: "fault_501_x", input: { firstName: "A" }) { __typename } }',
  );
  for (const [traceparent, isValid] of [
    [`00-${traceId}-${span}-01`, true],
    [`00-${traceId}-${span}-00`, true],
    [`cc-${traceId}-${span}-01-what-comes-later`, true],
    [`00-${traceId}-${span}-01-what-comes-later`, false],
    [`ff-${traceId}-${span}-01`, false],
    [`00-${'0'.repeat(32)}-${span}-01`, false],
    [`00-${traceId}-${'0'.repeat(16)}-01`, false],
    [`00-${traceId.toUpperCase()}-${span}-01`, false],
    [`00-${traceId}-${span}-01, 00-${traceId}-${span}-01`, false],
    [`00-${traceId}-${span}`, false],
    ['', false],
  ] as const) {
    await withHarness(async (harness) => {
      const answer = await harness.fetch(post(body, { ...json, traceparent, tracestate: 'a=b' }));
      const requestId = answer.headers.get('x-request-id');
      const lines = harness.log.map((line) => JSON.parse(line) as Record<string, unknown>);
      const about = lines.filter((line) => line['requestId'] === requestId);
      assert.deepEqual(
        new Set(about.map((line) => line['message'])),
        new Set(['upstream call', 'upstream call failed', 'repeated upstream failures', 'audit', 'operation']),
      );
      assert.deepEqual(
        new Set(about.map((line) => line['traceId'])),
        new Set([isValid ? traceId : undefined]),
        traceparent,
      );
      // The gateway sends no header of the caller upstream.
      for (const { headers } of harness.sandbox.calls) {
        assert.deepEqual([headers['traceparent'], headers['tracestate']], [undefined, undefined]);
      }
    });
  }
});

test('a shared read MUST be logged with the trace id of the operation that started it', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: '501', on: 'get' });
    const traceId = 'a'.repeat(32);
    const body = query('{ customer(id: "u7") { id } }');
    await harness.fetch(post(body, { ...json, traceparent: `00-${traceId}-${'b'.repeat(16)}-01` }));
    const failed = harness.log.find((line) => line.includes('upstream call failed'));
    assert.match(failed ?? '', new RegExp(`"traceId":"${traceId}"`));
  }));
