import {
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLIncludeDirective,
  type GraphQLObjectType,
  type GraphQLResolveInfo,
  GraphQLSkipDirective,
  getDirectiveValues,
  getNamedType,
  isAbstractType,
  isObjectType,
  Kind,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';

/**
 * Whether the executor will run a field below the one that is being resolved: exact look-ahead over aliases, fragments,
 * `@include` and `@skip`, and conditions on interfaces and unions.
 *
 * @param path fields from one object type to the next, each as `Type.field`: for example
 *   `['CreateCustomerSuccess.customer', 'Customer.clientAuthToken']`. The first type is the one (or one of those) that
 *   the resolver returns.
 */
export function selects(info: GraphQLResolveInfo, path: readonly `${string}.${string}`[]): boolean {
  let sets = selectionSetsOf(info.fieldNodes);
  for (const [index, step] of path.entries()) {
    const [typeName = '', fieldName = ''] = step.split('.');
    const type = info.schema.getType(typeName);
    if (!isObjectType(type)) throw new Error(`${typeName} is not an object type`);
    const nodes = fieldsNamed(info, type, sets, fieldName);
    if (nodes.length === 0) return false;
    if (index === path.length - 1) return true;
    if (getNamedType(type.getFields()[fieldName]?.type) === undefined) return false;
    sets = selectionSetsOf(nodes);
  }
  return false;
}

/** The fields that the executor will run at the root of the operation. */
export function rootFields(info: GraphQLResolveInfo): FieldNode[] {
  return fieldsNamed(info, info.parentType, [info.operation.selectionSet], undefined);
}

interface FieldLike {
  readonly selectionSet?: SelectionSetNode | undefined;
}

function selectionSetsOf(nodes: readonly FieldLike[]): SelectionSetNode[] {
  return nodes.flatMap(({ selectionSet }) => selectionSet ?? []);
}

/** All selections of one field (or of all) that apply to an object of `type`. Each fragment is entered once: linear in the document. */
function fieldsNamed(
  info: GraphQLResolveInfo,
  type: GraphQLObjectType,
  sets: readonly SelectionSetNode[],
  fieldName: string | undefined,
): FieldNode[] {
  const found: FieldNode[] = [];
  const entered = new Set<FragmentDefinitionNode>();
  const pending = [...sets];
  for (let set = pending.pop(); set !== undefined; set = pending.pop()) {
    for (const node of set.selections) {
      if (!isIncluded(info, node)) continue;
      if (node.kind === Kind.FIELD) {
        if (fieldName === undefined || node.name.value === fieldName) found.push(node);
      } else if (node.kind === Kind.INLINE_FRAGMENT) {
        if (applies(info, type, node.typeCondition?.name.value)) pending.push(node.selectionSet);
      } else {
        const fragment = info.fragments[node.name.value];
        if (fragment === undefined || entered.has(fragment)) continue;
        entered.add(fragment);
        if (applies(info, type, fragment.typeCondition.name.value)) pending.push(fragment.selectionSet);
      }
    }
  }
  return found;
}

function isIncluded(info: GraphQLResolveInfo, node: SelectionNode): boolean {
  if (!node.directives?.length) return true;
  const skip = getDirectiveValues(GraphQLSkipDirective, node, info.variableValues);
  const include = getDirectiveValues(GraphQLIncludeDirective, node, info.variableValues);
  return skip?.['if'] !== true && include?.['if'] !== false;
}

function applies(info: GraphQLResolveInfo, type: GraphQLObjectType, condition: string | undefined): boolean {
  if (condition === undefined || condition === type.name) return true;
  const named = info.schema.getType(condition);
  return isAbstractType(named) && info.schema.isSubType(named, type);
}
