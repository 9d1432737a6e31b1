// Generated from the schema and the operations. Do not edit: change those, and generate again.
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** A new customer. An optional field that is null counts as left out; blank text is refused. */
export type CreateCustomerInput = {
  /** Up to 128 characters; letters, digits and !#$%&'*+-/=?^_.{|}~` before and after the @; it may not begin with `_` or `.`. */
  readonly emailAddress: string;
  /** Up to 64 printable characters. */
  readonly firstName?: string | null | undefined;
  /** Up to 64 printable characters. */
  readonly lastName?: string | null | undefined;
  /** Calling code: 1 to 4 digits; one leading plus sign is taken off. */
  readonly mobileCountryCode?: string | null | undefined;
  /** National number: 1 to 16 digits, no plus sign, no calling code. */
  readonly mobileNumber: string;
  /** 8 to 128 characters, unique per merchant. It cannot have the shape of the provider's own ids (`cst_` or `cth_` and 16 or 17 letters or digits). */
  readonly objectReferenceId: string;
};

/** How a create is known to have happened. */
export type CreateCustomerOrigin =
  /** This call made the customer. */
  | 'CREATED'
  /** The provider's answer to an earlier attempt of this call was lost; the customer was found to exist with this data. */
  | 'RECONCILED';

/** Why a mutation did not succeed. Programs decide by this, never by the message. */
export type CustomerErrorCode =
  /** The object reference id is taken. Nothing was changed. */
  | 'ALREADY_EXISTS'
  /** There is no such customer. Nothing was changed. */
  | 'NOT_FOUND'
  /** A write was sent and no answer came back: it may or may not have happened. Sending it again is safe. */
  | 'OUTCOME_UNKNOWN'
  /** The provider takes no more calls at the moment. Nothing was changed. */
  | 'RATE_LIMITED'
  /** The provider answered with something that is no customer. */
  | 'UPSTREAM_MALFORMED'
  /** The gateway's own key, merchant, address or IP allow-list is wrong: an operator must act. */
  | 'UPSTREAM_MISCONFIGURED'
  /** The provider refused for a reason that has no code of its own here. */
  | 'UPSTREAM_REJECTED'
  /** Time ran out before anything was sent. Nothing was changed. */
  | 'UPSTREAM_TIMEOUT'
  /** The provider could not be reached, or is busy with this customer. Nothing was changed. */
  | 'UPSTREAM_UNAVAILABLE'
  /** The input is not acceptable; see `issues`. Nothing was changed. */
  | 'VALIDATION_FAILED';

/** What is wrong with one field. */
export type CustomerValidationIssueCode =
  /** Characters or a shape that the field does not take; blank text anywhere. */
  | 'INVALID_FORMAT'
  /** `null` was sent where a field can only be changed or left out. */
  | 'NOT_CLEARABLE'
  /** The gateway would have taken it; the provider did not. */
  | 'REJECTED_BY_PROVIDER'
  /** Something must be given: an update holds at least one field. */
  | 'REQUIRED'
  /** More characters than the field takes. */
  | 'TOO_LONG'
  /** Fewer characters than the field takes. */
  | 'TOO_SHORT';

/** At least one field. A field that is left out keeps its value; null is refused, since the provider cannot clear a field. */
export type UpdateCustomerInput = {
  /** Up to 128 characters; letters, digits and !#$%&'*+-/=?^_.{|}~` before and after the @; it may not begin with `_` or `.`. */
  readonly emailAddress?: string | null | undefined;
  /** Up to 64 printable characters. */
  readonly firstName?: string | null | undefined;
  /** Up to 64 printable characters. */
  readonly lastName?: string | null | undefined;
  /** Calling code: 1 to 4 digits; one leading plus sign is taken off. */
  readonly mobileCountryCode?: string | null | undefined;
  /** National number: 1 to 16 digits, no plus sign, no calling code. */
  readonly mobileNumber?: string | null | undefined;
};

export type CreateCustomerMutationVariables = Exact<{
  input: CreateCustomerInput;
}>;

export type CreateCustomerMutation = { readonly createCustomer:
    | { readonly __typename: 'CreateCustomerSuccess', readonly origin: CreateCustomerOrigin, readonly customer: { readonly __typename: 'Customer', readonly id: string, readonly objectReferenceId: string | null, readonly firstName: string | null, readonly lastName: string | null, readonly emailAddress: string | null, readonly mobileNumber: string | null, readonly mobileCountryCode: string | null, readonly dateCreated: string | null, readonly lastUpdated: string | null } }
    | { readonly __typename: 'CustomerAlreadyExistsError', readonly differingFields: ReadonlyArray<string> | null, readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string, readonly existing: { readonly __typename: 'Customer', readonly id: string, readonly objectReferenceId: string | null, readonly firstName: string | null, readonly lastName: string | null, readonly emailAddress: string | null, readonly mobileNumber: string | null, readonly mobileCountryCode: string | null, readonly dateCreated: string | null, readonly lastUpdated: string | null } | null }
    | { readonly __typename: 'CustomerOutcomeUnknownError', readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string }
    | { readonly __typename: 'CustomerUpstreamError', readonly retryAfterSeconds: number | null, readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string }
    | { readonly __typename: 'CustomerValidationError', readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string, readonly issues: ReadonlyArray<{ readonly __typename: 'CustomerValidationIssue', readonly path: ReadonlyArray<string>, readonly code: CustomerValidationIssueCode, readonly message: string }> }
   | null };

export type CreateCustomerWithTokenMutationVariables = Exact<{
  input: CreateCustomerInput;
}>;

