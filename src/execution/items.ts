import { type ExecutionArgs, type FieldNode, Kind, type OperationDefinitionNode, type ValueNode } from 'graphql';
import { fieldsOf, fragmentsOf, responseNameOf } from './fields.ts';

/** Arguments of root fields that are lists of customers. */
export const listArguments = ['ids', 'representations'];

/**
 * Counts the list items that identify customers, in all root fields that run. Handles literals, variables, aliases,
 * fragments, `@skip` and `@include`. It reads only the lengths of lists, before coercion, so the cost does not depend on
 * the length of a list.
 */
export function countItems(
  { schema, document, variableValues }: ExecutionArgs,
  operation: OperationDefinitionNode,
): number {
  const type = schema.getRootType(operation.operation);
  if (type == null) return 0;
  const variables = createVariables(operation, variableValues ?? {});
  const context = { schema, fragments: fragmentsOf(document), variableValues: variables.switches };
  const counted = new Set<string>();
  let items = 0;
  for (const node of fieldsOf(context, type, [operation.selectionSet])) {
    // Selections with the same response name are one field: validation rejects different arguments.
    if (counted.has(responseNameOf(node))) continue;
    counted.add(responseNameOf(node));
    items += itemsOf(node, variables.lengthOf);
  }
  return items;
}

function itemsOf({ arguments: given = [] }: FieldNode, lengthOf: (variable: string) => number): number {
  return given
    .filter(({ name }) => listArguments.includes(name.value))
    .reduce((sum, { value }) => {
      return sum + (value.kind === Kind.VARIABLE ? lengthOf(value.name.value) : lengthOfLiteral(value));
    }, 0);
}

/** A single value counts as a list of one item, as in input coercion. */
function lengthOfLiteral(value: ValueNode): number {
  if (value.kind === Kind.LIST) return value.values.length;
  return value.kind === Kind.NULL ? 0 : 1;
}

function createVariables(operation: OperationDefinitionNode, given: Readonly<Record<string, unknown>>) {
  const defaults = new Map(
    (operation.variableDefinitions ?? []).map(({ variable, defaultValue }) => [variable.name.value, defaultValue]),
  );
  // Values of the wrong type count as false here. `readVariables` rejects them later.
  const switches = Object.fromEntries(
    [...defaults].map(([name, value]) => [
      name,
      Object.hasOwn(given, name) ? given[name] === true : value?.kind === Kind.BOOLEAN && value.value,
    ]),
  );
  return {
    switches,
    lengthOf(name: string): number {
      const value = Object.hasOwn(given, name) ? given[name] : undefined;
      if (Array.isArray(value)) return value.length;
      if (value != null) return 1;
      const byDefault = defaults.get(name);
      return Object.hasOwn(given, name) || byDefault === undefined ? 0 : lengthOfLiteral(byDefault);
    },
  };
}
