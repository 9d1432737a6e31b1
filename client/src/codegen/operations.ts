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

/** One operation, whole: with the fragments that it uses, and `__typename` wherever a client would add it. */
export interface Operation {
  /** In PascalCase: what its types, documents and hooks are called after. */
  readonly name: string;
  readonly kind: 'query' | 'mutation';
  /** What is sent, and what the id is made of. */
  readonly text: string;
  /** `sha256:<hex>` of {@link text}. */
  readonly id: string;
  readonly ast: DocumentNode;
  /** Its one root field, by the key in the answer; `undefined` where it has several: nothing is unwrapped then. */
  readonly root: { readonly key: string; readonly isList: boolean; readonly isUnion: boolean } | undefined;
  /** Every cache of queries would ask for another token now and then: no query hook is made for it. */
  readonly selectsToken: boolean;
}

const tokenType = 'ClientAuthToken';

/**
 * The operations of some documents, in the order of their names.
 *
 * @throws Error with every problem: a document that does not fit the schema, an operation without a name or with one that is taken.
 */
export function readOperations(schema: GraphQLSchema, documents: readonly DocumentNode[]): Operation[] {
  const definitions = documents.flatMap((document) => document.definitions);
  const whole: DocumentNode = { kind: Kind.DOCUMENT, definitions };
  const problems = validate(schema, whole).map(({ message }) => message);
  if (problems.length > 0) throw new Error(`The operations do not fit the schema:\n${problems.join('\n')}`);
  const fragments = definitions.filter((node) => node.kind === Kind.FRAGMENT_DEFINITION);
  return Object.entries(separateOperations({ kind: Kind.DOCUMENT, definitions: withTypenames(whole).definitions }))
    .map(([name, ast]) => readOperation(schema, name, ordered(ast), fragments))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

function readOperation(
  schema: GraphQLSchema,
  name: string,
  ast: DocumentNode,
  fragments: readonly FragmentDefinitionNode[],
): Operation {
  const operation = ast.definitions.find((node) => node.kind === Kind.OPERATION_DEFINITION);
  if (operation === undefined || name === '') throw new Error('Every operation needs a name.');
  if (operation.operation === 'subscription') throw new Error(`${name}: there are no subscriptions here.`);
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

/** The operation first, then its fragments: the order in which people write and read them. */
function ordered({ definitions }: DocumentNode): DocumentNode {
  const isFragment = (kind: string) => (kind === Kind.FRAGMENT_DEFINITION ? 1 : 0);
  return {
    kind: Kind.DOCUMENT,
    definitions: definitions.toSorted((one, other) => isFragment(one.kind) - isFragment(other.kind)),
  };
}

/**
 * Where Apollo Client and urql would put it: at the end of each selection but the operation's own. They find nothing
 * left to add then, so that what they send is what the id was made of.
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
        const isThere = node.selections.some((one) => one.kind === Kind.FIELD && one.name.value === '__typename');
        return isRoot || isThere ? undefined : { ...node, selections: [...node.selections, typename] };
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

/** Manifest of persisted documents: what is there stays, since clients of earlier releases still send its ids. */
export function manifestOf(operations: readonly Operation[], earlier: Readonly<Record<string, string>> = {}): string {
  const now = Object.fromEntries(operations.map(({ id, text }) => [id, text]));
  return `${JSON.stringify({ ...now, ...earlier }, null, 2)}\n`;
}
