import {
  type ArgumentNode,
  type FieldNode,
  type GraphQLArgument,
  GraphQLBoolean,
  type GraphQLField,
  GraphQLID,
  type GraphQLInputField,
  type GraphQLInputObjectType,
  type GraphQLInputType,
  type GraphQLSchema,
  GraphQLString,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  isScalarType,
  isSpecifiedScalarType,
  Kind,
  type OperationDefinitionNode,
  typeFromAST,
  type ValueNode,
  valueFromAST,
} from 'graphql';
import type { Slots } from './literals.ts';
import type { Variables } from './variables.ts';

/**
 * The functions of this file coerce the values that most clients send. They return this symbol for every other value, valid or
 * not. The caller then uses `readVariables` and graphql-js, which know all coercions and create the errors.
 */
export const uncommon = Symbol('uncommon');

type Coerce = (value: unknown) => unknown;
type Coerced = Readonly<Record<string, unknown>>;

/** Compiles the variables of an operation to a function that coerces them. */
export function planVariables(
  schema: GraphQLSchema,
  { variableDefinitions = [] }: OperationDefinitionNode,
): (given: Variables) => Coerced | typeof uncommon {
  // Assigning this property to an object sets its prototype.
  if (variableDefinitions.some(({ variable }) => variable.name.value === '__proto__')) return () => uncommon;
  const variables = variableDefinitions.map(({ variable, type: typeNode, defaultValue }) => {
    const type = typeFromAST(schema, typeNode);
    const isInput = isInputType(type);
    return {
      name: variable.name.value,
      coerce: isInput ? coerceOf(type) : () => uncommon,
      isRequired: isNonNullType(type),
      default: isInput && defaultValue ? { value: valueFromAST(defaultValue, type) as unknown } : undefined,
    };
  });
  return (given) => {
    const coerced: Record<string, unknown> = {};
    for (const { name, coerce, isRequired, default: byDefault } of variables) {
      if (Object.hasOwn(given, name)) {
        const value = coerce(given[name]);
        if (value === uncommon) return uncommon;
        coerced[name] = value;
      } else if (byDefault !== undefined) coerced[name] = byDefault.value;
      else if (isRequired) return uncommon;
    }
    return coerced;
  };
}

function coerceOf(type: GraphQLInputType): Coerce {
  if (isNonNullType(type)) {
    const inner = coerceOf(type.ofType);
    return (value) => (value == null ? uncommon : inner(value));
  }
  const coerce = coerceNonNullOf(type);
  return (value) => (value === null ? null : value === undefined ? uncommon : coerce(value));
}

function coerceNonNullOf(type: Exclude<GraphQLInputType, { kind: 'NonNull' }>): Coerce {
  if (isListType(type)) return coerceListOf(coerceOf(type.ofType));
  if (type === GraphQLID || type === GraphQLString) return (value) => (typeof value === 'string' ? value : uncommon);
  if (type === GraphQLBoolean) return (value) => (typeof value === 'boolean' ? value : uncommon);
  if (isInputObjectType(type) && !type.isOneOf) return coerceObjectOf(type);
  // A scalar of the schema. An error of its parser is reported by graphql-js.
  if (isScalarType(type) && !isSpecifiedScalarType(type)) {
    return (value) => {
      try {
        return type.parseValue(value) ?? uncommon;
      } catch {
        return uncommon;
      }
    };
  }
  return () => uncommon;
}

function coerceListOf(item: Coerce): Coerce {
  return (value) => {
    if (!Array.isArray(value)) return uncommon;
    const items: unknown[] = [];
    for (const one of value) {
      const coerced = item(one);
      if (coerced === uncommon) return uncommon;
      items.push(coerced);
    }
    return items;
  };
}

/** The properties of the result have the order of the type, as in graphql-js. */
function coerceObjectOf(type: GraphQLInputObjectType): Coerce {
  const fields = Object.values(type.getFields()).map(({ name, type, defaultValue }: GraphQLInputField) => ({
    name,
    isRequired: isNonNullType(type),
    defaultValue,
    coerce: coerceOf(type),
  }));
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return uncommon;
    const given = value as Coerced;
    const coerced: Record<string, unknown> = {};
    let known = 0;
    for (const { name, isRequired, defaultValue, coerce } of fields) {
      if (!Object.hasOwn(given, name)) {
        if (defaultValue !== undefined) coerced[name] = defaultValue;
        else if (isRequired) return uncommon;
        continue;
      }
      const one = coerce(given[name]);
      if (one === uncommon) return uncommon;
      coerced[name] = one;
      known += 1;
    }
    return known === Object.keys(given).length ? coerced : uncommon;
  };
}

/**
 * Compiles the arguments of a field. The result is a function that takes the coerced variables and the literals of one document.
 * It returns {@link uncommon} if an argument is invalid for these variables.
 *
 * @param slots the literals of the template. Their values differ between its documents, so they are not compiled.
 */
export function planArguments(
  { args }: GraphQLField<unknown, unknown>,
  node: FieldNode | undefined,
  slots: Slots,
): (variables: Coerced, literals: readonly string[]) => Coerced | typeof uncommon {
  const readers = args.map((argument) => ({
    name: argument.name,
    read: readerOf(
      argument,
      node?.arguments?.find(({ name }) => name.value === argument.name),
      slots,
    ),
  }));
  return (variables, literals) => {
    const coerced: Record<string, unknown> = {};
    for (const { name, read } of readers) {
      const value = read(variables, literals);
      if (value === uncommon) return uncommon;
      if (value !== undefined) coerced[name] = value;
    }
    return coerced;
  };
}

/** The reader returns `undefined` for an argument that the resolver does not receive. */
function readerOf(
  { type, defaultValue }: GraphQLArgument,
  node: ArgumentNode | undefined,
  slots: Slots,
): (variables: Coerced, literals: readonly string[]) => unknown {
  const missing = defaultValue !== undefined ? defaultValue : isNonNullType(type) ? uncommon : undefined;
  if (node === undefined) return () => missing;
  const { value } = node;
  if (value.kind === Kind.VARIABLE) {
    const name = value.name.value;
    return (variables) => {
      if (!Object.hasOwn(variables, name)) return missing;
      return variables[name] === null && isNonNullType(type) ? uncommon : variables[name];
    };
  }
  const slot = slots.get(value);
  if (slot !== undefined) return (_variables, literals) => literals[slot];
  const items = value.kind === Kind.LIST ? value.values : [];
  const first = items[0] && slots.get(items[0]);
  if (first !== undefined) return (_variables, literals) => literals.slice(first, first + items.length);
  const literal = (variables?: Coerced) => {
    const coerced: unknown = valueFromAST(value, type, variables);
    return coerced === undefined ? uncommon : coerced;
  };
  if (hasVariables(value)) return literal;
  const constant = literal();
  return () => constant;
}

function hasVariables(node: ValueNode): boolean {
  if (node.kind === Kind.LIST) return node.values.some(hasVariables);
  if (node.kind === Kind.OBJECT) return node.fields.some(({ value }) => hasVariables(value));
  return node.kind === Kind.VARIABLE;
}
