import {
  type DocumentNode,
  type GraphQLField,
  GraphQLID,
  type GraphQLSchema,
  GraphQLString,
  getNullableType,
  Kind,
  type StringValueNode,
  TypeInfo,
  type ValueNode,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { responseNameOf } from './fields.ts';

/** A document text with empty texts in place of its string literals, and the literals. */
export interface Template {
  readonly text: string;
  readonly literals: readonly string[];
}

/** Characters whose meaning in a literal needs a lexer: control characters, unpaired surrogates, backslashes. */
const special = /[\p{Cc}\p{Cs}\\]/u;

/**
 * Separates a text from its string literals. Documents that differ only in literals then share one plan, because validating a
 * document takes 300 µs and running its plan 5 µs.
 *
 * @returns `undefined` if the text has no literals, or if only a lexer can find them: comments, block strings, escapes.
 */
export function templateOf(text: string): Template | undefined {
  if (!text.includes('"')) return undefined;
  const parts = text.split('"');
  // Code and literals alternate.
  if (parts.length % 2 === 0) return undefined;
  const literals: string[] = [];
  let template = '';
  for (const [index, part] of parts.entries()) {
    if (index % 2 === 1) {
      if (special.test(part)) return undefined;
      literals.push(part);
      template += '""';
    } else {
      // Without code between them, two literals look like a block string.
      if (part.includes('#') || (part === '' && index > 0)) return undefined;
      template += part;
    }
  }
  return { text: template, literals };
}

/** The index of each literal of a template by its node. */
export type Slots = ReadonlyMap<ValueNode, number>;

/**
 * Finds the literals of a template that was parsed.
 *
 * @returns `undefined` if the validity or the meaning of the document depends on a literal: the document is a mutation or has
 *   several operations, a literal is not an argument of type ID or String or a list of them of one of `fields`, or another field
 *   has the same response name.
 */
export function slotsOf(
  schema: GraphQLSchema,
  fields: ReadonlySet<GraphQLField<unknown, unknown>>,
  document: DocumentNode,
  count: number,
): Slots | undefined {
  const operations = document.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION);
  if (operations.length !== 1 || operations[0]?.operation !== 'query') return undefined;
  const slots = new Map<ValueNode, number>();
  const names = new Set<string>();
  const repeated = new Set<string>();
  const withLiterals = new Set<string>();
  const types = new TypeInfo(schema);
  let forbidden = 0;
  let isLiftable = true;
  const within = {
    enter(): void {
      forbidden += 1;
    },
    leave(): void {
      forbidden -= 1;
    },
  };
  let responseName = '';
  visit(
    document,
    visitWithTypeInfo(types, {
      Directive: within,
      VariableDefinition: within,
      ObjectValue: within,
      Field(node) {
        responseName = responseNameOf(node);
        (names.has(responseName) ? repeated : names).add(responseName);
      },
      ListValue({ values }) {
        // A list of literals is a slice of all literals.
        if (values.some(isString) && !values.every(isString)) isLiftable = false;
      },
      StringValue(node) {
        const field = types.getFieldDef();
        const type = getNullableType(types.getInputType());
        const isText = type === GraphQLID || type === GraphQLString;
        if (forbidden > 0 || !isText || !field || !fields.has(field)) isLiftable = false;
        slots.set(node, slots.size);
        withLiterals.add(responseName);
      },
    }),
  );
  for (const name of withLiterals) if (repeated.has(name)) isLiftable = false;
  return isLiftable && slots.size === count ? slots : undefined;
}

function isString(node: ValueNode): node is StringValueNode {
  return node.kind === Kind.STRING;
}
