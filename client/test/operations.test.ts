import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { buildSchema, isInterfaceType, isUnionType, Kind, parse, print, visit } from 'graphql';
import * as asts from '../../schema/generated/asts.ts';
import * as documents from '../../schema/generated/documents.ts';
import * as fixtures from '../../schema/generated/fixtures.ts';
import { type Harness, newCustomer, startHarness } from '../../test/support.ts';
import type { TypedAst } from '../src/ast.ts';
import { createCustomerClient } from '../src/client.ts';
import type { TypedDocument } from '../src/document.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const astByName: Readonly<Record<string, TypedAst<unknown, unknown>>> = { ...asts } as never;
const examplesByName: Readonly<Record<string, object>> = { ...fixtures };
const all = Object.values(documents) as readonly TypedDocument<unknown, unknown>[];
const schema = buildSchema(read('schema/schema.graphql'));

/** Runs a test with a client that sends texts, and with one that sends ids to a gateway with PERSISTED_ONLY=on. */
async function withEach(run: (client: ReturnType<typeof clientOf>, harness: Harness) => Promise<void>): Promise<void> {
  for (const persisted of [false, true]) {
    const harness = await startHarness(persisted ? { PERSISTED_ONLY: 'on' } : {});
    try {
      await run(clientOf(harness, persisted), harness);
    } finally {
      await harness.close();
    }
  }
}

function clientOf(harness: Harness, persisted: boolean) {
  const fetch: typeof globalThis.fetch = (input, init) => {
    const { query, documentId } = JSON.parse(String(init?.body)) as { query?: string; documentId?: string };
    const sent = all.find(({ id, text }) => (query === undefined ? id === documentId : text === query));
    executed.add(`${sent?.name}${query === undefined ? ' by id' : ''}`);
    return harness.gateway.fetch(new Request(input, init));
  };
  return createCustomerClient({ url: 'http://gateway.test/graphql', persisted, fetch });
}

/** Names of the operations that the tests below have sent. */
const executed = new Set<string>();

const asha = 'cth_A1b2C3d4E5f6G7h8';

test('Customer MUST read one customer with one upstream call and without a token', () =>
  withEach(async (client, harness) => {
    const { customer } = await client.execute(documents.CustomerDocument, { id: asha });
    assert.equal(customer?.firstName, 'Asha');
    assert.deepEqual(harness.upstream(), [`GET /customers/${asha}`]);
  }));

test('CustomerWithToken MUST request a token', () =>
  withEach(async (client, harness) => {
    const { customer } = await client.execute(documents.CustomerWithTokenDocument, { id: asha });
    assert.match(customer?.clientAuthToken?.token ?? '', /^tkn_/);
    assert.deepEqual(harness.upstream(), [`GET /customers/${asha}?options.get_client_auth_token=true`]);
  }));

test('Customers MUST read several customers, with null for those that do not exist', () =>
  withEach(async (client) => {
    const { customers } = await client.execute(documents.CustomersDocument, { ids: [asha, 'nobody', 'u7'] });
    assert.deepEqual(
      customers?.map((customer) => customer?.id),
      [asha, undefined, 'cst_0123456789abcdef'],
    );
  }));

test('CreateCustomer MUST create a customer, and distinguish all other outcomes', () =>
  withEach(async (client, harness) => {
    const create = (input: ReturnType<typeof newCustomer>) =>
      client.mutate(documents.CreateCustomerDocument, { input });
    const made = await create(newCustomer('operations-1'));
    assert.ok(
      made.status === 'success' && made.origin === 'CREATED' && made.customer.emailAddress === 'new@example.com',
    );
    assert.equal(harness.sandbox.calls[0]?.form?.['options.get_client_auth_token'], undefined);

    const again = await create(newCustomer('operations-1', { mobileNumber: '1' }));
    assert.ok(again.status === 'exists');
    assert.deepEqual(again.differingFields, ['mobileNumber']);
    assert.equal(again.existing?.id, made.customer.id);

    const wrong = await create(newCustomer('short', { mobileNumber: '+1' }));
    assert.ok(wrong.status === 'invalid');
    assert.deepEqual(
      wrong.issues.map(({ path, code }) => [path.join('.'), code]),
      [
        ['input.objectReferenceId', 'TOO_SHORT'],
        ['input.mobileNumber', 'INVALID_FORMAT'],
      ],
    );
    const rejected = await create(newCustomer('fault_rejected_x1'));
    assert.ok(rejected.status === 'upstream' && rejected.code === 'UPSTREAM_REJECTED' && !rejected.retryable);
  }));

