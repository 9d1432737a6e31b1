import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  codesOf,
  createOperation,
  newCustomer,
  nowhere,
  resultOf,
  updateOperation,
  withHarness,
  withScriptedProvider,
} from '../support.ts';

const option = '?options.get_client_auth_token=true';

test('a create MUST send only the present fields, with the names of the provider', () =>
  withHarness(async (harness) => {
    const input = newCustomer('ref&a=b c+%', {
      firstName: 'x&options.get_client_auth_token=true',
      lastName: null,
      mobileCountryCode: '+65',
    });
    const result = resultOf(await harness.ask(createOperation, { input }), 'createCustomer');
    assert.equal(result['origin'], 'CREATED');
    const [call] = harness.sandbox.calls;
    assert.deepEqual(call?.form, {
      object_reference_id: 'ref&a=b c+%',
      mobile_number: '9000000077',
      email_address: 'new@example.com',
      first_name: 'x&options.get_client_auth_token=true',
      mobile_country_code: '65',
    });
    assert.deepEqual(harness.upstream(), ['POST /customers']);
    assert.equal(call?.headers['content-type'], 'application/x-www-form-urlencoded');
    assert.equal(call?.headers['x-routing-id'], 'ref%26a%3Db%20c%2B%25');
  }));

test('a create MUST request the token in its form if and only if the success selects it', () =>
  withHarness(async (harness) => {
    const input = newCustomer('reference-1');
    const decoy = `mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) {
      ... on CustomerAlreadyExistsError { existing { clientAuthToken { token } } } ... on CreateCustomerSuccess { customer { clientAuthToken: id } } } }`;
    await harness.ask(decoy, { input });
    assert.equal(harness.sandbox.calls[0]?.form?.['options.get_client_auth_token'], undefined);
    harness.sandbox.clearCalls();
    const wanted = `mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) { ...a } } fragment a on CreateCustomerSuccess { customer { t: clientAuthToken { __typename } } }`;
    const answer = await harness.ask(wanted, { input: newCustomer('reference-2') });
    assert.equal(harness.sandbox.calls[0]?.form?.['options.get_client_auth_token'], 'true');
    assert.deepEqual(harness.upstream(), ['POST /customers']);
    assert.deepEqual(resultOf(answer, 'createCustomer'), { customer: { t: { __typename: 'ClientAuthToken' } } });
  }));

test('the remaining lifetime of a token MUST be computed when the gateway responds', () =>
  withHarness(async (harness) => {
    const beforeMs = Date.now();
    const answer = await harness.ask('{ customer(id: "u7") { clientAuthToken { expiresAt expiresInSeconds } } }');
    const afterMs = Date.now();
    const customer = answer.data?.['customer'] as { clientAuthToken: { expiresAt: string; expiresInSeconds: number } };
    const { expiresAt, expiresInSeconds } = customer.clientAuthToken;
    const secondsFrom = (nowMs: number) => Math.floor((Date.parse(expiresAt) - nowMs) / 1000);
    assert.ok(expiresInSeconds <= secondsFrom(beforeMs));
    assert.ok(expiresInSeconds >= secondsFrom(afterMs));
  }));

test('a token after an update MUST need one more read', () =>
  withHarness(async (harness) => {
    const answer = await harness.ask(
      'mutation { updateCustomer(id: "u7", input: { firstName: "A" }) { ... on UpdateCustomerSuccess { customer { firstName clientAuthToken { __typename } } } } }',
    );
    assert.deepEqual(resultOf(answer, 'updateCustomer'), {
      customer: { firstName: 'A', clientAuthToken: { __typename: 'ClientAuthToken' } },
    });
    assert.deepEqual(harness.upstream(), ['POST /customers/u7', `GET /customers/cst_0123456789abcdef${option}`]);
  }));

