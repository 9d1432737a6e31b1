import { type FieldNode, type GraphQLObjectType, type GraphQLResolveInfo, getArgumentValues } from 'graphql';
import { GatewayError } from '../errors.ts';
import type { OperationContext } from './context.ts';
import { rootFields } from './selection.ts';

/**
 * Checks the bound reference of all root mutations together, before the first write: a caller bound to one customer may
 * create that one only, and one miss stops all. (The scope is the same for all of them; another customer's update is
 * answered as one that does not exist.) The verdict is made once an operation.
 *
 * @returns a check that throws GatewayError `FORBIDDEN`.
 */
export function createRightsCheck(): (context: OperationContext, info: GraphQLResolveInfo) => void {
  const verdicts = new WeakMap<OperationContext, boolean>();
  return (context, info) => {
    let allowed = verdicts.get(context);
    if (allowed === undefined) {
      allowed = rootFields(info).every((node) => mayWrite(context, info, node));
      verdicts.set(context, allowed);
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
