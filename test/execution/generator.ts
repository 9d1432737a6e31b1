import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isInputObjectType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';

/** An operation with its parameters. */
export interface GeneratedOperation {
  readonly query: string;
  readonly operationName?: string;
  readonly variables: Record<string, unknown>;
}

/** Returns a whole number from 0 to below `below`. */
export type Random = (below: number) => number;

/** A random number generator with a seed, so that a failing run can be repeated. */
export function createRandom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Ids and references. The fake customers of the tests behave by the text: see `customers.ts`. */
const ids = ['plain', 'token', 'late', 'none', 'fails', 'broken', 'escapes', 'odd', 'throws', 'refused-token', 'ä"\\ü'];

/** Texts by the name of an input field. Three of four make a valid create. */
const texts: Readonly<Record<string, readonly string[]>> = {
  emailAddress: ['new@example.com', 'exists@example.com', 'bug@example.com', 'odd@example.com', 'no address'],
  mobileNumber: ['9000000001', '9000000001', '9000000001', '+91'],
  mobileCountryCode: ['91', '+44'],
  objectReferenceId: ['reference-1', 'reference-2', 'reference-2', 'late'],
};

/** Names that are properties of objects, or that JSON treats specially. */
const aliases = ['a', 'b', 'id', 'firstName', '__proto__', 'constructor', 'toJSON', 'then', 'customer', 'length'];

/**
 * Generates operations for a schema: aliases, fragments, conditions, literals and variables of all kinds, valid ones and invalid
 * ones. Many are refused by validation or by the coercion of variables, which is intended.
 */