test('all issues of an input MUST be returned together, without a call', () =>
  withHarness(async (harness) => {
    const answer = await harness.ask(createOperation, {
      input: {
        objectReferenceId: 'cst_0123456789abcdef',
        mobileNumber: '',
        emailAddress: '_a@x.io',
        firstName: 'a\u2028b',
        lastName: 'x'.repeat(65),
        mobileCountryCode: '++1',
      },
    });
    assert.deepEqual(resultOf(answer, 'createCustomer')['issues'], [
      { path: ['input', 'objectReferenceId'], code: 'INVALID_FORMAT' },
      { path: ['input', 'mobileNumber'], code: 'INVALID_FORMAT' },
      { path: ['input', 'emailAddress'], code: 'INVALID_FORMAT' },
      { path: ['input', 'firstName'], code: 'INVALID_FORMAT' },
      { path: ['input', 'lastName'], code: 'TOO_LONG' },
      { path: ['input', 'mobileCountryCode'], code: 'INVALID_FORMAT' },
    ]);
    const update = await harness.ask(updateOperation, { id: '..', input: { firstName: null, lastName: ' ' } });
    assert.deepEqual(resultOf(update, 'updateCustomer')['issues'], [
      { path: ['id'], code: 'INVALID_FORMAT' },
      { path: ['input', 'firstName'], code: 'NOT_CLEARABLE' },
      { path: ['input', 'lastName'], code: 'INVALID_FORMAT' },
    ]);
    const empty = await harness.ask(updateOperation, { id: 'u7', input: {} });
    assert.deepEqual(resultOf(empty, 'updateCustomer')['issues'], [{ path: ['input'], code: 'REQUIRED' }]);
    assert.deepEqual(harness.upstream(), []);
  }));

const existingOperation = (selection: string) =>
  `mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) { ... on CustomerAlreadyExistsError { ${selection} } } }`;

test('existing and differingFields MUST share one read, and need none if they are not selected', () =>
  withHarness(async (harness) => {
    const input = newCustomer('asha.rao@example.com', { firstName: 'Asha' });
    const plain = await harness.ask(existingOperation('code'), { input });
    assert.deepEqual(resultOf(plain, 'createCustomer'), { code: 'ALREADY_EXISTS' });
    assert.deepEqual(harness.upstream(), ['POST /customers']);
    harness.sandbox.clearCalls();
    const full = await harness.ask(
      existingOperation('existing { id clientAuthToken { __typename } } differingFields'),
      {
        input,
      },
    );
    assert.deepEqual(resultOf(full, 'createCustomer'), {
      existing: { id: 'cth_A1b2C3d4E5f6G7h8', clientAuthToken: { __typename: 'ClientAuthToken' } },
      differingFields: ['mobileNumber', 'emailAddress'],
    });
    assert.deepEqual(harness.upstream(), ['POST /customers', `GET /customers/asha.rao%40example.com${option}`]);
  }));

test('fields of an existing customer that cannot be read MUST be null, without an error', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: 'unauthorized', on: 'get' });
    const answer = await harness.ask(existingOperation('existing { id } differingFields'), {
      input: newCustomer('asha.rao@example.com'),
    });
    assert.deepEqual(answer.data, { createCustomer: { existing: null, differingFields: null } });
    assert.equal(answer.errors, undefined);
  }));

test('200 concurrent creates of one reference MUST send one POST', () =>
  withHarness(async (harness) => {
    const input = newCustomer('reference-1');
    const results = await Promise.all(
      Array.from(
        { length: 200 },
        async () => resultOf(await harness.ask(createOperation, { input }), 'createCustomer')['__typename'],
      ),
    );
    assert.deepEqual(harness.upstream(), ['POST /customers']);
    assert.equal(results.filter((name) => name === 'CreateCustomerSuccess').length, 1);
    assert.equal(results.filter((name) => name === 'CustomerAlreadyExistsError').length, 199);
  }));

