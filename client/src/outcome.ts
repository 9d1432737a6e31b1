/** What every member of the gateway's unions has. */
interface Member {
  readonly __typename: string;
}

const statuses = {
  CreateCustomerSuccess: 'success',
  UpdateCustomerSuccess: 'success',
  CustomerValidationError: 'invalid',
  CustomerAlreadyExistsError: 'exists',
  CustomerNotFoundError: 'notFound',
  CustomerOutcomeUnknownError: 'outcomeUnknown',
  CustomerUpstreamError: 'upstream',
} as const;

type Statuses = typeof statuses;

/** A member that this version of the kit does not know. An error has the four fields; a success may have none. */
export interface OtherOutcome {
  readonly status: 'other';
  readonly __typename: string;
  readonly code?: string;
  readonly message?: string;
  readonly retryable?: boolean;
  readonly requestId?: string;
}

/**
 * The union of a mutation's result, told apart by `status`: each member with its own fields. `other` is there always, so
 * that a `switch` over all of them still compiles, and still works, when the gateway learns another answer.
 */
export type Outcome<Result> = Known<Exclude<Result, null | undefined>> | OtherOutcome;

type Known<Result> = Result extends { readonly __typename: infer Name extends keyof Statuses }
  ? WithoutTokens<Result> & { readonly status: Statuses[Name] }
  : never;

/** As it comes: a token of a mutation is in `client.tokens`, and null in the answer. */
type WithoutTokens<Value> = Value extends { readonly __typename: 'ClientAuthToken' }
  ? null
  : Value extends object
    ? { [Key in keyof Value]: WithoutTokens<Value[Key]> }
    : Value;

/** The value of an operation's one root field. */
export type RootOf<Result> = NonNullable<Result[keyof Result]>;

/** A mutation's result as an {@link Outcome}. */
export function outcomeOf<Result extends Member>(result: Result): Outcome<Result> {
  const status = (statuses as Readonly<Record<string, string>>)[result.__typename] ?? 'other';
  return { ...result, status } as unknown as Outcome<Result>;
}

/** For the `default` of a `switch`: it does not compile while a case is missing. */
export function unreachable(value: never): never {
  throw new Error(`Not handled: ${String((value as { status?: unknown }).status)}`);
}
