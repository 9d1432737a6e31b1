/** The result of a mutation, with the fields that {@link whatToTell} needs. */
export interface MutationResult {
  readonly __typename: string;
  readonly differingFields?: readonly string[] | null;
}

// The lines between these two comments are those of docs/retries.md.
// <whatToTell>
/** What to tell a person. `result`: the value of the field in the last answer. `codes`: the codes of its errors. */
export function whatToTell(result: MutationResult | null | undefined, codes: readonly unknown[]) {
  const isRefused = codes.some((code) =>
    /^(BAD_USER_INPUT|FORBIDDEN|OPERATION_|GRAPHQL_|PERSISTED_)/.test(String(code)),
  );
  if (!result) return isRefused ? 'failed' : 'unknown';
  const { __typename: name, differingFields } = result;
  if (name === 'CreateCustomerSuccess' || name === 'UpdateCustomerSuccess') return 'done';
  if (name === 'CustomerValidationError' || name === 'CustomerNotFoundError') return 'failed';
  // CustomerUpstreamError is about the last attempt only: an earlier one may have been executed.
  if (name !== 'CustomerAlreadyExistsError' || !differingFields) return 'unknown';
  // Without differing fields, the customer is the one that an earlier attempt has created.
  return differingFields.length > 0 ? 'failed' : 'done';
}
// </whatToTell>
