import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { stitchingDirectives } from '@graphql-tools/stitching-directives';
import {
  type ASTNode,
  buildASTSchema,
  buildSchema as buildFromText,
  type ConstDirectiveNode,
  type DocumentNode,
  isNonNullType,
  Kind,
  parse,
  print,
  validateSchema,
  visit,
} from 'graphql';
import { prints } from '../../src/graphql/prints.ts';

const read = (name: keyof typeof prints) =>
  readFileSync(new URL(`../../schema/${prints[name].file}`, import.meta.url), 'utf8');

/** The directives of a print by what they stand on: `Type`, `Type.field`. */
function directivesOf(text: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  const note = (coordinate: string, directives: readonly ConstDirectiveNode[] = []) => {
    if (directives.length > 0) found[coordinate] = directives.map((node) => print(node));
  };
  visit(parse(text), {
    ObjectTypeDefinition(type) {
      note(type.name.value, type.directives);
      for (const field of type.fields ?? []) note(`${type.name.value}.${field.name.value}`, field.directives);
    },
  });
  return found;
}

/** A print without all that a composer reads: directives, their definitions, links and scalars for both. */
function bare(text: string): string {
  const dropped: readonly string[] = [Kind.DIRECTIVE, Kind.DIRECTIVE_DEFINITION, Kind.SCHEMA_EXTENSION];
  const isDropped = (node: ASTNode) =>
    dropped.includes(node.kind) ||
    (node.kind === Kind.SCALAR_TYPE_DEFINITION && node.name.value === 'FieldSelectionSet');
  return print(visit(parse(text), { enter: (node) => (isDropped(node) ? null : undefined) }));
}

const keys = ['@key(fields: "id")', '@key(fields: "objectReferenceId")'];

for (const name of Object.keys(prints) as (keyof typeof prints)[]) {
  test(`the print for ${name} MUST be the contract, but for what its composer reads`, () => {
    assert.equal(bare(read(name)), bare(read('plain')));
  });
}

test('the plain print MUST hold no directive, and that for federation the two keys alone', () => {
  assert.deepEqual(directivesOf(read('plain')), {});
  assert.deepEqual(directivesOf(read('federation')), { Customer: keys });
});

test('the print with scopes MUST name the scope of each field that has one', () => {
  const scope = (name: string) => [`@requiresScopes(scopes: [["customer:${name}"]])`];
  assert.deepEqual(directivesOf(read('federation-scopes')), {
    Customer: keys,
    'Customer.clientAuthToken': scope('token'),
    'Mutation.createCustomer': scope('write'),
    'Mutation.updateCustomer': scope('write'),
    'Query.customer': scope('read'),
    'Query.customerByReference': scope('read'),
    'Query.customers': scope('read'),
  });
});

/** What the Composite Schemas draft of 2026-06-19 defines for source schemas. */
const draft = parse(`
  directive @external on FIELD_DEFINITION
  directive @inaccessible on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION
  directive @internal on OBJECT | FIELD_DEFINITION
  directive @is(field: FieldSelectionMap!) on ARGUMENT_DEFINITION
  directive @key(fields: FieldSelectionSet!) repeatable on OBJECT | INTERFACE
  directive @lookup on FIELD_DEFINITION
  directive @override(from: String!) on FIELD_DEFINITION
  directive @provides(fields: FieldSelectionSet!) on FIELD_DEFINITION
  directive @require(field: FieldSelectionMap!) on ARGUMENT_DEFINITION
  directive @shareable repeatable on OBJECT | FIELD_DEFINITION
  scalar FieldSelectionMap
  scalar FieldSelectionSet
`);

test("the composite print MUST be valid by the draft's own definitions, and define nothing otherwise", () => {
  const own = parse(read('composite'));
  const isDefinition = (kind: string, name: string | undefined) =>
    kind === Kind.DIRECTIVE_DEFINITION || name === 'FieldSelectionSet';
  const nameOf = (node: object) => (node as { name?: { value: string } }).name?.value;
  const without = own.definitions.filter((node) => !isDefinition(node.kind, nameOf(node)));
  // With the draft's definitions in place of the print's: unknown directives, places and arguments are errors here.
  const schema = buildASTSchema({ kind: Kind.DOCUMENT, definitions: [...without, ...draft.definitions] });
  assert.deepEqual(validateSchema(schema), []);
  const define = (document: DocumentNode) =>
    document.definitions.filter(({ kind }) => kind === Kind.DIRECTIVE_DEFINITION).map((node) => print(node));
  assert.deepEqual(
    define(own).filter((text) => !define(draft).includes(text)),
    [],
  );
});

test('lookups MUST be as the draft asks: nullable, each argument a field of its type, each key with one lookup', () => {
  const schema = buildFromText(read('composite'));
  const directives = directivesOf(read('composite'));
  const lookups = Object.keys(directives).filter((coordinate) => directives[coordinate]?.includes('@lookup'));
  const resolved = lookups.map((coordinate) => {
    const [typeName = '', fieldName = ''] = coordinate.split('.');
    assert.equal(typeName, 'Query');
    const field = schema.getQueryType()?.getFields()[fieldName];
    assert.ok(field && !isNonNullType(field.type));
    assert.equal(String(field.type), 'Customer');
    return `@key(fields: "${field.args.map(({ name }) => name).join(' ')}")`;
  });
  assert.deepEqual(resolved, directives['Customer']);
});

test('the stitching print MUST be valid by the package that reads it, and define what that defines', () => {
  const { keyDirectiveTypeDefs, mergeDirectiveTypeDefs, stitchingDirectivesValidator } = stitchingDirectives();
  const text = read('stitching');
  for (const definition of [keyDirectiveTypeDefs, mergeDirectiveTypeDefs]) assert.ok(text.includes(definition));
  stitchingDirectivesValidator(buildFromText(text));
  assert.deepEqual(directivesOf(text), {
    Customer: ['@key(selectionSet: "{ id }")'],
    'Query.customers': ['@merge(keyField: "id")'],
  });
});
