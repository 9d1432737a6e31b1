import {
  defaultFieldResolver,
  type GraphQLFieldResolver,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { LazyPromise } from '../customers/lazy-promise.ts';
import { type Failures, type Path, tooLarge } from './failures.ts';
import { responseNameOf } from './fields.ts';
import { createOrder } from './order.ts';

type Resolver = GraphQLFieldResolver<unknown, unknown>;

/** State of one running operation. */
interface Execution {
  readonly failures: Failures;
  orderOf: ((path: Path) => readonly number[]) | undefined;
  /** Number of completed list items. */
  items: number;
  /** Resolves in the turn of the event loop that completes the next items. */
  turn: Promise<void>;
}

/** Running operations by their context. Resolvers with an unknown context run unchanged. */
const executions = new WeakMap<object, Execution>();

/** Number of list items that one turn of the event loop completes. */
const itemsPerTurn = 25;

/**
 * Limits the cost of failing fields and long lists in operations that {@link collectFailures} was called for. Modifies the
 * resolvers of the schema:
 *
 * - A nullable field that fails becomes null. Its error is kept only if it is among the first errors, which are reported.
 *   Otherwise the executor would create an error with a stack for each of up to 100,000 fields.
 * - List items are completed in groups, with a turn of the event loop between the groups.
 *
 * Errors of non-null fields are rethrown, because the executor propagates null to the parent field.
 */
export function withBoundedFailures(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) {
      const isNullable = !isNonNullType(field.type);
      const listType = isNonNullType(field.type) ? field.type.ofType : field.type;
      const hasNullableItems = isListType(listType) && !isNonNullType(listType.ofType);
      if (!isNullable && !hasNullableItems) continue;
      field.resolve = field.resolve ? bounded(field.resolve, isNullable, hasNullableItems) : propertyResolver;
    }
  }
  return schema;
}

/** Registers the failures of an operation by the context of its resolvers. */
export function collectFailures(context: object, failures: Failures): void {
  executions.set(context, { failures, orderOf: undefined, items: 0, turn: Promise.resolve() });
}

/** Resolver of a plain property. It is separate from `bounded`, because it is fast and a response can have 100,000 of them. */
const propertyResolver: Resolver = (source, args, context, info) => {
  const value: unknown = defaultFieldResolver(source, args, context, info);
  if (typeof value !== 'string') return value;
  const execution = executions.get(context as object);
  if (execution === undefined || fits(execution, value, info)) return value;
  return add(execution, tooLarge(), info, info.path);
};

function bounded(resolve: Resolver, isNullable: boolean, hasNullableItems: boolean): Resolver {
  return (source, args, context, info) => {
    const execution = executions.get(context as object);
    if (execution === undefined) return resolve(source, args, context, info);
    const fail = (error: unknown) => {
      if (!isNullable) throw error;
      return add(execution, error, info, info.path);
    };
    const succeed = (value: unknown) => {
      if (value instanceof Error) return fail(value);
      if (typeof value === 'string') return fits(execution, value, info) ? value : fail(tooLarge());
      if (!hasNullableItems || !Array.isArray(value)) return value;
      return value.map((item, index) => itemOf(execution, item, info, index));
    };
    try {
      const value: unknown = resolve(source, args, context, info);
      return isPromise(value) ? value.then(succeed).catch(fail) : succeed(value);
    } catch (error) {
      return fail(error);
    }
  };
}

function fits({ failures }: Execution, text: string, { fieldNodes: [node] }: GraphQLResolveInfo): boolean {
  return failures.fits(text, node ? responseNameOf(node) : '');
}

function itemOf(execution: Execution, item: unknown, info: GraphQLResolveInfo, index: number): unknown {
  const fail = (error: unknown) => add(execution, error, info, { prev: info.path, key: index, typename: undefined });
  if (item instanceof Error) return fail(item);
  return isPromise(item) ? item.then((value) => inTurn(execution, value), fail) : item;
}

/** Returns the value at once for the first items of an operation, and in a later turn for the others. */
function inTurn(execution: Execution, value: unknown): unknown {
  if (value === null || execution.items++ < itemsPerTurn) return value;
  if (execution.items % itemsPerTurn === 0) {
    execution.turn = execution.turn.then(() => new Promise((resolve) => setImmediate(resolve)));
  }
  return execution.turn.then(() => value);
}

/** Adds a failure. Returns the value of the field. */
function add(execution: Execution, error: unknown, info: GraphQLResolveInfo, path: Path): null {
  execution.orderOf ??= createOrder(info);
  execution.failures.add(error, info.fieldNodes, path, execution.orderOf(path));
  return null;
}

function isPromise(value: unknown): value is Promise<unknown> {
  return value instanceof Promise || value instanceof LazyPromise;
}
