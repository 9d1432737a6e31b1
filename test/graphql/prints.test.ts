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

/** The directives of a print by schema coordinate: `Type`, `Type.field`. */
function directivesOf(text: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  const add = (coordinate: string, directives: readonly ConstDirectiveNode[] = []) => {
    if (directives.length > 0) found[coordinate] = directives.map((node) => print(node));
  };
  visit(parse(text), {
    ObjectTypeDefinition(type) {
      add(type.name.value, type.directives);
      for (const field of type.fields ?? []) add(`${type.name.value}.${field.name.value}`, field.directives);
    },
  });
  return found;
}

/** Removes everything for composition: directives, their definitions, links and scalars. */
function withoutDirectives(text: string): string {
  const dropped: readonly string[] = [Kind.DIRECTIVE, Kind.DIRECTIVE_DEFINITION, Kind.SCHEMA_EXTENSION];
  const isDropped = (node: ASTNode) =>
    dropped.includes(node.kind) ||
    (node.kind === Kind.SCALAR_TYPE_DEFINITION && node.name.value === 'FieldSelectionSet');
  return print(visit(parse(text), { enter: (node) => (isDropped(node) ? null : undefined) }));
}

const keys = ['@key(fields: "id")', '@key(fields: "objectReferenceId")'];

for (const name of Object.keys(prints) as (keyof typeof prints)[]) {
  test(`the print for ${name} MUST equal the plain print except for directives`, () => {
    assert.equal(withoutDirectives(read(name)), withoutDirectives(read('plain')));
  });
}

test('the plain print MUST have no directives, and the federation print only the two keys', () => {
  assert.deepEqual(directivesOf(read('plain')), {});
  assert.deepEqual(directivesOf(read('federation')), { Customer: keys });
});

test('the print with scopes MUST have the scope of each field that requires one', () => {
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

/** The definitions for source schemas in the Composite Schemas draft of 2026-06-19. */
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

test('the composite print MUST be valid with the definitions of the draft, and its definitions MUST equal them', () => {
  const own = parse(read('composite'));
  const isDefinition = (kind: string, name: string | undefined) =>
    kind === Kind.DIRECTIVE_DEFINITION || name === 'FieldSelectionSet';
  const nameOf = (node: object) => (node as { name?: { value: string } }).name?.value;
  const without = own.definitions.filter((node) => !isDefinition(node.kind, nameOf(node)));
  // The definitions of the draft replace those of the print, so unknown directives, locations and arguments are errors.
  const schema = buildASTSchema({ kind: Kind.DOCUMENT, definitions: [...without, ...draft.definitions] });
  assert.deepEqual(validateSchema(schema), []);
  const define = (document: DocumentNode) =>
    document.definitions.filter(({ kind }) => kind === Kind.DIRECTIVE_DEFINITION).map((node) => print(node));
  assert.deepEqual(
    define(own).filter((text) => !define(draft).includes(text)),
    [],
  );
});

test('each lookup MUST satisfy the draft: nullable, each argument is a field of the type, one lookup for each key', () => {
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

test('the stitching print MUST be valid for @graphql-tools/stitching-directives and have its definitions', () => {
  const { keyDirectiveTypeDefs, mergeDirectiveTypeDefs, stitchingDirectivesValidator } = stitchingDirectives();
  const text = read('stitching');
  for (const definition of [keyDirectiveTypeDefs, mergeDirectiveTypeDefs]) assert.ok(text.includes(definition));
  stitchingDirectivesValidator(buildFromText(text));
  assert.deepEqual(directivesOf(text), {
    Customer: ['@key(selectionSet: "{ id }")'],
    'Query.customers': ['@merge(keyField: "id")'],
  });
});
