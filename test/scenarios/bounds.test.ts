import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Answer,
  bearer,
  codesOf,
  createOperation,
  type Harness,
  jwtSettings,
  newCustomer,
  resultOf,
  withHarness,
  withScriptedProvider,
} from '../support.ts';

const asBearer = (harness: Harness, claims: object, query: string, variables: object = {}): Promise<Answer> =>
  harness.fetch({
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${bearer(claims)}` },
    body: JSON.stringify({ query, variables }),
  });
const entity = (id: string) => ({ __typename: 'Customer', id });
const repeat = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

function listOf({ data, text }: Answer): unknown[] {
  const list = data?.['_entities'];
  return Array.isArray(list) ? list : assert.fail(text);
}

/** Asserts that the operation was rejected and not executed. */
function assertTooComplex(harness: Harness, answer: Answer, what: string): void {
  assert.deepEqual(codesOf(answer), { '': 'OPERATION_TOO_COMPLEX' }, `${what}: ${answer.text.slice(0, 200)}`);
  assert.equal(answer.errors?.length, 1);
  assert.equal('data' in JSON.parse(answer.text), false, what);
  assert.deepEqual(harness.upstream(), [], what);
}

test('an operation MUST have at most LIMIT_ITEMS list items, in literals, variables, aliases and fragments', () =>
  withHarness(
    async (harness) => {
      const six = { ids: repeat(6, (n) => `id-${n}`), one: 'id-1' };
      const entities = { representations: repeat(6, (n) => entity(`id-${n}`)) };
      const idsType = 'query ($ids: [ID!]!, $one: ID = "x")';
      const refused: [string, object?][] = [
        [`${idsType} { a: customers(ids: $ids) { id } b: customers(ids: [$one, "b", "c", "d", "e"]) { id } }`, six],
        ['{ customers(ids: ["1","2","3","4","5","6","7","8","9","10","11"]) { id } }'],
        ['{ customers(ids: [1,2,3,4,5,6,7,8,9,10,11]) { id } }'],
        [
          `query ($ids: [ID!]!) { ...F } fragment F on Query { a: customers(ids: $ids) { id } ... { b: customers(ids: $ids) { id } } }`,
          six,
        ],
        [
          'query ($ids: [ID!]! = ["1","2","3","4","5","6"]) { a: customers(ids: $ids) { id } b: customers(ids: $ids) { id } }',
        ],
        [
          'query ($r: [_Any!]!) { a: _entities(representations: $r) { __typename } b: _entities(representations: $r) { __typename } }',
          { r: entities.representations },
        ],
        [
          'query ($r: [_Any!]!, $ids: [ID!]!) { _entities(representations: $r) { __typename } customers(ids: $ids) { id } }',
          { r: entities.representations, ...six },
        ],
        [
          `query ($ids: [ID!]!, $on: Boolean! = true) { a: customers(ids: $ids) { id } b: customers(ids: $ids) @include(if: $on) { id } }`,
          six,
        ],
        [
          `query ($ids: [ID!]!, $off: Boolean!) { a: customers(ids: $ids) { id } ... @skip(if: $off) { b: customers(ids: $ids) { id } } }`,
          { ...six, off: false },
        ],
      ];
      for (const [document, variables] of refused) {
        const answer = await harness.ask(document, variables);
        assertTooComplex(harness, answer, document);
        assert.equal(answer.status, 200);
      }
      const strict = await harness.fetch({
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json' },
        body: JSON.stringify({ query: refused[0]?.[0], variables: six }),
      });
      assert.equal(strict.status, 400);

      const taken: [string, object?][] = [
        ['{ customers(ids: ["u7","u7","u7","u7","u7","u7","u7","u7","u7","u7"]) { id } }'],
        [
          'query ($ids: [ID!]!) { customers(ids: $ids) { id } ... on Query { customers(ids: $ids) { firstName } } }',
          { ids: repeat(10, () => 'u7') },
        ],
        [
          'query ($ids: [ID!]!, $no: Boolean = false) { a: customers(ids: $ids) { id } b: customers(ids: $ids) @include(if: $no) { id } }',
          { ids: repeat(10, () => 'u7') },
        ],
        [
          'query ($r: [_Any!]!) { _entities(representations: $r) { __typename } customer(id: "u7") { id } }',
          { r: repeat(10, () => ({ __typename: 'Customer', objectReferenceId: 'u7' })) },
        ],
      ];
      for (const [document, variables] of taken) {
        const answer = await harness.ask(document, variables);
        assert.equal(answer.errors, undefined, `${document}: ${answer.text}`);
      }
    },
    { LIMIT_ITEMS: '10' },
  ));

test('2,000 list items MUST be accepted by default, and 2,001 MUST be rejected', () =>
  withHarness(async (harness) => {
    const document = 'query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }';
    assertTooComplex(harness, await harness.ask(document, { r: repeat(2001, () => 'x') }), '2001');
    const answer = await harness.ask(document, { r: repeat(2000, () => 'x') });
    assert.equal(listOf(answer).length, 2000);
  }));

test('names and aliases MUST have at most 128 characters', () =>
  withHarness(async (harness) => {
    const name = (length: number) => 'n'.repeat(length);
    const documents = (long: string): string[] => [
      `{ ${long}: __typename }`,
      `{ a: ${long} }`,
      `query ${long} { __typename }`,
      `query { ...${long} } fragment ${long} on Query { __typename }`,
      `query ($${long}: ID!) { customer(id: $${long}) { id } }`,
      `{ customer(${long}: 1) { id } }`,
      `{ __typename @${long} }`,
      `{ ... on ${long} { id } }`,
      `mutation { createCustomer(input: { ${long}: 1 }) { __typename } }`,
      `{ customer(id: ${long}) { id } }`,
    ];
    for (const document of documents(name(129))) {
      const answer = await harness.ask(document);
      assertTooComplex(harness, answer, document);
      assert.doesNotMatch(answer.text, /nnn/);
    }
    for (const document of documents(name(128))) {
      const answer = await harness.ask(document);
      assert.notEqual(codesOf(answer)[''], 'OPERATION_TOO_COMPLEX', document);
    }
    assert.deepEqual((await harness.ask(`{ ${name(128)}: __typename }`)).data, { [name(128)]: 'Query' });
  }));

/** graphql-js executes an operation with introspection. All others have a plan. */
const executors: readonly [name: string, field: string][] = [
  ['an operation with a plan', ''],
  ['an operation of graphql-js', '__type(name: "Customer") { name }'],
];

for (const [name, field] of executors)
  test(`a response above LIMIT_RESPONSE_BYTES MUST be replaced by one error, and a response of exactly that size MUST be sent: ${name}`, async () => {
    const document = `{ ${field} customers(ids: ["u7","asha.rao@example.com"]) { id objectReferenceId emailAddress dateCreated } }`;
    let bytes = 0;
    await withHarness(async (harness) => {
      bytes = Buffer.byteLength((await harness.ask(document)).text);
    });
    for (const [limit, isTaken] of [
      [bytes, true],
      [bytes - 1, false],
    ] as const) {
      await withHarness(
        async (harness) => {
          const answer = await harness.ask(document);
          assert.equal(answer.status, 200);
          if (isTaken) {
            assert.equal(answer.errors, undefined, answer.text);
            return;
          }
          assert.equal(answer.data, null);
          assert.deepEqual(codesOf(answer), { '': 'OPERATION_TOO_COMPLEX' });
          assert.equal(harness.upstream().length, 2);
        },
        { LIMIT_RESPONSE_BYTES: String(limit) },
      );
    }
  });

for (const [name, field] of executors) {
  test(`a response of 3 GB MUST be refused before it is built: ${name}`, () =>
    withScriptedProvider(
      () => ({ status: 200, body: { id: 'cth_1', object_reference_id: 'u7', first_name: 'x'.repeat(500_000) } }),
      async (harness, calls) => {
        const aliases = repeat(60, (n) => `a${n}: firstName`).join(' ');
        const document = `query ($ids: [ID!]!) { ${field} customers(ids: $ids) { ${aliases} } }`;
        const answer = await harness.ask(document, { ids: repeat(100, () => 'u7') });
        // No string can have 3 GB, so building it would be another error.
        assert.deepEqual(codesOf(answer), { '': 'OPERATION_TOO_COMPLEX' });
        assert.equal(answer.data, null);
        assert.deepEqual(calls, ['GET /customers/u7']);
      },
    ));
}

const large = 'é'.repeat(3000);

test('the outcome of a write MUST be reported in a large response: texts above the limit are null', () =>
  withScriptedProvider(
    () => ({
      status: 200,
      body: {
        customer_id: 'cth_0000000000000001',
        object_reference_id: 'large-0001',
        first_name: large,
        mobile_number: '9000000077',
        email_address: 'new@example.com',
      },
    }),
    async (harness, calls) => {
      const document = createOperation.replace('firstName', 'a: firstName b: firstName firstName');
      const answer = await harness.ask(document, { input: newCustomer('large-0001') });
      assert.equal(answer.status, 200);
      const result = resultOf(answer, 'createCustomer');
      assert.equal(result['__typename'], 'CreateCustomerSuccess');
      assert.deepEqual(JSON.parse(JSON.stringify(result['customer']).replaceAll(large, 'large')), {
        id: 'cth_0000000000000001',
        objectReferenceId: 'large-0001',
        mobileNumber: '9000000077',
        emailAddress: 'new@example.com',
        a: 'large',
        b: null,
        firstName: null,
      });
      assert.deepEqual(codesOf(answer), {
        'createCustomer.customer.b': 'OPERATION_TOO_COMPLEX',
        'createCustomer.customer.firstName': 'OPERATION_TOO_COMPLEX',
      });
      assert.deepEqual(calls, ['POST /customers']);
    },
    { LIMIT_RESPONSE_BYTES: '8000' },
  ));

test('at most 5 errors MUST be reported, in document order, and every other failed field MUST be null', () =>
  withHarness(async (harness) => {
    const document = `query ($r: [_Any!]!) {
      ...Late
      first: customer(id: "fault_rejected") { id }
      many: customers(ids: ["..", "u7", "."]) { id }
    }
    fragment Late on Query { _entities(representations: $r) { ... on Customer { id } } }`;
    const r = [entity('fault_rejected'), entity('cst_0123456789abcdef'), 7];
    const answer = await harness.ask(document, { r });
    assert.deepEqual(answer.data, {
      _entities: [null, { id: 'cst_0123456789abcdef' }, null],
      first: null,
      many: [null, { id: 'cst_0123456789abcdef' }, null],
    });
    assert.deepEqual(
      answer.errors?.map(({ path, extensions }) => [path?.join('.'), extensions['code']]),
      [
        ['_entities.0', 'UPSTREAM_REJECTED'],
        ['_entities.2', 'BAD_USER_INPUT'],
        ['first', 'UPSTREAM_REJECTED'],
        ['many.0', 'BAD_USER_INPUT'],
        ['many.2', 'BAD_USER_INPUT'],
      ],
    );
    // The last fields of the document fail first, because they need no call.
    const six = await harness.ask(
      '{ a: customer(id: "fault_rejected") { id } b: customer(id: "..") { id } c: customer(id: ".") { id } d: customer(id: "") { id } e: customer(id: " ") { id } f: customer(id: "..") { id } g: customer(id: "u7") { id } }',
    );
    assert.deepEqual(Object.keys(codesOf(six)), ['a', 'b', 'c', 'd', 'e']);
    assert.deepEqual(six.data, {
      a: null,
      b: null,
      c: null,
      d: null,
      e: null,
      f: null,
      g: { id: 'cst_0123456789abcdef' },
    });
  }));

test('entities of a caller without scope MUST be null with 5 errors, and MUST cost almost no CPU time', (context) =>
  withHarness(async (harness) => {
    const fields = repeat(57, (n) => `a${n}: clientAuthToken { token }`).join(' ');
    const document = `query ($r: [_Any!]!) { _entities(representations: $r) { ... on Customer { ${fields} } } }`;
    const cost = async () => {
      const before = process.cpuUsage();
      const answer = await asBearer(harness, { scope: '', customer: 'u7' }, document, {
        r: repeat(1200, () => entity('u7')),
      });
      const { user, system } = process.cpuUsage(before);
      assert.equal(listOf(answer).length, 1200);
      assert.deepEqual(
        Object.entries(codesOf(answer)),
        repeat(5, (n) => [`_entities.${n}`, 'FORBIDDEN']),
      );
      assert.ok(answer.text.length < 10_000);
      return (user + system) / 1000;
    };
    const costs = [await cost(), await cost(), await cost()];
    context.diagnostic(`${costs.map((ms) => Math.round(ms)).join(', ')} ms`);
    assert.ok(Math.min(...costs) < 250);
    assert.deepEqual(harness.upstream(), []);
    // An empty list causes no error.
    const none = await asBearer(harness, { scope: '', customer: 'u7' }, document, { r: [] });
    assert.deepEqual([none.data, none.errors], [{ _entities: [] }, undefined]);
  }, jwtSettings));

test('the validation of a document MUST stop after 5 errors', (context) =>
  withHarness(async (harness) => {
    const document = (fields: number) => `{ ${repeat(fields, (n) => `x${n}`).join(' ')} }`;
    const capture = context.mock.method(Error, 'captureStackTrace');
    const errorsOf = async (fields: number) => {
      const before = capture.mock.callCount();
      const answer = await harness.ask(document(fields));
      assert.equal(answer.errors?.length, 5);
      return capture.mock.callCount() - before;
    };
    await errorsOf(5);
    // Each error of graphql-js captures a stack, which takes most of its time.
    assert.ok((await errorsOf(1_900)) <= (await errorsOf(6)) + 5);
  }));

test('a missing scope for 60,000 fields below a list MUST give 5 errors', () =>
  withHarness(async (harness) => {
    const fields = repeat(55, (n) => `a${n}: clientAuthToken { token }`).join(' ');
    const document = `query ($r: [_Any!]!) { _entities(representations: $r) { ... on Customer { id ${fields} } } }`;
    const r = repeat(1100, () => ({ __typename: 'Customer', objectReferenceId: 'u7' }));
    const answer = await asBearer(harness, { scope: 'customer:read customer:any' }, document, { r });
    assert.deepEqual(
      Object.entries(codesOf(answer)),
      repeat(5, (n) => [`_entities.0.a${n}`, 'FORBIDDEN']),
    );
    const entities = listOf(answer) as Record<string, unknown>[];
    assert.equal(entities.length, 1100);
    assert.ok(entities.every(({ id, a0, a54 }) => id === 'cst_0123456789abcdef' && a0 === null && a54 === null));
    assert.deepEqual(harness.upstream(), ['GET /customers/u7']);
  }, jwtSettings));

test('introspection MUST be exempt from LIMIT_DEPTH and limited in the number of aliases', () =>
  withHarness(
    async (harness) => {
      const deep = '{ __schema { types { fields { type { ofType { ofType { ofType { name } } } } } } } }';
      assert.equal((await harness.ask(deep)).errors, undefined);
      const types = (count: number) => repeat(count, (n) => `t${n}: types { ...F }`).join(' ');
      const fragment = 'fragment F on __Type { name fields { name } }';
      for (const document of [
        `{ ${repeat(5, (n) => `a${n}: __schema { types { ...F } }`).join(' ')} } ${fragment}`,
        `{ __schema { ${types(4)} } } ${fragment}`,
        `{ ...S } fragment S on Query { __schema { ...T } } fragment T on __Schema { ${types(4)} } ${fragment}`,
        `{ __type(name: "Customer") { ${repeat(5, (n) => `a${n}: name`).join(' ')} } }`,
      ]) {
        assertTooComplex(harness, await harness.ask(document), document);
      }
      for (const document of [
        `{ ${repeat(4, (n) => `a${n}: __schema { types { ...F } }`).join(' ')} } ${fragment}`,
        `{ ${repeat(6, (n) => `a${n}: __type(name: "Customer") { name }`).join(' ')} }`,
      ]) {
        assert.equal((await harness.ask(document)).errors, undefined, document);
      }
    },
    { LIMIT_DEPTH: '1' },
  ));
