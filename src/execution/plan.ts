import {
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLAbstractType,
  type GraphQLField,
  type GraphQLFieldResolver,
  GraphQLID,
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  GraphQLString,
  getNamedType,
  isAbstractType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  type SelectionSetNode,
  TypeNameMetaFieldDef,
} from 'graphql';
import { quoted } from '../telemetry/json-text.ts';
import { fieldsOf, responseNameOf, selectionSetsOf } from './fields.ts';
import { LastPrinted, type Turn } from './last-printed.ts';

export type Resolver = GraphQLFieldResolver<unknown, object>;

/** The fields that run on an object of one type, in the order of the response. */
export interface ObjectPlan {
  readonly fields: readonly FieldPlan[];
  /** Number of characters of the object's text without its values. */
  readonly leadLength: number;
  /** Set if printing the object calls no resolver. */
  readonly plain: LastPrinted | undefined;
}

export interface FieldPlan {
  /** `constant`: `lead` is the whole text. `text`: a property of type String or ID. `value`: everything else. */
  readonly kind: 'constant' | 'text' | 'value';
  /** The text before the value: brace or comma, response name, colon. */
  readonly lead: string;
  /**
   * `lead` with the quotes of the texts next to it, so that fewer parts are joined: `before` a text that needs no escapes, `after` one,
   * and `between` two.
   */
  readonly quotedLeads: { readonly before: string; readonly after: string; readonly between: string };
  readonly responseName: string;
  /** Position in the object. */
  readonly rank: number;
  /** The selections with this response name. The array is the same object for each execution of the plan. */
  readonly nodes: readonly FieldNode[];
  readonly parentType: GraphQLObjectType;
  readonly definition: GraphQLField<unknown, unknown>;
  /** `undefined`: the field is a property of its object. */
  readonly resolve: Resolver | undefined;
  readonly output: Output;
}

/** How a value becomes text. */
export type Output = { readonly isNullable: boolean } & (
  | { readonly kind: 'leaf'; readonly print: (value: unknown) => string }
  | {
      readonly kind: 'object';
      readonly planOf: (type: GraphQLObjectType) => ObjectPlan;
      readonly type: GraphQLObjectType;
    }
  | {
      readonly kind: 'abstract';
      readonly planOf: (type: GraphQLObjectType) => ObjectPlan;
      readonly type: GraphQLAbstractType;
    }
  | { readonly kind: 'list'; readonly item: Output }
);

/** The parts of an operation that a plan depends on. */
export interface PlanContext {
  readonly schema: GraphQLSchema;
  readonly fragments: Readonly<Record<string, FragmentDefinitionNode | undefined>>;
  /** Values of the variables of `@include` and `@skip`. A plan is valid for these values only. */
  readonly variableValues: Readonly<Record<string, boolean>>;
  readonly resolvers: Resolvers;
  /** The last printed objects, by the fields of their plans. */
  readonly printed: Map<string, LastPrinted>;
  readonly turn: Turn;
  /** Called with the number of nodes of each object plan. Object plans are compiled when their first value arrives. */
  readonly onCompiled: (nodes: number) => void;
}

/** The resolvers of a schema, without wrappers for the executor of graphql-js. */
export type Resolvers = ReadonlyMap<GraphQLField<unknown, unknown>, Resolver | undefined>;

/**
 * Reads the resolvers of a schema. `extensions.direct` of a field replaces its resolver: it has the same results with fewer steps.
 */
export function resolversOf(schema: GraphQLSchema): Resolvers {
  const resolvers = new Map<GraphQLField<unknown, unknown>, Resolver | undefined>();
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) {
      const direct = field.extensions['direct'];
      resolvers.set(field, typeof direct === 'function' ? (direct as Resolver) : field.resolve);
    }
  }
  return resolvers;
}

/** The root fields that a plan can have: no type below them has arguments, `isTypeOf` or a default type resolver. */
export function plannableFields(schema: GraphQLSchema): ReadonlySet<GraphQLField<unknown, unknown>> {
  const roots = [schema.getQueryType(), schema.getMutationType()];
  const fields = roots.flatMap((root) => Object.values(root?.getFields() ?? {}));
  return new Set(fields.filter(({ resolve, type }) => resolve !== undefined && isPlannable(type)));

  function isPlannable(output: GraphQLOutputType): boolean {
    const types = new Set([getNamedType(output)]);
    // The set grows while it is iterated.
    for (const type of types) {
      if (isLeafType(type)) continue;
      if (isAbstractType(type)) {
        if (type.resolveType === undefined) return false;
        for (const possible of schema.getPossibleTypes(type)) types.add(possible);
        continue;
      }
      if (type.isTypeOf) return false;
      for (const field of Object.values(type.getFields())) {
        if (field.args.length > 0) return false;
        types.add(getNamedType(field.type));
      }
    }
    return true;
  }
}

