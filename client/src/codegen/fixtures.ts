import {
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  isAbstractType,
  isEnumType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import { banner, type Imports, lower, typesOf } from './emit.ts';
import type { Operation } from './operations.ts';

/** Example values by field name, or by type and field name. */
const examples: Readonly<Record<string, unknown>> = {
  id: 'cth_Fixture1Fixture1F',
  objectReferenceId: 'customer-fixture',
  firstName: 'Asha',
  lastName: 'Rao',
  emailAddress: 'asha@example.com',
  mobileNumber: '9000000001',
  mobileCountryCode: '91',
  dateCreated: '2026-01-31T09:30:00Z',
  lastUpdated: '2026-01-31T09:30:00Z',
  token: 'tkn_00000000000000000000000000000000',
  expiresAt: '2026-01-31T09:45:00Z',
  expiresInSeconds: 900,
  origin: 'CREATED',
  message: 'An example.',
  requestId: '00000000-0000-4000-8000-000000000000',
  retryable: false,
  retryAfterSeconds: 2,
  differingFields: ['mobileNumber'],
  path: ['input', 'mobileNumber'],
  'CustomerValidationIssue.code': 'INVALID_FORMAT',
  'CustomerValidationError.code': 'VALIDATION_FAILED',
  'CustomerAlreadyExistsError.code': 'ALREADY_EXISTS',
  'CustomerNotFoundError.code': 'NOT_FOUND',
  'CustomerOutcomeUnknownError.code': 'OUTCOME_UNKNOWN',
  'CustomerOutcomeUnknownError.retryable': true,
  'CustomerUpstreamError.code': 'UPSTREAM_UNAVAILABLE',
  'CustomerUpstreamError.retryable': true,
};

/** Emits the example results of each operation: one with the name `byDefault`, and one for each member of the result union. */
export function emitFixtures(schema: GraphQLSchema, operations: readonly Operation[], imports: Imports): string {
  const names = operations.map((operation) => typesOf(operation).result);
  const fixtures = operations.map((operation, index) => {
    const variants = variantsOf(schema, operation);
    const [first = ''] = Object.keys(variants);
    const members = first === 'byDefault' ? variants : { byDefault: variants[first], ...variants };
    return `/** Example results of \`${operation.name}\`. */
export const ${lower(operation.name)}Fixtures = ${JSON.stringify(members, null, 2)} satisfies Record<string, ${names[index]}>;\n`;
  });
  const head = `import type {\n${names.map((name) => `  ${name},\n`).join('')}} from '${imports.sibling('operations')}';\n`;
  return [banner + head, ...fixtures].join('\n');
}

function variantsOf(schema: GraphQLSchema, operation: Operation): Record<string, unknown> {
  const definition = operation.ast.definitions.find((node) => node.kind === Kind.OPERATION_DEFINITION);
  const fragments = operation.ast.definitions.filter((node) => node.kind === Kind.FRAGMENT_DEFINITION);
  const type = operation.kind === 'query' ? schema.getQueryType() : schema.getMutationType();
  if (definition === undefined || !type) return {};
  const members = membersOf(schema, type, definition);
  const example = (member?: GraphQLObjectType) =>
    exampleOf({ schema, fragments, member }, type, definition.selectionSet);
  if (members.length === 0) return { byDefault: example() };
  return Object.fromEntries(members.map((member) => [member.name, example(member)]));
}

/** The members of the union type of the first root field. Empty if its type is not abstract. */
function membersOf(
  schema: GraphQLSchema,
  type: GraphQLObjectType,
  { selectionSet }: OperationDefinitionNode,
): readonly GraphQLObjectType[] {
  const field = selectionSet.selections.find((node) => node.kind === Kind.FIELD);
  const result = field && type.getFields()[field.name.value]?.type;
  const named: GraphQLNamedType | undefined = isNonNullType(result) ? undefined : (result as GraphQLNamedType);
  return named !== undefined && isAbstractType(named) ? schema.getPossibleTypes(named) : [];
}

interface Scope {
  readonly schema: GraphQLSchema;
  readonly fragments: readonly FragmentDefinitionNode[];
  /** The member to use for an abstract type. */
  readonly member: GraphQLObjectType | undefined;
}

function exampleOf(scope: Scope, type: GraphQLObjectType, { selections }: SelectionSetNode): Record<string, unknown> {
  const applies = (condition: string | undefined) => {
    const other = condition === undefined ? type : scope.schema.getType(condition);
    return other === type || (isAbstractType(other) && scope.schema.isSubType(other, type));
  };
  return Object.assign(
    {},
    ...selections.map((node) => {
      if (node.kind === Kind.FIELD) return { [node.alias?.value ?? node.name.value]: fieldValue(scope, type, node) };
      const fragment =
        node.kind === Kind.INLINE_FRAGMENT ? node : scope.fragments.find(({ name }) => name.value === node.name.value);
      if (fragment === undefined || !applies(fragment.typeCondition?.name.value)) return {};
      return exampleOf(scope, type, fragment.selectionSet);
    }),
  );
}

function fieldValue(scope: Scope, parent: GraphQLObjectType, field: FieldNode): unknown {
  const name = field.name.value;
  if (name === '__typename') return parent.name;
  const type = parent.getFields()[name]?.type;
  return type && exampleOfType(scope, parent, field, type);
}

function exampleOfType(scope: Scope, parent: GraphQLObjectType, field: FieldNode, type: GraphQLOutputType): unknown {
  if (isNonNullType(type)) return exampleOfType(scope, parent, field, type.ofType);
  const example = examples[`${parent.name}.${field.name.value}`] ?? examples[field.name.value];
  if (isListType(type)) return Array.isArray(example) ? example : [exampleOfType(scope, parent, field, type.ofType)];
  const concrete = isAbstractType(type) ? (scope.member ?? scope.schema.getPossibleTypes(type)[0]) : type;
  if (isObjectType(concrete) && field.selectionSet) return exampleOf(scope, concrete, field.selectionSet);
  if (example !== undefined) return example;
  if (isEnumType(type)) return type.getValues()[0]?.name;
  return { Boolean: false, Int: 1, Float: 1.5 }[String(type)] ?? 'example';
}
