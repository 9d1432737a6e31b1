import {
  defaultFieldResolver,
  type GraphQLError,
  type GraphQLFieldResolver,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  isListType,
  isNonNullType,
  isObjectType,
  locatedError,
} from 'graphql';
import { GatewayError } from '../errors.ts';
import { responseNameOf } from './fields.ts';
import { compareOrder, createOrder } from './order.ts';
import { bytesOfText } from './size.ts';

type Path = GraphQLResolveInfo['path'];
type Resolver = GraphQLFieldResolver<unknown, unknown>;

/** A failed field and its position in the response. */
interface Failure {
  readonly error: unknown;
  readonly info: GraphQLResolveInfo;
  readonly path: Path;
  readonly order: readonly number[];
}

/** State of one running operation. */
interface Execution {
  /** The first failures in the order of the response, at most `maxReported`. */
  readonly failures: Failure[];
  readonly maxReported: number;
  /** Remaining bytes for nullable texts. `undefined` for queries, whose whole response is measured instead. */
  textBytesLeft: number | undefined;
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

/**
 * Registers an operation by the context of its resolvers.
 *
 * @param options.maxTextBytes for mutations: a nullable text above this limit becomes null with an error, so that the outcome
 *   of a write is always reported.
 * @returns a function that returns the errors to report, in the order of the response. Call it after execution.
 */
export function collectFailures(
  context: object,
  { maxReported, maxTextBytes }: { maxReported: number; maxTextBytes: number | undefined },
): () => GraphQLError[] {
  const failures: Failure[] = [];
  executions.set(context, {
    failures,
    maxReported,
    textBytesLeft: maxTextBytes,
    orderOf: undefined,
    items: 0,
    turn: Promise.resolve(),
  });
  return () => failures.map(({ error, info, path }) => locatedError(error, info.fieldNodes, keysOf(path)));
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

/** Returns whether a text is within the remaining bytes, and subtracts it. */
function fits(execution: Execution, text: string, { fieldNodes: [node] }: GraphQLResolveInfo): boolean {
  if (execution.textBytesLeft === undefined) return true;
  // Plus the response name with quotes, colon and comma.
  const bytes = bytesOfText(text) + (node ? responseNameOf(node).length : 0) + 4;
  if (bytes > execution.textBytesLeft) return false;
  execution.textBytesLeft -= bytes;
  return true;
}

/** The response exceeds `LIMIT_RESPONSE_BYTES`. */
export function tooLarge(): GatewayError {
  return new GatewayError('OPERATION_TOO_COMPLEX', { message: 'The response exceeds the size limit.' });
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

/** Inserts a failure in the order of the response and drops the last one above `maxReported`. Returns the value of the field. */
function add(execution: Execution, error: unknown, info: GraphQLResolveInfo, path: Path): null {
  const { failures, maxReported } = execution;
  execution.orderOf ??= createOrder(info);
  const order = execution.orderOf(path);
  const last = failures.at(-1);
  if (failures.length >= maxReported && last !== undefined && compareOrder(last.order, order) <= 0) return null;
  const at = failures.findIndex((other) => compareOrder(order, other.order) < 0);
  failures.splice(at < 0 ? failures.length : at, 0, { error, info, path, order });
  if (failures.length > maxReported) failures.pop();
  return null;
}

function keysOf(path: Path): (string | number)[] {
  const keys: (string | number)[] = [];
  for (let step: Path | undefined = path; step !== undefined; step = step.prev) keys.unshift(step.key);
  return keys;
}

function isPromise(value: unknown): value is Promise<unknown> {
  return value instanceof Promise;
}
