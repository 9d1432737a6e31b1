// Generated from the schema and the operations. Do not edit: change those, and generate again.
/** For `InMemoryCache` of Apollo Client. */
export const possibleTypes: Record<string, string[]> = {
  "CreateCustomerResult": [
    "CreateCustomerSuccess",
    "CustomerAlreadyExistsError",
    "CustomerOutcomeUnknownError",
    "CustomerUpstreamError",
    "CustomerValidationError"
  ],
  "CustomerError": [
    "CustomerAlreadyExistsError",
    "CustomerNotFoundError",
    "CustomerOutcomeUnknownError",
    "CustomerUpstreamError",
    "CustomerValidationError",
    ".*Error"
  ],
  "UpdateCustomerResult": [
    "CustomerNotFoundError",
    "CustomerOutcomeUnknownError",
    "CustomerUpstreamError",
    "CustomerValidationError",
    "UpdateCustomerSuccess"
  ]
};
