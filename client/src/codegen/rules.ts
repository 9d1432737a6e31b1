import {
  type FragmentDefinitionNode,
  type GraphQLSchema,
  getNamedType,
  Kind,
  type SelectionSetNode,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import type { Operation } from './operations.ts';

/** Fields of the result of a create that the kit reads or writes. */
const settledFields = new Set(['customer', 'existing', 'differingFields']);

/** Finds fields that an operation must select for the kit to work at run time. Returns one message for each problem. */
export function problemsOf(schema: GraphQLSchema, { name, kind, ast }: Operation): string[] {
  if (kind !== 'mutation') return [];
  const fragments = ast.definitions.filter((node) => node.kind === Kind.FRAGMENT_DEFINITION);
  const info = new TypeInfo(schema);
  const problems: string[] = [];
  let creates = 0;
  visit(
    ast,
    visitWithTypeInfo(info, {
      Field({ selectionSet, name: field, arguments: given = [] }) {
        const type = info.getType();
        if (type == null || selectionSet === undefined) return;
        const fieldsIn = (set: SelectionSetNode) => selected(set, fragments);
        const typeName = getNamedType(type).name;
        const keys = fieldsIn(selectionSet);
        if (
          typeName === 'Customer' &&
          keys.some(({ field }) => field === 'clientAuthToken') &&
          !canStoreToken(keys, fieldsIn)
        ) {
          problems.push(
            `${name}: select \`id\`, and of \`clientAuthToken\` the fields \`token\`, \`expiresAt\` and \`expiresInSeconds\`, each by its own name. The kit moves the token of a mutation out of the result and cannot store it without these fields.`,
          );
        }
        if (typeName !== 'CreateCustomerResult' || field.value !== 'createCustomer') return;
        creates += 1;
        const [input] = given;
        if (creates > 1 || input?.value.kind !== Kind.VARIABLE || input.value.name.value !== 'input') {
          problems.push(
            `${name}: make one create, with the argument \`input: $input\`. After an ambiguous outcome the kit finds the reference in this variable.`,
          );
        }
        if (keys.some(({ key, field }) => key !== field && settledFields.has(field))) {
          problems.push(
            `${name}: select \`customer\`, \`existing\` and \`differingFields\` without aliases. After an ambiguous outcome the kit returns \`existing\` as the created customer.`,
          );
        }
        const missing = missingIn(keys, fieldsIn);
        if (missing.length > 0) {
          problems.push(
            `${name}: select the fields of \`customer\` in \`existing\` too: ${missing.join(', ')}. After an ambiguous outcome the kit returns \`existing\` as the created customer.`,
          );
        }
      },
    }),
  );
  return problems;
}

interface Selected {
  /** The response key: the alias, or else the name of the field. */
  readonly key: string;
  readonly field: string;
  readonly set: SelectionSetNode | undefined;
}

/** The selected fields, including those of fragments. */
function selected({ selections }: SelectionSetNode, fragments: readonly FragmentDefinitionNode[]): Selected[] {
  return selections.flatMap((node) => {
    if (node.kind === Kind.FIELD) {
      const field = node.name.value;
      return [{ key: node.alias?.value ?? field, field, set: node.selectionSet }];
    }
    const set =
      node.kind === Kind.INLINE_FRAGMENT
        ? node.selectionSet
        : fragments.find(({ name }) => name.value === node.name.value)?.selectionSet;
    return set ? selected(set, fragments) : [];
  });
}

type FieldsIn = (set: SelectionSetNode) => readonly Selected[];

const hasAll = (keys: readonly Selected[], wanted: readonly string[]) =>
  wanted.every((name) => keys.some(({ key, field }) => key === name && field === name));

function canStoreToken(keys: readonly Selected[], fieldsIn: FieldsIn): boolean {
  const tokens = keys.flatMap(({ field, set }) => (field === 'clientAuthToken' && set ? [fieldsIn(set)] : []));
  return hasAll(keys, ['id']) && tokens.every((set) => hasAll(set, ['token', 'expiresAt', 'expiresInSeconds']));
}

/**
 * Returns the fields that are selected in `customer` but not in `existing`. After an ambiguous create, the kit can return `existing` as
 * `customer`. It does so only if `existing` and `differingFields` are selected; otherwise the list is empty.
 */
function missingIn(keys: readonly Selected[], fieldsIn: FieldsIn): string[] {
  if (!hasAll(keys, ['existing', 'differingFields'])) return [];
  const selectedIn = (name: string) => keys.flatMap(({ field, set }) => (field === name && set ? fieldsIn(set) : []));
  const existing = new Set(selectedIn('existing').map(({ key }) => key));
  return [...new Set(selectedIn('customer').map(({ key }) => key))].filter(
    (key) => key !== 'clientAuthToken' && !existing.has(key),
  );
}
