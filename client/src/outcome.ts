/** A member of one of the gateway's unions. */
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

/** A union member that this version of the kit does not know. An error has the four optional fields; a success can lack them. */
export interface OtherOutcome {
  readonly status: 'other';
  readonly __typename: string;
  readonly code?: string;
  readonly message?: string;
  readonly retryable?: boolean;
  readonly requestId?: string;
}

/**
 * The result of a mutation as a union with the discriminant `status`. Each member has its own fields. `other` is always a member, so a
 * `switch` over all statuses also handles results of later gateway versions.
 */
export type Outcome<Result> = Known<Exclude<Result, null | undefined>> | OtherOutcome;

type Known<Result> = Result extends { readonly __typename: infer Name extends keyof Statuses }
  ? WithoutTokens<Result> & { readonly status: Statuses[Name] }
  : never;

/** The result with `null` in the place of each token, because the tokens of mutations are moved to `client.tokens`. */
type WithoutTokens<Value> = Value extends { readonly __typename: 'ClientAuthToken' }
  ? null
  : Value extends object
    ? { [Key in keyof Value]: WithoutTokens<Value[Key]> }
    : Value;

/** The value of an operation's only root field. */
export type RootOf<Result> = NonNullable<Result[keyof Result]>;

/** Converts the result of a mutation into an {@link Outcome}. */
export function outcomeOf<Result extends Member>(result: Result): Outcome<Result> {
  const status = (statuses as Readonly<Record<string, string>>)[result.__typename] ?? 'other';
  return { ...result, status } as unknown as Outcome<Result>;
}

/** Use in the `default` of a `switch`: the call does not compile while a case is missing. */
export function unreachable(value: never): never {
  throw new Error(`Unhandled: ${(value as { status?: string }).status}`);
}
