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

/** A variable that cannot be used, and where in its value: no value of the caller's. */
export interface VariableProblem {
  readonly node: VariableDefinitionNode;
  readonly path: readonly (string | number)[];
}

export type Variables = Readonly<Record<string, unknown>>;

/** The argument and input field that takes a reference. It is a String, and a JSON number is read like one of an ID. */
const referenceName = 'objectReferenceId';

/**
 * Looks for variables that do not fit their types, and stops at the first `maxProblems`: a refusal costs no more for
 * thousands of wrong items than for a few.
 *
 * A JSON number used as an id or a reference becomes its digits where it is exact (a safe integer). Any other was rounded
 * when the body was parsed, so nothing may be looked up by it: a problem in a query. In a mutation it becomes an empty
 * text, which the rules of input report as an issue of that field together with all others.
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

/** Stops the search of the library, which has no limit of its own. */
const enough = Symbol('enough');

/** @param report returns whether the search goes on. */
function fits(
  value: unknown,
  type: GraphQLInputType,
  report: (path: readonly (string | number)[]) => boolean,
): boolean {
  try {
    coerceInputValue(value, type, (path) => {
      if (!report(path)) throw enough;
    });
    return true;
  } catch (error) {
    if (error === enough) return false;
    throw error;
  }
}

/** The value with numbers used as ids and references made texts. `inexact` replaces those that were rounded. */
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
  // Not a number: no scalar takes it, whereas the library takes every integer as an ID.
  return inexact ?? Number.NaN;
}

const referencesByDocument = new WeakMap<DocumentNode, ReadonlySet<string>>();

/** Names of the variables that a document uses as references. */
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
