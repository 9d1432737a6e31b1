import { defaultFieldResolver, GraphQLError, isObjectType, locatedError } from 'graphql';
import { LazyPromise, type Listener } from '../customers/lazy-promise.ts';
import { unescaped } from '../telemetry/json-text.ts';
import { keysOf, tooLarge } from './failures.ts';
import type { Item } from './item-turns.ts';
import { type Parent, type Part, Pending, type Printed } from './pending.ts';
import type { FieldPlan, ObjectPlan, Output } from './plan.ts';
import { type Arguments, infoOf, type Place, type Run } from './run.ts';

/** Calls one of the functions when the text of a part is known. */
export function whenPrinted(part: Part, onText: (text: string) => void, onError: (error: unknown) => void): void {
  const parent: Parent = {
    put: (_index, printed) => (typeof printed === 'string' ? onText(printed) : printed.attach(parent, 0)),
    fail: onError,
  };
  part.attach(parent, 0);
}

/**
 * Runs the fields of an object. The result is its text, or a part if a field waits.
 *
 * @throws the error of a field that must not be null.
 */
export function printObject(run: Run, plan: ObjectPlan, source: unknown, place: Place | undefined): Printed {
  const isDropped = run.charactersLeft < 0;
  const { plain } = plan;
  if (plain !== undefined) {
    if (isDropped) return '';
    const known = run.failures.limitsTexts ? undefined : plain.textOf(source);
    if (known !== undefined) {
      run.charactersLeft -= known.length;
      return known;
    }
  }
  run.charactersLeft -= plan.leadLength;
  let text = '';
  /** Whether the closing quote of the last text is still missing. The next part begins with it. */
  let isOpen = false;
  let pending: Pending | undefined;
  try {
    for (const field of plan.fields) {
      const { kind, quotedLeads } = field;
      const lead = isOpen ? quotedLeads.after : field.lead;
      if (kind === 'constant') {
        text += lead;
        isOpen = false;
        continue;
      }
      // Most fields are texts of a customer. They need no further call.
      if (kind === 'text' && !run.failures.limitsTexts) {
        const value = (source as Arguments)[field.definition.name];
        if (typeof value === 'string') {
          run.charactersLeft -= value.length;
          const isPlain = run.charactersLeft >= 0 && unescaped.test(value);
          if (isPlain) text += (isOpen ? quotedLeads.between : quotedLeads.before) + value;
          else text += run.charactersLeft < 0 ? lead : lead + JSON.stringify(value);
          isOpen = isPlain;
          continue;
        }
      }
      isOpen = false;
      const printed = printField(run, field, source, place);
      if (typeof printed === 'string') {
        text += lead + printed;
        continue;
      }
      pending ??= new Pending();
      pending.add(isDropped ? '' : text + lead, printed);
      text = '';
    }
  } catch (error) {
    if (pending === undefined) throw error;
    return pending.closeWith(error);
  }
  const end = isDropped ? '' : plan.fields.length === 0 ? '{}' : text + (isOpen ? '"}' : '}');
  if (pending !== undefined) return pending.close(end);
  if (plain !== undefined && run.charactersLeft >= 0 && run.failures.isEmpty) plain.set(source, end);
  return end;
}

export function printField(run: Run, field: FieldPlan, source: unknown, parent: Place | undefined): Printed {
  const { responseName: key, parentType, rank, resolve } = field;
  // The dates of a customer: a property that only needs to be printed. A failure is found again below, with its place.
  if (resolve === undefined && field.output.kind === 'leaf' && !run.failures.limitsTexts) {
    const text = printProperty(run, field.output, (source as Arguments)[field.definition.name]);
    if (text !== undefined) return text;
  }
  const place: Place = { prev: parent, key, typename: parentType.name, rank };
  let value: unknown;
  try {
    const args = (parent === undefined && run.args[rank]) || {};
    const info = infoOf(run, field, place);
    value = (resolve ?? defaultFieldResolver)(source, args, run.context, info);
  } catch (error) {
    return failed(run, field, field.output, place, error);
  }
  return settledOrWaiting(run, field, field.output, place, value);
}

/** @returns `undefined` for a value that is not simple, or cannot be printed. */
function printProperty(run: Run, { isNullable, print }: Output & { readonly kind: 'leaf' }, value: unknown) {
  if (value === null) return isNullable ? 'null' : undefined;
  if (!(value instanceof Date)) return undefined;
  try {
    const text = print(value);
    run.charactersLeft -= text.length;
    return run.charactersLeft < 0 ? '' : text;
  } catch {
    return undefined;
  }
}

/** A field or an item of a list whose value is a promise. */
class Waiting implements Part, Listener<unknown>, Item {
  readonly #run: Run;
  readonly #field: FieldPlan;
  readonly #output: Output;
  readonly #place: Place;
  readonly #value: PromiseLike<unknown>;
  #parent: Parent | undefined;
  #index = 0;
  #result: unknown;