test('concurrent creates of references that differ only in case MUST each be sent', () =>
  withHarness(async (harness) => {
    const origins = ['Reference-1', 'reference-1'].map(
      async (reference) =>
        resultOf(await harness.ask(createOperation, { input: newCustomer(reference) }), 'createCustomer')['origin'],
    );
    assert.deepEqual(await Promise.all(origins), ['CREATED', 'CREATED']);
    assert.equal(harness.upstream().length, 2);
  }));

test('a create that follows an ambiguous one MUST read before it sends a POST', () =>
  withHarness(
    async (harness) => {
      harness.sandbox.arm({ fault: '503', on: 'create', times: 2 });
      harness.sandbox.arm({ fault: 'not_found', on: 'get', times: 2 });
      const input = newCustomer('reference-1');
      const [first, second] = await Promise.all([
        harness.ask(createOperation, { input }),
        harness.ask(createOperation, { input }),
      ]);
      assert.equal(resultOf(first, 'createCustomer')['code'], 'OUTCOME_UNKNOWN');
      assert.equal(resultOf(second, 'createCustomer')['origin'], 'CREATED');
      assert.deepEqual(
        harness.sandbox.calls.map(({ route }) => route),
        ['create', 'get', 'create', 'get', 'get', 'create'],
      );
    },
    { OPERATION_TIMEOUT_MS: '3000' },
  ));

test('a create after a lost response MUST be ALREADY_EXISTS if another customer has the reference', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: 'reset', on: 'create' });
    const answer = await harness.ask(existingOperation('code differingFields'), {
      input: newCustomer('asha.rao@example.com'),
    });
    assert.deepEqual(resultOf(answer, 'createCustomer'), {
      code: 'ALREADY_EXISTS',
      differingFields: ['mobileNumber', 'emailAddress'],
    });
  }));

test('ALREADY_EXISTS after an ambiguous attempt MUST be settled by a read and a comparison', () =>
  withHarness(async (harness) => {
    // The first POST is committed and its response lost, a lagging replica answers the read, and the second POST is refused.
    harness.sandbox.arm({ fault: 'reset', on: 'create', afterCommit: true });
    harness.sandbox.arm({ fault: 'not_found', on: 'get' });
    const result = resultOf(
      await harness.ask(createOperation, { input: newCustomer('reference-1') }),
      'createCustomer',
    );
    assert.equal(result['origin'], 'RECONCILED');
    assert.deepEqual(
      harness.sandbox.calls.map(({ route }) => route),
      ['create', 'get', 'create', 'get'],
    );
  }));

test('an update whose response was lost MUST NOT be NOT_FOUND because a read finds no customer', () =>
  withHarness(async (harness) => {
    // The first POST is committed and its response lost. A lagging replica answers the read.
    harness.sandbox.arm({ fault: 'reset', on: 'update', afterCommit: true });
    harness.sandbox.arm({ fault: 'not_found', on: 'get' });
    const result = resultOf(
      await harness.ask(updateOperation, { id: 'u7', input: { firstName: 'A' } }),
      'updateCustomer',
    );
    assert.equal(result['code'], 'OUTCOME_UNKNOWN');
    assert.equal(result['retryable'], true);
    assert.deepEqual(harness.upstream(), ['POST /customers/u7', 'GET /customers/u7']);
  }));

test('a connection that cannot be opened MUST be a definite failure, and MUST be retried', () =>
  withHarness(
    async (harness) => {
      const created = resultOf(
        await harness.ask(createOperation, { input: newCustomer('reference-1') }),
        'createCustomer',
      );
      assert.equal(created['code'], 'UPSTREAM_UNAVAILABLE');
      const updated = resultOf(
        await harness.ask(updateOperation, { id: 'u7', input: { firstName: 'A' } }),
        'updateCustomer',
      );
      assert.equal(updated['code'], 'UPSTREAM_UNAVAILABLE');
      const attempts = harness.log.filter((line) => line.includes('upstream call failed')).length;
      assert.equal(attempts, 6);
    },
    {},
    { provider: { baseUrl: nowhere } },
  ));

