import {
  type ArgumentNode,
  coerceInputValue,
  type DocumentNode,
  type GraphQLInputType,
  type GraphQLSchema,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  Kind,
  type ObjectFieldNode,
  type OperationDefinitionNode,
  typeFromAST,
  type VariableDefinitionNode,
  visit,
} from 'graphql';

/** An invalid variable, with the path of the invalid value but without the value. */
export interface VariableProblem {
  readonly node: VariableDefinitionNode;
  readonly path: readonly (string | number)[];
}

export type Variables = Readonly<Record<string, unknown>>;

/** Argument and input field of type String that accepts JSON numbers like an ID. */
const referenceName = 'objectReferenceId';

/**
 * Reads the variables of an operation. It stops after `maxProblems` problems, so that thousands of invalid items cost no more
 * than a few.
 *
 * A JSON number for an id or a reference becomes its digits if it is a safe integer. Other numbers may have been rounded by
 * JSON parsing and must not be used for a lookup. In a query they are a problem. In a mutation they become an empty string,
 * which input validation reports together with the other issues.
 */
export function readVariables(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  given: Variables,
  maxProblems: number,
): { variables: Variables; problems: readonly VariableProblem[] } {
  const problems: VariableProblem[] = [];
  const variables: Record<string, unknown> = {};
  const references = referencesOf(document);
  const inexact = operation.operation === 'mutation' ? '' : undefined;
  for (const node of operation.variableDefinitions ?? []) {
    const name = node.variable.name.value;
    const type = typeFromAST(schema, node.type);
    if (!isInputType(type)) continue;
    const isGiven = Object.hasOwn(given, name);
    if (!isGiven && (node.defaultValue || !isNonNullType(type))) continue;
    const value = withExactNumbers(isGiven ? given[name] : undefined, type, references.has(name), inexact);
    if (isGiven) variables[name] = value;
    if (!fits(value, type, (path) => problems.push({ node, path }) < maxProblems)) break;
  }
  return { variables, problems };
}

/** Thrown to stop `coerceInputValue`, which has no limit of errors. */
const limitReached = Symbol('limit reached');

/**
 * @param report called for each problem; returns whether to continue.
 * @returns whether the search was not stopped.
 */
function fits(
  value: unknown,
  type: GraphQLInputType,
  report: (path: readonly (string | number)[]) => boolean,
): boolean {
  try {
    coerceInputValue(value, type, (path) => {
      if (!report(path)) throw limitReached;
    });
    return true;
  } catch (error) {
    if (error === limitReached) return false;
    throw error;
  }
}

/** Converts numbers for ids and references to strings. `inexact` replaces numbers that are not safe integers. */
function withExactNumbers(
  value: unknown,
  type: GraphQLInputType,
  isReference: boolean,
  inexact: string | undefined,
): unknown {
  if (isNonNullType(type)) return withExactNumbers(value, type.ofType, isReference, inexact);
  if (isListType(type)) {
    const item = (one: unknown) => withExactNumbers(one, type.ofType, isReference, inexact);
    return Array.isArray(value) ? value.map(item) : item(value);
  }
  if (isInputObjectType(type)) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => {
        const field = type.getFields()[name];
        return [name, field ? withExactNumbers(inner, field.type, name === referenceName, inexact) : inner];
      }),
    );
  }
  if (typeof value !== 'number' || !(type.name === 'ID' || (type.name === 'String' && isReference))) return value;
  if (Number.isSafeInteger(value)) return String(value);
  // NaN is invalid for every scalar. The number itself could be accepted: graphql-js accepts every integer as an ID.
  return inexact ?? Number.NaN;
}

const referencesByDocument = new WeakMap<DocumentNode, ReadonlySet<string>>();

/** Names of the variables that a document passes as a reference. */
function referencesOf(document: DocumentNode): ReadonlySet<string> {
  const known = referencesByDocument.get(document);
  if (known !== undefined) return known;
  const names = new Set<string>();
  const add = ({ name, value }: ArgumentNode | ObjectFieldNode) => {
    if (name.value === referenceName && value.kind === Kind.VARIABLE) names.add(value.name.value);
  };
  visit(document, { Argument: add, ObjectField: add });
  referencesByDocument.set(document, names);
  return names;
}
