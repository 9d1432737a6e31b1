import { type FieldNode, type GraphQLObjectType, type GraphQLResolveInfo, getArgumentValues } from 'graphql';
import { GatewayError } from '../errors.ts';
import type { OperationContext } from './context.ts';
import { rootFields } from './selection.ts';

/**
 * Checks the references of all creates of an operation before its first write. A caller that is bound to a customer may
 * create only that customer; if one create is not allowed, none of the writes runs. Updates need no check here: an update of
 * another owner's customer fails as not found. The result is computed once for each operation.
 *
 * @returns a check that throws GatewayError `FORBIDDEN`.
 */
export function createRightsCheck(): (context: OperationContext, info: GraphQLResolveInfo) => void {
  const results = new WeakMap<OperationContext, boolean>();
  return (context, info) => {
    let allowed = results.get(context);
    if (allowed === undefined) {
      allowed = rootFields(info).every((node) => mayWrite(context, info, node));
      results.set(context, allowed);
    }
    if (!allowed) throw new GatewayError('FORBIDDEN');
  };
}

function mayWrite({ caller }: OperationContext, info: GraphQLResolveInfo, node: FieldNode): boolean {
  const { customers } = caller;
  if (customers === 'any' || node.name.value !== 'createCustomer') return customers !== 'none' && !caller.denied;
  const field = (info.parentType as GraphQLObjectType).getFields()[node.name.value];
  const { input } = field ? getArgumentValues(field, node, info.variableValues) : {};
  const reference = (input as { objectReferenceId?: unknown } | undefined)?.objectReferenceId;
  return customers !== 'none' && customers.every((own) => own === reference);
}
