import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  buildSchema as buildFromText,
  type DocumentNode,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
  isSpecifiedScalarType,
  lexicographicSortSchema,
  parse,
  print,
  printSchema,
  visit,
} from 'graphql';
import { buildSchema } from '../../src/graphql/schema.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The sorted schema without descriptions. */
function skeleton(schema: Parameters<typeof printSchema>[0]): string {
  const document: DocumentNode = parse(printSchema(lexicographicSortSchema(schema)));
  return print(
    visit(document, { enter: (node) => ('description' in node ? { ...node, description: undefined } : undefined) }),
  );
}

test('the schema MUST match the contract in names, types, nullability and arguments', () => {
  assert.equal(skeleton(buildSchema()), skeleton(buildFromText(read('test/contract.graphql'))));
});

test('schema/schema.graphql MUST equal the print of the code', () => {
  assert.equal(read('schema/schema.graphql'), `${printSchema(lexicographicSortSchema(buildSchema()))}\n`);
});

test('every type, field, argument, input field and enum value MUST have a description', () => {
  const undescribed: string[] = [];
  const check = (name: string, { description }: { description?: string | null | undefined }) => {
    if (!description) undescribed.push(name);
  };
  for (const type of Object.values(buildSchema().getTypeMap())) {
    if (isIntrospectionType(type) || isSpecifiedScalarType(type)) continue;
    check(type.name, type);
    if (isEnumType(type)) for (const value of type.getValues()) check(`${type.name}.${value.name}`, value);
    if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      check(`${type.name}.${field.name}`, field);
      if ('args' in field)
        for (const argument of field.args) check(`${type.name}.${field.name}(${argument.name})`, argument);
    }
  }
  assert.deepEqual(undescribed, []);
});

test('two schemas MUST NOT share types', () => {
  const [one, other] = [buildSchema(), buildSchema()];
  assert.notEqual(one.getType('Customer'), other.getType('Customer'));
});