export function createGenerator(schema: GraphQLSchema, random: Random): () => GeneratedOperation {
  const one = <Item>(items: readonly Item[]): Item => items[random(items.length)] as Item;
  const chance = (percent: number) => random(100) < percent;

  return () => {
    const variables: Record<string, unknown> = {};
    const definitions: string[] = [];
    const fragments: string[] = [];
    let count = 0;
    const isMutation = chance(25);
    const root = isMutation ? schema.getMutationType() : schema.getQueryType();
    if (!root) throw new Error('The schema has no root type.');
    const body = selectionOf(root, 0);
    const name = chance(30) ? 'Operation' : '';
    const head = `${isMutation ? 'mutation' : 'query'} ${name}${definitions.length > 0 ? `(${definitions.join(', ')})` : ''}`;
    const other = name && chance(20) ? ' query Other { __typename }' : '';
    if (chance(3)) variables['unused'] = 1;
    return {
      query: `${isMutation || chance(80) || definitions.length > 0 || name ? head : ''}${body}${fragments.join(' ')}${other}`,
      variables,
      ...(other && { operationName: chance(95) ? name : 'Missing' }),
    };

    function selectionOf(type: GraphQLNamedType, depth: number): string {
      const count = 1 + random(depth === 0 ? 4 : 6);
      const parts = Array.from({ length: count }, () => partOf(type, depth));
      return `{ ${parts.join(' ')} }`;
    }

    function partOf(type: GraphQLNamedType, depth: number): string {
      if (chance(8)) return `${chance(50) ? 'name: ' : ''}__typename${condition()}`;
      if (isAbstractType(type) && (chance(80) || !isInterfaceType(type))) {
        return `... on ${one(schema.getPossibleTypes(type)).name}${condition()} ${selectionOf(one(schema.getPossibleTypes(type)), depth)}`;
      }
      if (isObjectType(type) && chance(12))
        return `...${chance(60) ? ` on ${type.name}` : ''}${condition()} ${selectionOf(type, depth)}`;
      if (isObjectType(type) && chance(8) && depth > 0) {
        const name = `F${fragments.length}`;
        const at = fragments.push('') - 1;
        fragments[at] = ` fragment ${name} on ${type.name} ${selectionOf(type, depth)}`;
        return chance(30) ? `...${name} ...${name}` : `...${name}${condition()}`;
      }
      if (!isObjectType(type) && !isInterfaceType(type)) return '__typename';
      const field = one(Object.values(type.getFields()));
      return fieldOf(field, depth);
    }

    function fieldOf(field: GraphQLField<unknown, unknown>, depth: number): string {
      // Fields with arguments need an alias, unless all arguments are equal.
      const alias = chance(field.args.length > 0 ? 95 : 40) ? `${one(aliases)}${chance(95) ? count++ : ''}: ` : '';
      const given = field.args.filter((argument) => isNonNullType(argument.type) || chance(50));
      const args = given.length > 0 ? `(${given.map(argumentOf).join(', ')})` : '';
      const type = getNamedType(field.type);
      return `${alias}${field.name}${args}${condition()}${isLeafType(type) ? '' : ` ${selectionOf(type, depth + 1)}`}`;
    }

    function argumentOf({ name, type }: GraphQLArgument): string {
      return `${name}: ${chance(50) ? variableOf(type) : literalOf(type, 0)}`;
    }

    function condition(): string {
      if (!chance(12)) return '';
      const value = chance(60) ? variableOf('Boolean!') : String(chance(50));
      return ` @${chance(50) ? 'include' : 'skip'}(if: ${value})`;
    }

    function variableOf(type: GraphQLInputType | 'Boolean!'): string {
      const known = definitions.length > 0 && chance(15) ? /\$\w+/.exec(one(definitions))?.[0] : undefined;
      if (known !== undefined) return known;
      const name = chance(1) ? '__proto__' : `v${definitions.length}`;
      const text = String(type);
      const isOptional = chance(20);
      const byDefault = isOptional || chance(10) ? ` = ${type === 'Boolean!' ? 'true' : literalOf(type, 0, true)}` : '';
      definitions.push(`$${name}: ${isOptional ? text.replace(/!$/, '') : text}${byDefault}`);
      if (byDefault === '' ? chance(96) : chance(60)) {
        Object.defineProperty(variables, name, {
          value: type === 'Boolean!' ? valueOfBoolean() : jsonOf(type),
          enumerable: true,
          configurable: true,
        });
      }
      return `$${name}`;
    }

    function valueOfBoolean(): unknown {
      return chance(96) ? chance(50) : one([null, 'true', 1]);
    }

    function jsonOf(type: GraphQLInputType, field = ''): unknown {
      if (chance(3)) return one<unknown>([null, 7, 2 ** 60, 1.5, true, 'text', [], {}, ['late', null]]);
      if (isNonNullType(type)) return jsonOf(type.ofType, field);
      if (isListType(type))
        return chance(90) ? Array.from({ length: random(5) }, () => jsonOf(type.ofType)) : jsonOf(type.ofType);
      if (isInputObjectType(type)) {
        const fields = Object.values(type.getFields()).filter((field) => isNonNullType(field.type) || chance(60));
        // In another order than the type.
        return Object.fromEntries(fields.toReversed().map(({ name, type }) => [name, jsonOf(type, name)]));
      }
      if (type.name === '_Any') return representation();
      return chance(92) ? one(texts[field] ?? ids) : random(1_000);
    }

    function representation(): unknown {
      if (chance(5)) return one<unknown>([null, 'x', { __typename: 'Other', id: 'plain' }, { __typename: 'Customer' }]);
      return {
        __typename: 'Customer',
        ...(chance(70) && { id: one(ids) }),
        ...(chance(40) && { objectReferenceId: one(ids) }),
      };
    }

    function literalOf(type: GraphQLInputType, depth: number, isConstant = false, field = ''): string {
      if (!isConstant && depth > 0 && chance(20)) return variableOf(type);
      if (chance(2)) return one(['null', '7', '1.5', 'true', 'ENUM', '"text"', '[]', '{}']);
      if (isNonNullType(type)) return literalOf(type.ofType, depth, isConstant, field);
      if (isListType(type)) {
        if (chance(15)) return literalOf(type.ofType, depth + 1, isConstant);
        return `[${Array.from({ length: random(4) }, () => literalOf(type.ofType, depth + 1, isConstant)).join(', ')}]`;
      }
      if (isInputObjectType(type)) {
        const fields = Object.values(type.getFields()).filter((field) => isNonNullType(field.type) || chance(60));
        return `{${fields.map(({ name, type }) => `${name}: ${literalOf(type, depth + 1, isConstant, name)}`).join(', ')}}`;
      }
      if (type.name === '_Any') return `{__typename: "Customer", id: ${stringOf('')}}`;
      return chance(95) ? stringOf(field) : String(random(1_000));
    }

    function stringOf(field: string): string {
      const text = one(texts[field] ?? ids);
      if (chance(4)) return `"""${text.replaceAll('"', '')}"""`;
      return JSON.stringify(text);
    }
  };
}
