import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { buildSchema, isInterfaceType, isUnionType, Kind, parse, print, validate, visit } from 'graphql';
import * as asts from '../../schema/generated/asts.ts';
import * as documents from '../../schema/generated/documents.ts';
import * as fixtures from '../../schema/generated/fixtures.ts';
import type { TypedAst } from '../../src/client/ast.ts';
import { createCustomerClient } from '../../src/client/client.ts';
import type { TypedDocument } from '../../src/client/document.ts';
import { newCustomer, startWorld, type World } from '../support.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const astByName: Readonly<Record<string, TypedAst<unknown, unknown>>> = { ...asts } as never;
const examplesByName: Readonly<Record<string, object>> = { ...fixtures };
const all = Object.values(documents) as readonly TypedDocument<unknown, unknown>[];
const schema = buildSchema(read('schema/schema.graphql'));

/** Runs a test with a client that sends texts, and with one that sends ids to a gateway that takes nothing else. */
async function withEach(run: (client: ReturnType<typeof clientOf>, world: World) => Promise<void>): Promise<void> {
  for (const persisted of [false, true]) {
    const world = await startWorld(persisted ? { PERSISTED_ONLY: 'on' } : {});
    try {
      await run(clientOf(world, persisted), world);
    } finally {
      await world.close();
    }
  }
}

function clientOf(world: World, persisted: boolean) {
  const fetch: typeof globalThis.fetch = (input, init) => world.gateway.fetch(new Request(input, init));
  return createCustomerClient({ url: 'http://gateway.test/graphql', persisted, fetch });
}

const asha = 'cth_A1b2C3d4E5f6G7h8';

test('Customer MUST read one customer, with one call and without a token', () =>
  withEach(async (client, world) => {
    const { customer } = await client.execute(documents.CustomerDocument, { id: asha });
    assert.equal(customer?.firstName, 'Asha');
    assert.deepEqual(world.upstream(), [`GET /customers/${asha}`]);
  }));

test('CustomerWithToken MUST ask for a token', () =>
  withEach(async (client, world) => {
    const { customer } = await client.execute(documents.CustomerWithTokenDocument, { id: asha });
    assert.match(customer?.clientAuthToken?.token ?? '', /^tkn_/);
    assert.deepEqual(world.upstream(), [`GET /customers/${asha}?options.get_client_auth_token=true`]);
  }));

test('Customers MUST read several, null where there is none', () =>
  withEach(async (client) => {
    const { customers } = await client.execute(documents.CustomersDocument, { ids: [asha, 'nobody', 'u7'] });
    assert.deepEqual(
      customers?.map((customer) => customer?.id),
      [asha, undefined, 'cst_0123456789abcdef'],
    );
  }));

test('CreateCustomer MUST make one customer, and tell each other answer apart', () =>
  withEach(async (client, world) => {
    const create = (input: ReturnType<typeof newCustomer>) =>
      client.mutate(documents.CreateCustomerDocument, { input });
    const made = await create(newCustomer('operations-1'));
    assert.ok(
      made.status === 'success' && made.origin === 'CREATED' && made.customer.emailAddress === 'new@example.com',
    );
    assert.equal(world.sandbox.calls[0]?.form?.['options.get_client_auth_token'], undefined);

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
    const refused = await create(newCustomer('fault_rejected_x1'));
    assert.ok(refused.status === 'upstream' && refused.code === 'UPSTREAM_REJECTED' && !refused.retryable);
  }));

test('CreateCustomerWithToken MUST ask for a token with the create itself', () =>
  withEach(async (client, world) => {
    const made = await client.mutate(documents.CreateCustomerWithTokenDocument, { input: newCustomer('operations-2') });
    assert.equal(made.status, 'success');
    assert.deepEqual(world.upstream(), ['POST /customers']);
    assert.equal(world.sandbox.calls[0]?.form?.['options.get_client_auth_token'], 'true');
  }));

test('UpdateCustomer MUST change what is there, and tell each other answer apart', () =>
  withEach(async (client, world) => {
    const update = (id: string, input: object) => client.mutate(documents.UpdateCustomerDocument, { id, input });
    const changed = await update('u7', { firstName: 'Ravi' });
    assert.ok(changed.status === 'success' && changed.customer.firstName === 'Ravi');
    assert.deepEqual(world.upstream(), ['POST /customers/u7']);
    assert.equal((await update('nobody-at-all', { firstName: 'Ravi' })).status, 'notFound');
    assert.equal((await update('u7', {})).status, 'invalid');
  }));

test('an outcome that stays unknown MUST be one of its own', async () => {
  const world = await startWorld({ OPERATION_TIMEOUT_MS: '1500' });
  try {
    const client = clientOf(world, false);
    const [made, changed] = await Promise.all([
      client.mutate(documents.CreateCustomerDocument, { input: newCustomer('fault_500_x9') }),
      client.mutate(documents.UpdateCustomerDocument, { id: 'fault_500_x8', input: { firstName: 'A' } }),
    ]);
    assert.ok(made.status === 'outcomeUnknown' && made.retryable);
    assert.equal(changed.status, 'outcomeUnknown');
  } finally {
    await world.close();
  }
});

test('there MUST be one operation a file, named after it by its verb, and each run above', () => {
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
  const tests = read('test/client/operations.test.ts');
  for (const name of names) assert.match(tests, new RegExp(`\\(documents\\.${name}Document, `));
});

test('each union MUST be selected to its last member, and its fallback', () => {
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

test('an id MUST be the hash of what is sent, the same in both forms, and stand in the manifest', () => {
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

test('every document of every release MUST still stand in the manifest, and run against the schema', () => {
  const manifest = JSON.parse(read('schema/generated/persisted-documents.json')) as Record<string, string>;
  const released = globSync('schema/released/*/persisted-documents.json').flatMap((path) =>
    Object.entries(JSON.parse(read(path)) as Record<string, string>),
  );
  for (const [id, text] of released) assert.equal(manifest[id], text);
  for (const text of Object.values(manifest)) assert.deepEqual(validate(schema, parse(text)), []);
});

test('each example MUST be an answer that the operation can have', () => {
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