test('a client that disconnects MUST NOT abort a write that was sent', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: 'slow', on: 'create', delayMs: 100 });
    const controller = new AbortController();
    const answer = harness
      .ask(createOperation, { input: newCustomer('reference-1') }, controller.signal)
      .catch(() => undefined);
    const call = await harness.sandbox.whenCalled(({ route }) => route === 'create');
    controller.abort();
    await answer;
    await call.closed;
    assert.equal(call.abandoned, false);
    assert.equal(harness.sandbox.customers.at(-1)?.objectReferenceId, 'reference-1');
  }));

for (const [field, operation, variables] of [
  ['createCustomer', createOperation, { input: newCustomer('reference-1') }],
  ['updateCustomer', updateOperation, { id: 'u7', input: { firstName: 'A' } }],
] as const) {
  test(`a write that waits for a connection MUST NOT be sent after its client has disconnected: ${field}`, () =>
    withHarness(
      async (harness) => {
        harness.sandbox.arm({ fault: 'slow', on: 'get', delayMs: 1_000 });
        const first = harness.ask('{ customer(id: "u7") { id } }');
        await harness.sandbox.whenCalled(({ route }) => route === 'get');
        const controller = new AbortController();
        const write = harness.ask(operation, variables, controller.signal).catch(() => undefined);
        // Enough turns of the event loop for the write to reach the queue of the connection.
        for (let turn = 0; turn < 50; turn += 1) await nextTurn();
        controller.abort();
        await write;
        assert.deepEqual(codesOf(await first), {});
        assert.deepEqual(codesOf(await harness.ask('{ customer(id: "u7") { firstName } }')), {});
        assert.deepEqual(harness.upstream(), ['GET /customers/u7', 'GET /customers/u7']);
        const [audited] = harness.log.filter((line) => line.includes('"audit":true'));
        assert.match(audited ?? '', new RegExp(`"field":"${field}".*"outcome":"UPSTREAM_TIMEOUT"`));
      },
      { JUSPAY_CONNECTIONS: '1' },
    ));
}

test('updates of one customer MUST queue, and each MUST be sent', () =>
  withHarness(async (harness) => {
    const names = Array.from({ length: 10 }, (_, n) => `Name ${n}`);
    const answers = await Promise.all(
      names.map((firstName) => harness.ask(updateOperation, { id: 'u7', input: { firstName } })),
    );
    for (const [n, answer] of answers.entries()) {
      assert.equal((resultOf(answer, 'updateCustomer')['customer'] as { firstName: string }).firstName, names[n]);
    }
    assert.deepEqual(
      harness.sandbox.calls.map(({ form }) => form?.['first_name']),
      names,
    );
  }));

test('Retry-After MUST hold back all calls of the merchant, and calls with an earlier deadline MUST fail at once', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: '429', on: 'get', retryAfter: '30' });
    const first = await harness.ask('{ customer(id: "u7") { id } }');
    assert.deepEqual(first.errors?.[0]?.extensions['retryAfterSeconds'], 30);
    const result = resultOf(
      await harness.ask(createOperation, { input: newCustomer('reference-1') }),
      'createCustomer',
    );
    assert.equal(result['code'], 'RATE_LIMITED');
    assert.equal(result['retryable'], true);
    assert.ok(Number(result['retryAfterSeconds']) > 25 && Number(result['retryAfterSeconds']) <= 30);
    assert.deepEqual(harness.upstream(), ['GET /customers/u7']);
  }));

test('Retry-After MUST also hold back calls that wait for a connection', () =>
  withScriptedProvider(
    () => ({ status: 429, body: '', headers: { 'retry-after': '50' }, afterMs: 50 }),
    async (harness, calls) => {
      const answer = await harness.ask('{ customers(ids: ["a-1", "a-2", "a-3"]) { id } }');
      assert.deepEqual(Object.values(codesOf(answer)), ['RATE_LIMITED', 'RATE_LIMITED', 'RATE_LIMITED']);
      assert.deepEqual(calls, ['GET /customers/a-1']);
    },
    { JUSPAY_CONNECTIONS: '1' },
  ));