test('CreateCustomerWithToken MUST request the token with the create call', () =>
  withEach(async (client, harness) => {
    const made = await client.mutate(documents.CreateCustomerWithTokenDocument, { input: newCustomer('operations-2') });
    assert.equal(made.status, 'success');
    assert.deepEqual(harness.upstream(), ['POST /customers']);
    assert.equal(harness.sandbox.calls[0]?.form?.['options.get_client_auth_token'], 'true');
  }));

test('UpdateCustomer MUST update a customer, and distinguish all other outcomes', () =>
  withEach(async (client, harness) => {
    const update = (id: string, input: object) => client.mutate(documents.UpdateCustomerDocument, { id, input });
    const changed = await update('u7', { firstName: 'Ravi' });
    assert.ok(changed.status === 'success' && changed.customer.firstName === 'Ravi');
    assert.deepEqual(harness.upstream(), ['POST /customers/u7']);
    assert.equal((await update('nobody-at-all', { firstName: 'Ravi' })).status, 'notFound');
    assert.equal((await update('u7', {})).status, 'invalid');
  }));

test('an ambiguous outcome MUST have the status `outcomeUnknown`', async () => {
  const harness = await startHarness({ OPERATION_TIMEOUT_MS: '1500' });
  try {
    const client = clientOf(harness, false);
    const [made, changed] = await Promise.all([
      client.mutate(documents.CreateCustomerDocument, { input: newCustomer('fault_500_x9') }),
      client.mutate(documents.UpdateCustomerDocument, { id: 'fault_500_x8', input: { firstName: 'A' } }),
    ]);
    assert.ok(made.status === 'outcomeUnknown' && made.retryable);
    assert.equal(changed.status, 'outcomeUnknown');
  } finally {
    await harness.close();
  }
});

test('each file MUST contain one operation of the same name, and the tests above MUST run each of them', () => {
  const names = readdirSync(new URL('../../schema/operations/', import.meta.url)).flatMap((file) => {
    const { definitions } = parse(read(`schema/operations/${file}`));
    assert.equal(definitions.length, 1, file);
    const [definition] = definitions;
    const isOperation = definition?.kind === Kind.OPERATION_DEFINITION;
    const name = isOperation || definition?.kind === Kind.FRAGMENT_DEFINITION ? definition.name?.value : undefined;
    assert.equal(`${name}.graphql`, file);
    return isOperation ? [name] : [];
  });
  assert.deepEqual(
    all.map(({ name }) => name),
    names,
  );
  assert.deepEqual([...executed].toSorted(), names.flatMap((name) => [name, `${name} by id`]).toSorted());
});

test('each operation MUST select every member of its union, and the interface of errors', () => {
  for (const { text, name } of all) {
    visit(parse(text), {
      Field(field) {
        const type = schema.getMutationType()?.getFields()[field.name.value]?.type;
        if (!isUnionType(type) || field.selectionSet === undefined) return;
        const conditions = field.selectionSet.selections.flatMap((one) =>
          one.kind === Kind.INLINE_FRAGMENT ? [one.typeCondition?.name.value] : [],
        );
        assert.ok(conditions.includes('CustomerError'), name);
        for (const member of type.getTypes()) {
          const common = member.getInterfaces().find(isInterfaceType)?.getFields() ?? {};
          const own = Object.keys(member.getFields()).filter((one) => !(one in common));
          if (own.length > 0) assert.ok(conditions.includes(member.name), `${name}: ${member.name}`);
        }
      },
    });
  }
});

test('an id MUST be the hash of the text and of the parsed document, and be in the manifest', () => {
  const manifest = JSON.parse(read('schema/generated/persisted-documents.json')) as Record<string, string>;
  for (const { id, name, text } of all) {
    assert.equal(id, `sha256:${createHash('sha256').update(text).digest('hex')}`);
    const ast = astByName[`${name}Ast`];
    assert.ok(ast);
    assert.equal(ast.documentId, id);
    assert.equal(print(ast), text);
    assert.equal(manifest[id ?? ''], text);
  }
});

function nameOf(text: string): string {
  const operation = parse(text).definitions.find((node) => node.kind === Kind.OPERATION_DEFINITION);
  return operation?.name?.value ?? '';
}

/** Variables of a released operation, and the expected part of its result. */
interface Trial {
  /** `number` makes the references of each run unique. */
  readonly variables: (number: number) => object;
  readonly answers: object;
  /** The expected upstream calls. */
  readonly upstream: readonly string[];
}

