import { type FaultName, faultNames } from '../src/sandbox/faults.ts';
import type { Sandbox } from '../src/sandbox/server.ts';

/** A random number generator with a seed, so that a failing run can be repeated. */
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
 * Faults by their meaning. A provider may fail in any way, but its statements are true: it rejects only before the commit, and
 * returns a customer only after it. A read may miss an existing customer, as a replica with a lag does. 429 is excluded,
 * because its backoff stops the whole run; `faults.test.ts` covers it.
 */
export const rejectionFaults: readonly FaultName[] = [
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
/** The provider reports that there is no such customer. */
export const notFoundFaults: readonly FaultName[] = ['not_found', 'not_found_in_200', 'camel_case', 'error_info_text'];
/** Successes with unknown, missing or invalid fields. */
export const irregularFaults: readonly FaultName[] = [
  'extra_fields',
  'bad_dates',
  'wrong_types',
  'no_token',
  'null_token',
  'half_token',
];
export const ambiguousFaults = faultNames.filter(
  (name) => name !== '429' && ![...rejectionFaults, ...notFoundFaults, ...irregularFaults].includes(name),
);

/** The results that callers received for their writes. */
export interface ReportedResults {
  /** Results of creates by reference. */
  readonly created: ReadonlyMap<string, readonly Record<string, unknown>[]>;
  /** Results of updates. Each update has a unique value. */
  readonly updates: readonly { readonly value: string; readonly result: Record<string, unknown> }[];
}

/** Compares the reported results with the stored data. Returns the number of differences by kind; a correct gateway has none. */
export function countDifferences(
  { customers, calls }: Pick<Sandbox, 'customers' | 'calls'>,
  { created, updates }: ReportedResults,
) {
  const stored = Map.groupBy(customers, ({ objectReferenceId }) => objectReferenceId);
  const written = new Set(
    calls.flatMap(({ route, committed, form }) => (route === 'update' && committed ? [form?.['mobile_number']] : [])),
  );
  const differences = { ...noDifferences };
  for (const same of stored.values()) if (same.length > 1) differences.duplicates += 1;
  for (const [reference, results] of created) {
    const exists = stored.has(reference);
    const succeeded = results.some(({ __typename: name }) => name === 'CreateCustomerSuccess');
    const mayExist = results.some(({ code }) => code === 'OUTCOME_UNKNOWN' || code === 'ALREADY_EXISTS');
    if (succeeded && !exists) differences.lostCreates += 1;
    if (!succeeded && !mayExist && exists) differences.falseCreateFailures += 1;
  }
  for (const { value, result } of updates) {
    const happened = written.has(value);
    if (result['__typename'] === 'UpdateCustomerSuccess' && !happened) differences.lostUpdates += 1;
    if (result['__typename'] !== 'UpdateCustomerSuccess' && result['code'] !== 'OUTCOME_UNKNOWN' && happened)
      differences.falseUpdateFailures += 1;
  }
  return differences;
}

export const noDifferences = {
  duplicates: 0,
  lostCreates: 0,
  falseCreateFailures: 0,
  lostUpdates: 0,
  falseUpdateFailures: 0,
};
