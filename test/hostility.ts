import { type FaultName, faultNames } from '../src/sandbox/faults.ts';
import type { Sandbox } from '../src/sandbox/server.ts';

/** A generator of its own seed: a run that fails can be run again. */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A provider may break in any way; what it says when it does speak is true. So a refusal comes before the commit only,
 * a customer after it only. A read may deny what is there, as a replica that lags does. 429 would hold back the whole run;
 * the matrix has it.
 */
export const refusals: readonly FaultName[] = [
  'duplicate',
  'empty_reference',
  'invalid',
  'missing_parameter',
  'unauthorized',
  'bad_origin',
  'bad_origin_old',
  'wrong_route',
  'forbidden',
  'merchant',
  'busy',
  'rejected',
  'error_in_200',
  'redirect',
];
export const denials: readonly FaultName[] = ['not_found', 'not_found_in_200', 'camel_case', 'error_info_text'];
export const oddities: readonly FaultName[] = [
  'extra_fields',
  'bad_dates',
  'wrong_types',
  'no_token',
  'null_token',
  'half_token',
];
export const ambiguous = faultNames.filter(
  (name) => name !== '429' && ![...refusals, ...denials, ...oddities].includes(name),
);

/** What a caller was told of its writes. */
export interface Told {
  /** By reference. */
  readonly created: ReadonlyMap<string, readonly Record<string, unknown>[]>;
  /** Each with a value of its own. */
  readonly updates: readonly { readonly value: string; readonly result: Record<string, unknown> }[];
}

/** What was told, compared with what is stored: how often they differ, by kind. All of them are 0. */
export function compareBooks({ customers, calls }: Pick<Sandbox, 'customers' | 'calls'>, { created, updates }: Told) {
  const stored = Map.groupBy(customers, ({ objectReferenceId }) => objectReferenceId);
  const written = new Set(
    calls.flatMap(({ route, committed, form }) => (route === 'update' && committed ? [form?.['mobile_number']] : [])),
  );
  const books = { ...emptyBooks };
  for (const same of stored.values()) if (same.length > 1) books.duplicates += 1;
  for (const [reference, results] of created) {
    const exists = stored.has(reference);
    const succeeded = results.some(({ __typename: name }) => name === 'CreateCustomerSuccess');
    const mayExist = results.some(({ code }) => code === 'OUTCOME_UNKNOWN' || code === 'ALREADY_EXISTS');
    if (succeeded && !exists) books.lostCreates += 1;
    if (!succeeded && !mayExist && exists) books.falseCreateFailures += 1;
  }
  for (const { value, result } of updates) {
    const happened = written.has(value);
    if (result['__typename'] === 'UpdateCustomerSuccess' && !happened) books.lostUpdates += 1;
    if (result['__typename'] !== 'UpdateCustomerSuccess' && result['code'] !== 'OUTCOME_UNKNOWN' && happened)
      books.falseUpdateFailures += 1;
  }
  return books;
}

export const emptyBooks = {
  duplicates: 0,
  lostCreates: 0,
  falseCreateFailures: 0,
  lostUpdates: 0,
  falseUpdateFailures: 0,
};