test('Retry-After of more than a minute MUST be reported unchanged, and hold back calls for a minute', () =>
  withScriptedProvider(
    () => ({ status: 503, body: '', headers: { 'retry-after': '3600' } }),
    async (harness, calls) => {
      const extensionsOf = async (id: string) =>
        (await harness.ask('query ($id: ID!) { customer(id: $id) { id } }', { id })).errors?.[0]?.extensions;
      const first = await extensionsOf('a-1');
      assert.deepEqual([first?.['code'], first?.['retryAfterSeconds']], ['UPSTREAM_UNAVAILABLE', 3600]);
      const second = await extensionsOf('a-2');
      assert.equal(second?.['code'], 'RATE_LIMITED');
      assert.ok(Number(second?.['retryAfterSeconds']) <= 60);
      assert.deepEqual(calls, ['GET /customers/a-1']);
    },
  ));

test('a call MUST wait for a Retry-After that ends before its deadline', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: '429', on: 'create' });
    const result = resultOf(
      await harness.ask(createOperation, { input: newCustomer('reference-1') }),
      'createCustomer',
    );
    assert.equal(result['origin'], 'CREATED');
    assert.deepEqual(harness.upstream(), ['POST /customers', 'POST /customers']);
  }));

test('a field that the provider rejects MUST be mapped to its path in the input', () =>
  withHarness(async (harness) => {
    harness.sandbox.arm({ fault: 'invalid', on: 'update' });
    const result = resultOf(
      await harness.ask(updateOperation, { id: 'u7', input: { mobileNumber: '1' } }),
      'updateCustomer',
    );
    assert.deepEqual(result['issues'], [{ path: ['input', 'mobileNumber'], code: 'REJECTED_BY_PROVIDER' }]);
  }));

test('each field that the provider rejects MUST be reported once, also next to malformed entries', () => {
  const named = ['mobile_number', 'mobile_number', 'zodiac', 'object_reference_id', 'customer_id'];
  const fields = [null, {}, ...named.map((field_name) => ({ field_name, reason: 'Invalid value.' }))];
  return withScriptedProvider(
    () => ({ status: 400, body: { error_info: { code: 'INVALID_INPUT', fields } } }),
    async (harness) => {
      const pathsOf = (result: Record<string, unknown>) =>
        (result['issues'] as { path: string[] }[]).map(({ path }) => path.join('.'));
      const created = await harness.ask(createOperation, { input: newCustomer('reference-1') });
      assert.deepEqual(pathsOf(resultOf(created, 'createCustomer')), [
        'input.mobileNumber',
        'input',
        'input.objectReferenceId',
      ]);
      const updated = await harness.ask(updateOperation, { id: 'u7', input: { mobileNumber: '1' } });
      assert.deepEqual(pathsOf(resultOf(updated, 'updateCustomer')), ['input.mobileNumber', 'input', 'id']);
    },
  );
});

test('a call refused because of another one in progress MUST be repeated once, after a pause', () => {
  const atMs: number[] = [];
  return withScriptedProvider(
    () => {
      atMs.push(performance.now());
      return { status: 400, body: { error_info: { code: 'DUPLICATE_REQUEST', category: 'USER_ERROR' } } };
    },
    async (harness, calls) => {
      const answer = await harness.ask(updateOperation, { id: 'u7', input: { mobileNumber: '1' } });
      const result = resultOf(answer, 'updateCustomer');
      assert.deepEqual([result['code'], result['retryable']], ['UPSTREAM_UNAVAILABLE', true]);
      assert.deepEqual(calls, ['POST /customers/u7', 'POST /customers/u7']);
      const [first = 0, second = 0] = atMs;
      assert.ok(second - first >= 150);
    },
  );
});
