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

/** One field that failed, and its place in the answer. */
interface Failure {
  readonly error: unknown;
  readonly info: GraphQLResolveInfo;
  readonly path: Path;
  readonly order: readonly number[];
}

/** What one running operation keeps. */
interface Execution {
  /** The first ones in the order of the answer, at most `maxReported`. */
  readonly failures: Failure[];
  readonly maxReported: number;
  /** Bytes that nullable texts may still have; `undefined` where the whole answer is measured instead. */
  textBytesLeft: number | undefined;
  orderOf: ((path: Path) => readonly number[]) | undefined;
  /** List items that were completed, and the turn of the event loop that the next ones wait for. */
  items: number;
  turn: Promise<void>;
}

/** Running operations by their context. Resolvers that run in any other context fail as they are written. */
const executions = new WeakMap<object, Execution>();

/** List items that one turn of the event loop completes, with all fields below them. */
const itemsATurn = 25;

/**
 * Makes failing fields cheap, and long lists polite, in operations that {@link collectFailures} was called for:
 *
 * - A nullable field that fails is null, and its failure is kept only while it is one of the first to be reported. The
 *   executor would build an error, with a stack, for each of 100,000 fields.
 * - Items of lists are completed in groups, with a turn of the event loop between them.
 *
 * Errors of non-null fields pass through: the executor decides which field becomes null for them. Changes the schema.
 */
export function withBoundedFailures(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) {
      const isNullable = !isNonNullType(field.type);
      const listType = isNonNullType(field.type) ? field.type.ofType : field.type;
      const hasNullableItems = isListType(listType) && !isNonNullType(listType.ofType);
      if (!isNullable && !hasNullableItems) continue;
      field.resolve = field.resolve ? bounded(field.resolve, isNullable, hasNullableItems) : exposed;
    }
  }
  return schema;
}

/**
 * Begins an operation whose resolvers get this context.
 *
 * @param options.maxTextBytes for mutations: a nullable text beyond it fails alone, so that a large answer never hides the
 *   outcome of a write.
 * @returns the failures to be reported, in the order of the answer; call it when the operation was executed.
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

/** A property of an object: it cannot fail, and there may be 100,000 of them. */
const exposed: Resolver = (source, args, context, info) => {
  const value: unknown = defaultFieldResolver(source, args, context, info);
  if (typeof value !== 'string') return value;
  const execution = executions.get(context as object);
  if (execution === undefined || takes(execution, value, info)) return value;
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
      if (typeof value === 'string') return takes(execution, value, info) ? value : fail(tooLarge());
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

function takes(execution: Execution, text: string, { fieldNodes: [node] }: GraphQLResolveInfo): boolean {
  if (execution.textBytesLeft === undefined) return true;
  // With the response name, its quotes, a colon and a comma.
  const bytes = bytesOfText(text) + (node ? responseNameOf(node).length : 0) + 4;
  if (bytes > execution.textBytesLeft) return false;
  execution.textBytesLeft -= bytes;
  return true;
}

/** The answer is larger than one may be. */
export function tooLarge(): GatewayError {
  return new GatewayError('OPERATION_TOO_COMPLEX', { message: 'The answer is larger than one answer may be.' });
}

function itemOf(execution: Execution, item: unknown, info: GraphQLResolveInfo, index: number): unknown {
  const fail = (error: unknown) => add(execution, error, info, { prev: info.path, key: index, typename: undefined });
  if (item instanceof Error) return fail(item);
  return isPromise(item) ? item.then((value) => inTurn(execution, value), fail) : item;
}

/** The value, at once for the first items of an operation and in later turns for the others. */
function inTurn(execution: Execution, value: unknown): unknown {
  if (value === null || execution.items++ < itemsATurn) return value;
  if (execution.items % itemsATurn === 0) {
    execution.turn = execution.turn.then(() => new Promise((resolve) => setImmediate(resolve)));
  }
  return execution.turn.then(() => value);
}

/** Keeps a failure that comes before one of those kept, and drops the last of them then. */
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
