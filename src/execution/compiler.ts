import {
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  visit,
} from 'graphql';
import { planArguments, planVariables, uncommon } from './coercion.ts';
import { fieldsOf, fragmentsOf } from './fields.ts';
import { listArguments } from './items.ts';
import { Turn } from './last-printed.ts';
import type { Slots } from './literals.ts';
import { type ObjectPlan, planObject, type Resolvers } from './plan.ts';
import type { Variables } from './variables.ts';

type Values = Readonly<Record<string, unknown>>;

/** One operation of a document. */
export interface Operation {
  readonly schema: GraphQLSchema;
  readonly document: DocumentNode;
  readonly node: OperationDefinitionNode;
  readonly fragments: Readonly<Record<string, FragmentDefinitionNode | undefined>>;
  /**
   * Prepares an execution.
   *
   * @param literals the literals of the text, if the document is a template.
   * @returns `undefined` if there is no plan for these variables. graphql-js executes the operation then.
   */
  prepare(variables: Variables, literals: readonly string[]): Prepared | undefined;
}

/** An operation with its variables. */
export interface Prepared {
  readonly plan: ObjectPlan;
  readonly variableValues: Values;
  /** The arguments of the root fields, by rank. */
  readonly args: readonly Values[];
  /** Number of list items that identify customers. */
  readonly items: number;
}

/** The fields of an operation for one combination of the variables of `@include` and `@skip`. */
interface Variant {
  readonly plan: ObjectPlan;
  /** The arguments of the root fields, by rank. `lists`: the names of those that identify customers. */
  readonly args: readonly { readonly read: ReturnType<typeof planArguments>; readonly lists: readonly string[] }[];
}

/** Combinations that an operation keeps. */
const maxVariants = 16;

/** Creates a function that compiles the operations of a schema. */
export function createCompiler(
  schema: GraphQLSchema,
  resolvers: Resolvers,
  plannable: ReadonlySet<GraphQLField<unknown, unknown>>,
) {
  const turn = new Turn();

  /** @param onCompiled called with the number of nodes when a part of the operation is compiled, which is on first use. */
  return (
    document: DocumentNode,
    node: OperationDefinitionNode,
    slots: Slots,
    onCompiled: (nodes: number) => void,
  ): Operation => {
    const fragments = fragmentsOf(document);
    const coerce = planVariables(schema, node);
    const conditions = conditionsOf(document, node);
    const variants = new Map<string, Variant | undefined>();

    return {
      schema,
      document,
      node,
      fragments,
      prepare(variables, literals) {
        const variableValues = coerce(variables);
        if (variableValues === uncommon) return undefined;
        const variant = variantOf(variableValues);
        if (variant === undefined) return undefined;
        const args: Values[] = [];
        let items = 0;
        for (const { read, lists } of variant.args) {
          const values = read(variableValues, literals);
          if (values === uncommon) return undefined;
          args.push(values);
          for (const name of lists) items += lengthOf(values[name]);
        }
        return { plan: variant.plan, variableValues, args, items };
      },
    };

    function variantOf(values: Values): Variant | undefined {
      let key = '';
      for (const name of conditions) {
        // An error of graphql-js.
        if (typeof values[name] !== 'boolean') return undefined;
        key += values[name] ? '+' : '-';
      }
      const known = variants.get(key);
      if (known !== undefined || variants.has(key)) return known;
      if (variants.size >= maxVariants) variants.clear();
      const variant = compile(Object.fromEntries(conditions.map((name) => [name, values[name] === true])));
      variants.set(key, variant);
      return variant;
    }

    function compile(variableValues: Readonly<Record<string, boolean>>): Variant | undefined {
      const type = schema.getRootType(node.operation);
      if (type == null) return undefined;
      const definitions = type.getFields();
      const context = { schema, fragments, variableValues, resolvers, printed: new Map(), turn, onCompiled };
      const isKnown = (field: GraphQLField<unknown, unknown> | undefined) =>
        field !== undefined && plannable.has(field);
      const nodes = fieldsOf(context, type, [node.selectionSet]);
      if (!nodes.every(({ name }) => name.value === '__typename' || isKnown(definitions[name.value]))) return undefined;
      const plan = planObject(context, type, [node.selectionSet]);
      const args = plan.fields.map(({ definition, nodes: [node] }) => ({
        read: planArguments(definition, node, slots),
        lists: listArguments.filter((name) => definition.args.some((argument) => argument.name === name)),
      }));
      return { plan, args };
    }
  };
}

/** Names of the operation's variables that decide which fields run. */
function conditionsOf(
  document: DocumentNode,
  { variableDefinitions = [] }: OperationDefinitionNode,
): readonly string[] {
  const own = new Set(variableDefinitions.map(({ variable }) => variable.name.value));
  const names = new Set<string>();
  visit(document, {
    Directive({ name, arguments: given = [] }) {
      if (name.value !== 'include' && name.value !== 'skip') return;
      for (const { value } of given) if (value.kind === Kind.VARIABLE) names.add(value.name.value);
    },
  });
  return [...names].filter((name) => own.has(name));
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}
