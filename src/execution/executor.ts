import { execute, type GraphQLError, type GraphQLSchema } from 'graphql';
import type { Result } from './answer.ts';
import { collectFailures } from './bounded.ts';
import type { Operation, Prepared } from './compiler.ts';
import { Failures, tooLarge } from './failures.ts';
import { ItemTurns } from './item-turns.ts';
import { located } from './outcome.ts';
import type { Parent, Printed } from './pending.ts';
import type { ObjectPlan } from './plan.ts';
import { printField, printObject, whenPrinted } from './printing.ts';
import type { Run } from './run.ts';
import { exceedsBytes, exceedsJsonBytes } from './size.ts';
import type { Variables } from './variables.ts';

/** Executes an operation by its plan. Calls `onResult` once. Resolvers of a query run before the function returns. */
export function runPlan(
  { schema, node, fragments }: Operation,
  { plan, variableValues, args }: Prepared,
  context: object,
  maxBytes: number,
  onResult: (result: Result) => void,
): void {
  const isMutation = node.operation === 'mutation';
  const run: Run = {
    schema,
    operation: node,
    fragments,
    variableValues,
    args,
    context,
    failures: failuresOf(isMutation, maxBytes),
    charactersLeft: isMutation ? Number.POSITIVE_INFINITY : maxBytes,
    turns: new ItemTurns(),
  };
  const ending = new Ending(run, isMutation ? Number.POSITIVE_INFINITY : maxBytes, onResult);
  if (!isMutation) return printParallel(run, plan, ending);
  printSerially(run, plan).then(
    (data) => ending.end(data),
    (error: unknown) => ending.fail(error),
  );
}

/** Receives the text of the root object. */
class Ending implements Parent {
  readonly #run: Run;
  readonly #maxBytes: number;
  readonly #onResult: (result: Result) => void;

  constructor(run: Run, maxBytes: number, onResult: (result: Result) => void) {
    this.#run = run;
    this.#maxBytes = maxBytes;
    this.#onResult = onResult;
  }

  put(_index: number, printed: Printed): void {
    if (typeof printed === 'string') this.end(printed);
    else printed.attach(this, 0);
  }

  fail(error: unknown): void {
    this.#run.failures.refuse(error as GraphQLError, undefined);
    this.end('null');
  }

  end(data: string): void {
    this.#onResult(resultOf(this.#run, data, this.#maxBytes));
  }
}

function printParallel(run: Run, plan: ObjectPlan, ending: Ending): void {
  try {
    ending.put(0, printObject(run, plan, undefined, undefined));
  } catch (error) {
    ending.fail(error);
  }
}

/** Runs the root fields one after the other, as the specification requires for mutations. */
async function printSerially(run: Run, plan: ObjectPlan): Promise<string> {
  let text = '';
  for (const field of plan.fields) {
    text += field.lead;
    if (field.kind === 'constant') continue;
    const printed = printField(run, field, undefined, undefined);
    if (typeof printed === 'string') text += printed;
    else text += await new Promise<string>((resolve, reject) => whenPrinted(printed, resolve, reject));
  }
  return text === '' ? '{}' : `${text}}`;
}

function resultOf({ failures, charactersLeft }: Run, data: string, maxBytes: number): Result {
  const errors = failures.report();
  const isTooLarge = charactersLeft < 0 || exceedsBytes(data, maxBytes - envelopeBytes(errors));
  return isTooLarge ? tooLargeResult() : { errors, data };
}

/**
 * Executes an operation with graphql-js: introspection, and variables and arguments for which there is no plan. The schema must
 * have the resolvers of `withBoundedFailures`.
 */
export async function interpret(
  { document, node }: Operation,
  schema: GraphQLSchema,
  variableValues: Variables,
  contextValue: object,
  maxBytes: number,
): Promise<Result> {
  const isMutation = node.operation === 'mutation';
  const failures = failuresOf(isMutation, maxBytes);
  collectFailures(contextValue, failures);
  const operationName = node.name?.value ?? null;
  const result = await execute({ schema, document, contextValue, variableValues, operationName });
  const errors = failures.report(result.errors);
  if (result.data === undefined) return { errors };
  if (!isMutation && exceedsJsonBytes(result.data, maxBytes - envelopeBytes(errors))) return tooLargeResult();
  return { errors, data: JSON.stringify(result.data) };
}

/** The outcome of a write must be reported, so in a mutation single texts become null instead of the whole response. */
function failuresOf(isMutation: boolean, maxBytes: number): Failures {
  return new Failures(isMutation ? maxBytes : undefined);
}

function tooLargeResult(): Result {
  return { errors: [located(tooLarge())], data: 'null' };
}

/** Upper bound of the bytes of a response without its data, errors included. */
function envelopeBytes(errors: readonly GraphQLError[]): number {
  return errors.reduce(
    (sum, { message, path }) => sum + 400 + JSON.stringify([message, path]).length,
    '{"data":}'.length,
  );
}
