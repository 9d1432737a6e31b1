import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLIncludeDirective,
  type GraphQLObjectType,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getDirectiveValues,
  isAbstractType,
  Kind,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';

/** The parts of an operation that determine which fields run. `GraphQLResolveInfo` satisfies it. */
export interface SelectionContext {
  readonly schema: GraphQLSchema;
  readonly fragments: Readonly<Record<string, FragmentDefinitionNode | undefined>>;
  readonly variableValues: Readonly<Record<string, unknown>>;
}

/**
 * Returns the fields that the executor runs on an object of `type`, in the order of the response. It visits each fragment
 * once, as the specification requires, so the cost is linear in the document.
 */
export function fieldsOf(
  context: SelectionContext,
  type: GraphQLObjectType,
  sets: readonly SelectionSetNode[],
): FieldNode[] {
  const found: FieldNode[] = [];
  const visited = new Set<string>();
  for (const set of sets) collect(set);
  return found;

  function collect(set: SelectionSetNode): void {
    for (const node of set.selections) {
      if (!isIncluded(context, node)) continue;
      if (node.kind === Kind.FIELD) {
        found.push(node);
      } else if (node.kind === Kind.INLINE_FRAGMENT) {
        if (applies(context, type, node.typeCondition?.name.value)) collect(node.selectionSet);
      } else if (!visited.has(node.name.value)) {
        visited.add(node.name.value);
        const fragment = context.fragments[node.name.value];
        if (fragment !== undefined && applies(context, type, fragment.typeCondition.name.value)) {
          collect(fragment.selectionSet);
        }
      }
    }
  }
}

export function fragmentsOf({ definitions }: DocumentNode): Record<string, FragmentDefinitionNode> {
  const fragments: Record<string, FragmentDefinitionNode> = Object.create(null);
  for (const node of definitions) if (node.kind === Kind.FRAGMENT_DEFINITION) fragments[node.name.value] = node;
  return fragments;
}

/** The response name of a field. */
export function responseNameOf({ alias, name }: FieldNode): string {
  return (alias ?? name).value;
}

export function selectionSetsOf(nodes: readonly FieldNode[]): SelectionSetNode[] {
  return nodes.flatMap(({ selectionSet }) => selectionSet ?? []);
}

function isIncluded({ variableValues }: SelectionContext, node: SelectionNode): boolean {
  if (!node.directives?.length) return true;
  const skip = getDirectiveValues(GraphQLSkipDirective, node, variableValues);
  const include = getDirectiveValues(GraphQLIncludeDirective, node, variableValues);
  return skip?.['if'] !== true && include?.['if'] !== false;
}

function applies({ schema }: SelectionContext, type: GraphQLObjectType, condition: string | undefined): boolean {
  if (condition === undefined || condition === type.name) return true;
  const named = schema.getType(condition);
  return isAbstractType(named) && schema.isSubType(named, type);
}
