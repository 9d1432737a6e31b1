/** The result of a mutation, with the fields that {@link outcomeOf} needs. */
export interface MutationResult {
  readonly __typename: string;
  readonly differingFields?: readonly string[] | null;
  readonly retryable?: boolean;
}

// The lines between these two comments are those of docs/retries.md.
// <outcomeOf>
/** What to tell a person. `result`: the value of the field in the last answer. `codes`: the codes of its errors. */
export function outcomeOf(result: MutationResult | null | undefined, codes: readonly unknown[]) {
  const isRefused = codes.some((code) =>
    /^(BAD_USER_INPUT|FORBIDDEN|OPERATION_|GRAPHQL_|PERSISTED_)/.test(String(code)),
  );
  if (!result) return isRefused ? 'failed' : 'unknown';
  if (result.__typename.endsWith('Success')) return 'done';
  // Without differing fields, the customer is the one that an earlier attempt has created.
  const { differingFields, retryable } = result;
  if (result.__typename !== 'CustomerAlreadyExistsError') return retryable ? 'unknown' : 'failed';
  return !differingFields ? 'unknown' : differingFields.length > 0 ? 'failed' : 'done';
}
// </outcomeOf>
