import { type FieldNode, type GraphQLResolveInfo, isObjectType } from 'graphql';
import { fieldsOf, selectionSetsOf } from '../execution/fields.ts';

/**
 * Returns whether the executor will run a field below the current one. Handles aliases, fragments, `@include`, `@skip` and
 * type conditions on interfaces and unions.
 *
 * @param path the fields down to the one in question, each as `Type.field`, for example
 *   `['CreateCustomerSuccess.customer', 'Customer.clientAuthToken']`. The first type is an object type that the resolver can
 *   return.
 */
export function selects(info: GraphQLResolveInfo, path: readonly `${string}.${string}`[]): boolean {
  let nodes = info.fieldNodes;
  for (const step of path) {
    const [typeName = '', fieldName = ''] = step.split('.');
    const type = info.schema.getType(typeName);
    if (!isObjectType(type)) throw new Error(`${typeName} is not an object type`);
    nodes = fieldsOf(info, type, selectionSetsOf(nodes)).filter(({ name }) => name.value === fieldName);
  }
  return nodes.length > 0;
}

/** The root fields that the executor will run. */
export function rootFields(info: GraphQLResolveInfo): FieldNode[] {
  return fieldsOf(info, info.parentType, [info.operation.selectionSet]);
}
