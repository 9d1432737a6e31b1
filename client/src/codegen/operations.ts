import { createHash } from 'node:crypto';
import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  isListType,
  isNonNullType,
  isUnionType,
  Kind,
  type OperationDefinitionNode,
  print,
  type SelectionSetNode,
  separateOperations,
  TypeInfo,
  validate,
  visit,
  visitWithTypeInfo,
} from 'graphql';

/** One operation with its fragments, and with `__typename` where a client would add it. */
export interface Operation {
  /** Its name in PascalCase, which is the base of the names of types, documents and hooks. */
  readonly name: string;
  readonly kind: 'query' | 'mutation';
  /** The text that is sent and hashed. */
  readonly text: string;
  /** `sha256:<hex>` of {@link text}. */
  readonly id: string;
  readonly ast: DocumentNode;
  /** Its only root field, by response key. `undefined` if it has several; then hooks return all data. */
  readonly root: { readonly key: string; readonly isList: boolean; readonly isUnion: boolean } | undefined;
  /** Whether it selects a token. Such a query gets no hook, because a cache would request new tokens repeatedly. */
  readonly selectsToken: boolean;
}

const tokenType = 'ClientAuthToken';

/**
 * Reads the operations of some documents, sorted by name.
 *
 * @throws Error with all problems if a document is invalid for the schema, or if an operation has no name or a duplicate name.
 */
export function readOperations(schema: GraphQLSchema, documents: readonly DocumentNode[]): Operation[] {
  const definitions = documents.flatMap((document) => document.definitions);
  const document: DocumentNode = { kind: Kind.DOCUMENT, definitions };
  const problems = validate(schema, document).map(({ message }) => message);
  if (problems.length > 0) throw new Error(`The operations are not valid for the schema:\n${problems.join('\n')}`);
  const fragments = definitions.filter((node) => node.kind === Kind.FRAGMENT_DEFINITION);
  const operations = Object.entries(separateOperations(withTypenames(document)))
    .map(([name, ast]) => readOperation(schema, name, operationFirst(ast), fragments))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1));
  const duplicates = operations.filter(({ name }, index) => operations[index + 1]?.name === name);
  if (duplicates.length > 0) {
    const names = duplicates.map(({ name }) => name).join(', ');
    throw new Error(
      `The generated names begin with a capital letter, so several operations would have the name ${names}.`,
    );
  }
  return operations;
}

function readOperation(
  schema: GraphQLSchema,
  name: string,
  ast: DocumentNode,
  fragments: readonly FragmentDefinitionNode[],
): Operation {
  const operation = ast.definitions.find((node) => node.kind === Kind.OPERATION_DEFINITION);
  if (operation === undefined || name === '') throw new Error('Every operation needs a name.');
  if (operation.operation === 'subscription') throw new Error(`${name}: subscriptions are not supported.`);
  const text = print(ast);
  return {
    name: name.charAt(0).toUpperCase() + name.slice(1),
    kind: operation.operation,
    text,
    id: `sha256:${createHash('sha256').update(text).digest('hex')}`,
    ast,
    root: rootOf(schema, operation, fragments),
    selectsToken: namesOfTypes(schema, ast).has(tokenType),
  };
}

/** Puts the operation before its fragments, which is the usual order. */
function operationFirst({ definitions }: DocumentNode): DocumentNode {
  const isFragment = (kind: string) => (kind === Kind.FRAGMENT_DEFINITION ? 1 : 0);
  return {
    kind: Kind.DOCUMENT,
    definitions: definitions.toSorted((one, other) => isFragment(one.kind) - isFragment(other.kind)),
  };
}

/**
 * Adds `__typename` where Apollo Client and urql would add it: at the end of each selection set except that of the operation. They then add
 * nothing. The hash of the text that they send is therefore equal to the id of the operation.
 */
function withTypenames(document: DocumentNode): DocumentNode {
  const typename: FieldNode = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } };
  return visit(document, {
    SelectionSet: {
      leave(node: SelectionSetNode, _key, parent) {
        const isRoot =
          parent !== undefined &&
          !Array.isArray(parent) &&
          'kind' in parent &&
          parent.kind === Kind.OPERATION_DEFINITION;
        const hasTypename = node.selections.some((one) => one.kind === Kind.FIELD && one.name.value === '__typename');
        return isRoot || hasTypename ? undefined : { ...node, selections: [...node.selections, typename] };
      },
    },
  });
}

function rootOf(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
  fragments: readonly FragmentDefinitionNode[],
): Operation['root'] {
  const type = operation.operation === 'query' ? schema.getQueryType() : schema.getMutationType();
  const fieldsOf = (set: SelectionSetNode): FieldNode[] =>
    set.selections.flatMap((node) => {
      if (node.kind === Kind.FIELD) return node.name.value === '__typename' ? [] : [node];
      if (node.kind === Kind.INLINE_FRAGMENT) return fieldsOf(node.selectionSet);
      const fragment = fragments.find(({ name }) => name.value === node.name.value);
      return fragment ? fieldsOf(fragment.selectionSet) : [];
    });
  const [field, ...others] = fieldsOf(operation.selectionSet);
  const definition = field && type?.getFields()[field.name.value];
  if (field === undefined || definition === undefined || others.length > 0) return undefined;
  const key = field.alias?.value ?? field.name.value;
  return { key, isList: isList(definition.type), isUnion: isUnionType(getNamedType(definition.type)) };
}

function isList(type: GraphQLOutputType): boolean {
  return isListType(isNonNullType(type) ? type.ofType : type);
}

function namesOfTypes(schema: GraphQLSchema, ast: DocumentNode): Set<string> {
  const names = new Set<string>();
  const info = new TypeInfo(schema);
  visit(
    ast,
    visitWithTypeInfo(info, {
      Field() {
        const type = info.getType();
        if (type) names.add(getNamedType(type).name);
      },
    }),
  );
  return names;
}

/** Prints the manifest of persisted documents. Keeps earlier entries, because clients of earlier releases send their ids. */
export function manifestOf(operations: readonly Operation[], earlier: Readonly<Record<string, string>> = {}): string {
  const now = Object.fromEntries(operations.map(({ id, text }) => [id, text]));
  return `${JSON.stringify({ ...now, ...earlier }, null, 2)}\n`;
}
