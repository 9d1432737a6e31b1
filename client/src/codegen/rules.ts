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

/** What the kit does with answers at run time, and what an operation must select for it: told here, and not by a field that is never there. */
export function problemsOf(schema: GraphQLSchema, { name, kind, ast }: Operation): string[] {
  if (kind !== 'mutation') return [];
  const fragments = ast.definitions.filter((node) => node.kind === Kind.FRAGMENT_DEFINITION);
  const info = new TypeInfo(schema);
  const problems: string[] = [];
  visit(
    ast,
    visitWithTypeInfo(info, {
      Field({ selectionSet }) {
        const type = info.getType();
        if (type == null || selectionSet === undefined) return;
        const within = (set: SelectionSetNode) => selected(set, fragments);
        const typeName = getNamedType(type).name;
        const keys = within(selectionSet);
        if (typeName === 'Customer' && keys.some(({ field }) => field === 'clientAuthToken') && !isKept(keys, within)) {
          problems.push(
            `${name}: select \`id\`, and of \`clientAuthToken\` the fields \`token\`, \`expiresAt\` and \`expiresInSeconds\`, each by its own name. The token of a mutation is taken out of the answer, and is lost without them.`,
          );
        }
        if (typeName !== 'CreateCustomerResult') return;
        const missing = missingIn(keys, within);
        if (missing.length > 0) {
          problems.push(
            `${name}: select in \`existing\` what \`customer\` has: ${missing.join(', ')}. A create whose answer was lost is answered with it.`,
          );
        }
      },
    }),
  );
  return problems;
}

interface Selected {
  /** Under which name it stands in the answer. */
  readonly key: string;
  readonly field: string;
  readonly set: SelectionSetNode | undefined;
}

/** Fields, those of fragments included. */
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

type Within = (set: SelectionSetNode) => readonly Selected[];

const hasAll = (keys: readonly Selected[], wanted: readonly string[]) =>
  wanted.every((name) => keys.some(({ key, field }) => key === name && field === name));

function isKept(keys: readonly Selected[], within: Within): boolean {
  const tokens = keys.flatMap(({ field, set }) => (field === 'clientAuthToken' && set ? [within(set)] : []));
  return hasAll(keys, ['id']) && tokens.every((set) => hasAll(set, ['token', 'expiresAt', 'expiresInSeconds']));
}

/** What a success that is made of `existing` would lack: nothing where it is not made of it. */
function missingIn(keys: readonly Selected[], within: Within): string[] {
  if (!hasAll(keys, ['existing', 'differingFields'])) return [];
  const of = (name: string) => keys.flatMap(({ field, set }) => (field === name && set ? within(set) : []));
  const there = new Set(of('existing').map(({ key }) => key));
  return [...new Set(of('customer').map(({ key }) => key))].filter(
    (key) => key !== 'clientAuthToken' && !there.has(key),
  );
}