const created = (token: object = {}) => ({
  createCustomer: {
    __typename: 'CreateCustomerSuccess',
    origin: 'CREATED',
    customer: { emailAddress: 'new@example.com', ...token },
  },
});

/** By operation name. Add a trial for each new operation of a release. */
const trials: Readonly<Record<string, Trial>> = {
  Customer: {
    variables: () => ({ id: asha }),
    answers: { customer: { __typename: 'Customer', id: asha, firstName: 'Asha' } },
    upstream: [`GET /customers/${asha}`],
  },
  CustomerWithToken: {
    variables: () => ({ id: asha }),
    answers: { customer: { id: asha, clientAuthToken: { __typename: 'ClientAuthToken' } } },
    upstream: [`GET /customers/${asha}?options.get_client_auth_token=true`],
  },
  Customers: {
    variables: () => ({ ids: [asha] }),
    answers: { customers: [{ __typename: 'Customer', id: asha, lastName: 'Rao' }] },
    upstream: [`GET /customers/${asha}`],
  },
  CreateCustomer: {
    variables: (number) => ({ input: newCustomer(`released-${number}`) }),
    answers: created(),
    upstream: ['POST /customers'],
  },
  CreateCustomerWithToken: {
    variables: (number) => ({ input: newCustomer(`released-token-${number}`) }),
    answers: created({ clientAuthToken: { __typename: 'ClientAuthToken' } }),
    upstream: ['POST /customers'],
  },
  UpdateCustomer: {
    variables: (number) => ({ id: 'u7', input: { firstName: `Ravi ${number}` } }),
    answers: { updateCustomer: { __typename: 'UpdateCustomerSuccess', customer: { __typename: 'Customer' } } },
    upstream: ['POST /customers/u7'],
  },
};

const releases = globSync('schema/released/*/persisted-documents.json').toSorted();

test('at least one release MUST be recorded, each with all its operations', () => {
  assert.ok(releases.length > 0);
  for (const path of releases) assert.ok(Object.keys(JSON.parse(read(path)) as object).length >= 6, path);
});

for (const path of releases) {
  test(`every document of ${path} MUST still be executed, by text, and by id with PERSISTED_ONLY=on`, async () => {
    const released = Object.entries(JSON.parse(read(path)) as Record<string, string>);
    const [open, closed] = await Promise.all([startHarness(), startHarness({ PERSISTED_ONLY: 'on' })]);
    try {
      let number = 0;
      for (const [id, text] of released) {
        const name = nameOf(text);
        const trial = trials[name];
        assert.ok(trial, `${name} has no trial`);
        for (const [harness, document] of [
          [open, { query: text }],
          [closed, { documentId: id }],
          // The format of Apollo's persisted-query link.
          [closed, { extensions: { persistedQuery: { version: 1, sha256Hash: id.replace('sha256:', '') } } }],
        ] as const) {
          number += 1;
          harness.sandbox.clearCalls();
          const { data, errors } = await harness.fetch({
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ ...document, variables: trial.variables(number) }),
          });
          assert.equal(errors, undefined, name);
          assert.partialDeepStrictEqual(data, trial.answers, name);
          assert.deepEqual(harness.upstream(), trial.upstream, name);
        }
      }
    } finally {
      await Promise.all([open.close(), closed.close()]);
    }
  });
}

test('every id of a release MUST stay in the manifest, with the same document', () => {
  const manifest = JSON.parse(read('schema/generated/persisted-documents.json')) as Record<string, string>;
  for (const path of releases) {
    for (const [id, text] of Object.entries(JSON.parse(read(path)) as Record<string, string>)) {
      assert.equal(manifest[id], text, path);
      assert.equal(id, `sha256:${createHash('sha256').update(text).digest('hex')}`, path);
    }
  }
});

test('each fixture MUST be a possible result of its operation', () => {
  for (const { name, text } of all) {
    const own: object = examplesByName[`${name.charAt(0).toLowerCase()}${name.slice(1)}Fixtures`] ?? {};
    assert.ok(Object.keys(own).length > 0);
    const [root = ''] = /(?<=\{\n\s+)\w+/.exec(text) ?? [];
    for (const example of Object.values(own)) assert.ok(root in example, name);
  }
  assert.deepEqual(Object.keys(fixtures.createCustomerFixtures).toSorted(), [
    'CreateCustomerSuccess',
    'CustomerAlreadyExistsError',
    'CustomerOutcomeUnknownError',
    'CustomerUpstreamError',
    'CustomerValidationError',
    'byDefault',
  ]);
});