export type CreateCustomerWithTokenMutation = { readonly createCustomer:
    | { readonly __typename: 'CreateCustomerSuccess', readonly origin: CreateCustomerOrigin, readonly customer: { readonly __typename: 'Customer', readonly id: string, readonly objectReferenceId: string | null, readonly firstName: string | null, readonly lastName: string | null, readonly emailAddress: string | null, readonly mobileNumber: string | null, readonly mobileCountryCode: string | null, readonly dateCreated: string | null, readonly lastUpdated: string | null, readonly clientAuthToken: { readonly __typename: 'ClientAuthToken', readonly token: string, readonly expiresAt: string, readonly expiresInSeconds: number } | null } }
    | { readonly __typename: 'CustomerAlreadyExistsError', readonly differingFields: ReadonlyArray<string> | null, readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string, readonly existing: { readonly __typename: 'Customer', readonly id: string, readonly objectReferenceId: string | null, readonly firstName: string | null, readonly lastName: string | null, readonly emailAddress: string | null, readonly mobileNumber: string | null, readonly mobileCountryCode: string | null, readonly dateCreated: string | null, readonly lastUpdated: string | null } | null }
    | { readonly __typename: 'CustomerOutcomeUnknownError', readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string }
    | { readonly __typename: 'CustomerUpstreamError', readonly retryAfterSeconds: number | null, readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string }
    | { readonly __typename: 'CustomerValidationError', readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string, readonly issues: ReadonlyArray<{ readonly __typename: 'CustomerValidationIssue', readonly path: ReadonlyArray<string>, readonly code: CustomerValidationIssueCode, readonly message: string }> }
   | null };

export type CustomerQueryVariables = Exact<{
  id: string;
}>;

export type CustomerQuery = { readonly customer: { readonly __typename: 'Customer', readonly id: string, readonly objectReferenceId: string | null, readonly firstName: string | null, readonly lastName: string | null, readonly emailAddress: string | null, readonly mobileNumber: string | null, readonly mobileCountryCode: string | null, readonly dateCreated: string | null, readonly lastUpdated: string | null } | null };

export type CustomerFieldsFragment = { readonly __typename: 'Customer', readonly id: string, readonly objectReferenceId: string | null, readonly firstName: string | null, readonly lastName: string | null, readonly emailAddress: string | null, readonly mobileNumber: string | null, readonly mobileCountryCode: string | null, readonly dateCreated: string | null, readonly lastUpdated: string | null };

export type CustomerWithTokenQueryVariables = Exact<{
  id: string;
}>;

export type CustomerWithTokenQuery = { readonly customer: { readonly __typename: 'Customer', readonly id: string, readonly objectReferenceId: string | null, readonly clientAuthToken: { readonly __typename: 'ClientAuthToken', readonly token: string, readonly expiresAt: string, readonly expiresInSeconds: number } | null } | null };

export type CustomersQueryVariables = Exact<{
  ids: ReadonlyArray<string>;
}>;

export type CustomersQuery = { readonly customers: ReadonlyArray<{ readonly __typename: 'Customer', readonly id: string, readonly objectReferenceId: string | null, readonly firstName: string | null, readonly lastName: string | null, readonly emailAddress: string | null, readonly mobileNumber: string | null, readonly mobileCountryCode: string | null, readonly dateCreated: string | null, readonly lastUpdated: string | null } | null> | null };

type ErrorFields_CustomerAlreadyExistsError_Fragment = { readonly __typename: 'CustomerAlreadyExistsError', readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string };

type ErrorFields_CustomerNotFoundError_Fragment = { readonly __typename: 'CustomerNotFoundError', readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string };

type ErrorFields_CustomerOutcomeUnknownError_Fragment = { readonly __typename: 'CustomerOutcomeUnknownError', readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string };

type ErrorFields_CustomerUpstreamError_Fragment = { readonly __typename: 'CustomerUpstreamError', readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string };

type ErrorFields_CustomerValidationError_Fragment = { readonly __typename: 'CustomerValidationError', readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string };

export type ErrorFieldsFragment =
  | ErrorFields_CustomerAlreadyExistsError_Fragment
  | ErrorFields_CustomerNotFoundError_Fragment
  | ErrorFields_CustomerOutcomeUnknownError_Fragment
  | ErrorFields_CustomerUpstreamError_Fragment
  | ErrorFields_CustomerValidationError_Fragment
;

export type UpdateCustomerMutationVariables = Exact<{
  id: string;
  input: UpdateCustomerInput;
}>;

export type UpdateCustomerMutation = { readonly updateCustomer:
    | { readonly __typename: 'CustomerNotFoundError', readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string }
    | { readonly __typename: 'CustomerOutcomeUnknownError', readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string }
    | { readonly __typename: 'CustomerUpstreamError', readonly retryAfterSeconds: number | null, readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string }
    | { readonly __typename: 'CustomerValidationError', readonly code: CustomerErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string, readonly issues: ReadonlyArray<{ readonly __typename: 'CustomerValidationIssue', readonly path: ReadonlyArray<string>, readonly code: CustomerValidationIssueCode, readonly message: string }> }
    | { readonly __typename: 'UpdateCustomerSuccess', readonly customer: { readonly __typename: 'Customer', readonly id: string, readonly objectReferenceId: string | null, readonly firstName: string | null, readonly lastName: string | null, readonly emailAddress: string | null, readonly mobileNumber: string | null, readonly mobileCountryCode: string | null, readonly dateCreated: string | null, readonly lastUpdated: string | null } }
   | null };