  constructor(run: Run, field: FieldPlan, output: Output, place: Place, value: PromiseLike<unknown>) {
    this.#run = run;
    this.#field = field;
    this.#output = output;
    this.#place = place;
    this.#value = value;
  }

  attach(parent: Parent, index: number): void {
    this.#parent = parent;
    this.#index = index;
    const value = this.#value;
    if (value instanceof LazyPromise) value.listen(this);
    else
      value.then(
        (result) => this.resolve(result),
        (error) => this.reject(error),
      );
  }

  resolve(value: unknown): void {
    this.#result = value;
    // Long lists are printed in several turns of the event loop.
    if (typeof this.#place.key === 'string' || value === null) this.complete();
    else this.#run.turns.take(this);
  }

  reject(error: unknown): void {
    this.#print(failed, error);
  }

  complete(): void {
    this.#print(succeeded, this.#result);
  }

  #print(printer: typeof succeeded, result: unknown): void {
    let printed: Printed;
    try {
      printed = printer(this.#run, this.#field, this.#output, this.#place, result);
    } catch (error) {
      this.#parent?.fail(error);
      return;
    }
    this.#parent?.put(this.#index, printed);
  }
}

/** Prints the result of a resolver, or one item of it. */
function succeeded(run: Run, field: FieldPlan, output: Output, place: Place, value: unknown): Printed {
  if (value instanceof Error) return failed(run, field, output, place, value);
  if (typeof value === 'string' && output.isNullable && output === field.output) {
    if (!run.failures.fits(value, field.responseName)) return addFailure(run, field, place, tooLarge());
  }
  return print(run, field, output, place, value);
}

/** The text of a field whose resolver failed, or of an item that failed. @throws the error if the value must not be null. */
function failed(run: Run, field: FieldPlan, output: Output, place: Place, error: unknown): string {
  if (field.resolve === undefined || !output.isNullable) return refused(run, field, output, place, error);
  return addFailure(run, field, place, error);
}

/** The text of a value that does not fit its type. @throws the located error if the value must not be null. */
function refused(run: Run, { nodes }: FieldPlan, { isNullable }: Output, place: Place, error: unknown): string {
  const located = locatedError(error, nodes, keysOf(place));
  if (!isNullable) throw located;
  run.failures.refuse(located, place);
  return 'null';
}

function addFailure({ failures }: Run, { nodes }: FieldPlan, place: Place, error: unknown): string {
  const order: number[] = [];
  for (let step: Place | undefined = place; step !== undefined; step = step.prev) order.unshift(step.rank);
  failures.add(error, nodes, place, order);
  return 'null';
}

function print(run: Run, field: FieldPlan, output: Output, place: Place, value: unknown): Printed {
  try {
    const printed = printValue(run, field, output, place, value);
    if (printed instanceof Pending) printed.onFail((error) => refused(run, field, output, place, error));
    return printed;
  } catch (error) {
    return refused(run, field, output, place, error);
  }
}

function printValue(run: Run, field: FieldPlan, output: Output, place: Place, value: unknown): Printed {
  if (value instanceof Error) throw value;
  if (value === null || value === undefined) {
    if (output.isNullable) return 'null';
    throw new Error(`Cannot return null for non-nullable field ${field.parentType.name}.${field.definition.name}.`);
  }
  if (output.kind === 'list') return printList(run, field, output.item, place, value);
  if (output.kind === 'leaf') {
    const text = output.print(value);
    run.charactersLeft -= text.length;
    return run.charactersLeft < 0 ? '' : text;
  }
  if (output.kind === 'object') return printObject(run, output.planOf(output.type), value, place);
  const { type, planOf } = output;
  const name = type.resolveType?.(value, run.context, infoOf(run, field, place), type);
  const runtimeType = typeof name === 'string' ? run.schema.getType(name) : undefined;
  if (!isObjectType(runtimeType) || !run.schema.isSubType(type, runtimeType)) {
    throw new GraphQLError(`The type of a value of "${type.name}" is unknown.`);
  }
  return printObject(run, planOf(runtimeType), value, place);
}

function printList(run: Run, field: FieldPlan, output: Output, place: Place, values: unknown): Printed {
  if (!isIterable(values)) {
    throw new GraphQLError(
      `Expected Iterable, but did not find one for field "${field.parentType.name}.${field.definition.name}".`,
    );
  }
  let text = '[';
  let pending: Pending | undefined;
  let index = 0;
  for (const value of values) {
    if (index > 0) text += ',';
    const item: Place = { prev: place, key: index, typename: undefined, rank: index };
    const printed = settledOrWaiting(run, field, output, item, value);
    if (typeof printed === 'string') text += printed;
    else {
      pending ??= new Pending();
      pending.add(text, printed);
      text = '';
    }
    index += 1;
  }
  return pending === undefined ? `${text}]` : pending.close(`${text}]`);
}

function settledOrWaiting(run: Run, field: FieldPlan, output: Output, place: Place, value: unknown): Printed {
  return isThenable(value)
    ? new Waiting(run, field, output, place, value)
    : succeeded(run, field, output, place, value);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}