/** Compiles the selections on an object of `type`. */
export function planObject(
  context: PlanContext,
  type: GraphQLObjectType,
  sets: readonly SelectionSetNode[],
): ObjectPlan {
  const groups = new Map<string, FieldNode[]>();
  for (const node of fieldsOf(context, type, sets)) {
    const name = responseNameOf(node);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [node]);
    else group.push(node);
  }
  const fields: FieldPlan[] = [];
  let count = 1;
  for (const [responseName, nodes] of groups) {
    count += nodes.length;
    const field = planField(context, type, nodes, responseName, fields.length);
    if (field !== undefined) fields.push(field);
  }
  context.onCompiled(count);
  return {
    fields,
    leadLength: fields.reduce((sum, { lead }) => sum + lead.length, 1),
    plain: plainOf(context, fields),
  };
}

function plainOf({ printed, turn }: PlanContext, fields: readonly FieldPlan[]): LastPrinted | undefined {
  const isPlain = fields.every(
    ({ kind, resolve, output }) => kind === 'constant' || (!resolve && output.kind === 'leaf'),
  );
  if (!isPlain) return undefined;
  const key = fields.map(({ lead, parentType, definition }) => `${lead}${parentType.name}.${definition.name}`).join('');
  const known = printed.get(key);
  if (known !== undefined) return known;
  const plain = new LastPrinted(turn);
  printed.set(key, plain);
  return plain;
}

function planField(
  context: PlanContext,
  parentType: GraphQLObjectType,
  nodes: readonly FieldNode[],
  responseName: string,
  rank: number,
): FieldPlan | undefined {
  const [node] = nodes;
  if (node === undefined) return undefined;
  const lead = `${rank === 0 ? '{' : ','}"${responseName}":`;
  const isTypename = node.name.value === '__typename';
  const definition = isTypename ? TypeNameMetaFieldDef : parentType.getFields()[node.name.value];
  if (definition === undefined) return undefined;
  const resolve = context.resolvers.get(definition);
  const output = outputOf(context, definition.type, nodes);
  const isText = resolve === undefined && isTextType(getNamedType(definition.type)) && output.kind === 'leaf';
  const text = isTypename ? `${lead}"${parentType.name}"` : lead;
  return {
    kind: isTypename ? 'constant' : isText ? 'text' : 'value',
    lead: text,
    quotedLeads: { before: `${text}"`, after: `"${text}`, between: `"${text}"` },
    responseName,
    rank,
    nodes,
    parentType,
    definition,
    resolve,
    output,
  };
}

function outputOf(context: PlanContext, type: GraphQLOutputType, nodes: readonly FieldNode[]): Output {
  const isNullable = !isNonNullType(type);
  const inner = isNonNullType(type) ? type.ofType : type;
  if (isListType(inner)) return { kind: 'list', isNullable, item: outputOf(context, inner.ofType, nodes) };
  if (isLeafType(inner)) return { kind: 'leaf', isNullable, print: (value) => printLeaf(inner, value) };
  const plans = new Map<GraphQLObjectType, ObjectPlan>();
  const planOf = (objectType: GraphQLObjectType) => {
    const known = plans.get(objectType);
    if (known !== undefined) return known;
    const plan = planObject(context, objectType, selectionSetsOf(nodes));
    plans.set(objectType, plan);
    return plan;
  };
  return isObjectType(inner)
    ? { kind: 'object', isNullable, type: inner, planOf }
    : { kind: 'abstract', isNullable, type: inner, planOf };
}

function printLeaf(type: GraphQLLeafType, value: unknown): string {
  const serialized: unknown = typeof value === 'string' && isTextType(type) ? value : type.serialize(value);
  if (serialized == null) throw new Error(`${type.name} serialized a value to null.`);
  return typeof serialized === 'string' ? quoted(serialized) : JSON.stringify(serialized);
}

/** Whether strings of the type are printed unchanged. */
function isTextType(type: unknown): boolean {
  return type === GraphQLString || type === GraphQLID;
}
