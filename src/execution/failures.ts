import { type FieldNode, type GraphQLError, type GraphQLResolveInfo, locatedError } from 'graphql';
import { GatewayError } from '../errors.ts';
import { compareOrder } from './order.ts';
import { maxReportedErrors } from './outcome.ts';
import { bytesOfText } from './size.ts';

export type Path = GraphQLResolveInfo['path'];

/** A failed field and its position in the response. */
interface Failure {
  readonly error: unknown;
  readonly nodes: readonly FieldNode[];
  readonly path: Path;
  readonly order: readonly number[];
}

/** The errors of one operation. At most `maxReportedErrors` are reported. */
export class Failures {
  /** Failures of resolvers: the first in the order of the response. */
  readonly #first: Failure[] = [];
  /** Errors of non-null fields and of values that do not fit their type, in the order of execution. */
  readonly #refused: GraphQLError[] = [];
  /** The positions that became null for an error in `#refused`. `undefined` is the whole response. */
  #nulled: Set<Path | undefined> | undefined;
  /** Remaining bytes for nullable texts. `undefined` for queries, whose whole response is measured instead. */
  #textBytesLeft: number | undefined;

  /**
   * @param maxTextBytes for mutations: a nullable text above this limit becomes null with an error, so that the outcome of a
   *   write is always reported.
   */
  constructor(maxTextBytes: number | undefined) {
    this.#textBytesLeft = maxTextBytes;
  }

  get isEmpty(): boolean {
    return this.#first.length === 0 && this.#refused.length === 0;
  }

  get limitsTexts(): boolean {
    return this.#textBytesLeft !== undefined;
  }

  /** Inserts a failure and drops the last one above the limit. Other failures cost no error with a stack. */
  add(error: unknown, nodes: readonly FieldNode[], path: Path, order: readonly number[]): void {
    const last = this.#first.at(-1);
    const isFull = this.#first.length >= maxReportedErrors;
    if (isFull && last !== undefined && compareOrder(last.order, order) <= 0) return;
    const at = this.#first.findIndex((other) => compareOrder(order, other.order) < 0);
    this.#first.splice(at < 0 ? this.#first.length : at, 0, { error, nodes, path, order });
    if (isFull) this.#first.pop();
  }

  /** Returns whether a text is within the remaining bytes, and subtracts it. */
  fits(text: string, responseName: string): boolean {
    if (this.#textBytesLeft === undefined) return true;
    // Plus the response name with quotes, colon and comma.
    const bytes = bytesOfText(text) + responseName.length + 4;
    if (bytes > this.#textBytesLeft) return false;
    this.#textBytesLeft -= bytes;
    return true;
  }

  /** Keeps the error of a position that became null, unless a position above it has become null before. */
  refuse(error: GraphQLError, path: Path | undefined): void {
    this.#nulled ??= new Set();
    for (let step = path; step !== undefined; step = step.prev) if (this.#nulled.has(step)) return;
    if (this.#nulled.has(undefined)) return;
    this.#nulled.add(path);
    if (this.#refused.length < maxReportedErrors) this.#refused.push(error);
  }

  /** The errors to report, `others` after those of this object. Call it after execution. */
  report(others: readonly GraphQLError[] = []): GraphQLError[] {
    const failed = this.#first.map(({ error, nodes, path }) => locatedError(error, nodes, keysOf(path)));
    return [...failed, ...this.#refused, ...others].slice(0, maxReportedErrors);
  }
}

/** The response exceeds `LIMIT_RESPONSE_BYTES`. */
export function tooLarge(): GatewayError {
  return new GatewayError('OPERATION_TOO_COMPLEX', { message: 'The response exceeds the size limit.' });
}

export function keysOf(path: Path): (string | number)[] {
  const keys: (string | number)[] = [];
  for (let step: Path | undefined = path; step !== undefined; step = step.prev) keys.unshift(step.key);
  return keys;
}
