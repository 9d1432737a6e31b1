import { type CreateOrigin, type Customer, differingFields, type ReadOptions } from '../customers/customer.ts';
import { CustomerInvalidError, type Issue, type IssueCode, type NewCustomer } from '../customers/input.ts';
import { GatewayError } from '../errors.ts';
import type { Builder } from './builder.ts';
import type { OperationContext } from './context.ts';
import { type CustomerRef, tokenOption } from './customer.ts';

/** An expected failure, as a member of a result union. */
interface Failure {
  readonly __typename: CustomerErrorName;
  readonly error: GatewayError;
}

type CustomerErrorName =
  | 'CustomerValidationError'
  | 'CustomerAlreadyExistsError'
  | 'CustomerNotFoundError'
  | 'CustomerOutcomeUnknownError'
  | 'CustomerUpstreamError';

/** Only a create fails with it, so the decoded input is known. */
interface AlreadyExists extends Failure {
  readonly input: NewCustomer;
}

interface Success<Typename extends string> {
  readonly __typename: Typename;
  readonly customer: Customer;
}

/** The codes that are returned as data, with their union member and description. All other codes are GraphQL errors. */
const errorCodes = {
  VALIDATION_FAILED: ['CustomerValidationError', 'The input is invalid. See `issues`. Nothing was changed.'],
  ALREADY_EXISTS: [
    'CustomerAlreadyExistsError',
    'A customer with the object reference id already exists. Nothing was changed.',
  ],
  NOT_FOUND: ['CustomerNotFoundError', 'The customer does not exist, or you may not change it. Nothing was changed.'],
  OUTCOME_UNKNOWN: [
    'CustomerOutcomeUnknownError',
    'The write was sent, but its outcome is unknown. It is safe to send the same request again.',
  ],
  RATE_LIMITED: ['CustomerUpstreamError', 'The provider limits the rate of calls. Nothing was changed. Retry later.'],
  UPSTREAM_TIMEOUT: ['CustomerUpstreamError', 'The deadline passed before the write was sent. Nothing was changed.'],
  UPSTREAM_UNAVAILABLE: [
    'CustomerUpstreamError',
    'The provider is not available or is busy with this customer. Nothing was changed.',
  ],
  UPSTREAM_REJECTED: [
    'CustomerUpstreamError',
    'The provider rejected the request for a reason without a specific code.',
  ],
  UPSTREAM_MALFORMED: ['CustomerUpstreamError', "The provider's response is not a valid customer."],
  UPSTREAM_MISCONFIGURED: [
    'CustomerUpstreamError',
    'The key, the merchant id, the address or the IP allow-list of the gateway is wrong. An operator must fix it.',
  ],
} as const satisfies MembersByCode;
type MembersByCode = Partial<Record<GatewayError['code'], readonly [CustomerErrorName, string]>>;
const membersByCode: MembersByCode = errorCodes;

const issueCodes: Readonly<Record<IssueCode, string>> = {
  REQUIRED: 'A required value is missing. An update requires at least one field.',
  TOO_SHORT: 'The text has fewer characters than the minimum of the field.',
  TOO_LONG: 'The text has more characters than the maximum of the field.',
  INVALID_FORMAT: 'The text is blank or does not have the format of the field.',
  NOT_CLEARABLE: 'The value is `null`, but the field cannot be cleared. Omit it to keep its value.',
  REJECTED_BY_PROVIDER: 'The value passed the checks of the gateway, but the provider rejected it.',
};

const origins: Readonly<Record<CreateOrigin, string>> = {
  CREATED: 'The provider confirmed the create.',
  RECONCILED: 'The response of the provider was lost. A lookup found the customer with the data of the input.',
};

/**
 * Converts an expected failure to a member of the result union. After the write was sent, every other error becomes the unknown
 * outcome. Logs the unexpected error behind an unknown outcome, because the result hides it.
 *
 * @throws the error itself if it is not an expected failure and nothing was sent.
 */
export function toFailure(error: unknown, context: OperationContext, input?: NewCustomer): Failure {
  const [typename] = error instanceof GatewayError ? (membersByCode[error.code] ?? []) : [];
  if (!(error instanceof GatewayError) || typename === undefined) {
    if (!context.write.isSent) throw error;
    context.onUnexpected(error);
    return { __typename: 'CustomerOutcomeUnknownError', error: new GatewayError('OUTCOME_UNKNOWN', { cause: error }) };
  }
  // If the cause is a GatewayError, a failed call is the reason, and is in the log.
  const { code, cause } = error;
  if (code === 'OUTCOME_UNKNOWN' && cause !== undefined && !(cause instanceof GatewayError))
    context.onUnexpected(cause);
  return { __typename: typename, error, ...(input !== undefined && { input }) };
}

/** Defines the two result unions and their members. */
export function defineResults(builder: Builder, CustomerRef: CustomerRef) {
  const ErrorCode = builder.enumType('CustomerErrorCode', {
    description: 'The reason why a mutation failed. Programs must use this code, not the message.',
    values: Object.fromEntries(Object.entries(errorCodes).map(([code, [, description]]) => [code, { description }])),
  });
  const CustomerError = builder.interfaceRef<Failure>('CustomerError').implement({
    description: 'The common fields of all expected failures of a mutation. Use it as the fallback fragment.',
    fields: (t) => ({
      code: t.field({
        type: ErrorCode,
        nullable: false,
        description: 'The reason, for programs.',
        resolve: ({ error }) => error.code,
      }),
      message: t.string({
        nullable: false,
        description:
          'The reason, for developers. Programs must use `code`. The message contains no values of the request.',
        resolve: ({ error }) => error.message,
      }),
      retryable: t.boolean({
        nullable: false,
        description: 'True if the same request can be sent again safely and may succeed.',
        resolve: ({ error }) => error.retryable,
      }),
      requestId: t.string({
        nullable: false,
        description:
          'Correlation id of the operation in the logs of the gateway. Also available behind routers that drop response headers.',
        resolve: (_failure, _args, { requestId }) => requestId,
      }),
    }),
  });
  const failure = (name: CustomerErrorName, description: string) =>
    builder.objectRef<Failure>(name).implement({ interfaces: [CustomerError], description });

  const IssueCodes = builder.enumType('CustomerValidationIssueCode', {
    description: 'The kind of a problem of the input.',
    values: Object.fromEntries(Object.entries(issueCodes).map(([code, description]) => [code, { description }])),
  });
  const IssueRef = builder.objectRef<Issue>('CustomerValidationIssue').implement({
    description: 'One problem of the input.',
    fields: (t) => ({
      path: t.exposeStringList('path', {
        nullable: false,
        description: 'Path of the invalid value in the arguments, for example `["input", "mobileNumber"]`.',
      }),
      code: t.field({
        type: IssueCodes,
        nullable: false,
        description: 'The kind of the problem, for programs.',
        resolve: ({ code }) => code,
      }),
      message: t.exposeString('message', {
        nullable: false,
        description: 'The problem, for developers. The message contains no values of the request.',
      }),
    }),
  });

  const ValidationError = failure('CustomerValidationError', 'The input is invalid. It lists all problems.');
  builder.objectField(ValidationError, 'issues', (t) =>
    t.field({
      type: [IssueRef],
      nullable: false,
      description:
        'The problems, at least one. The gateway checks the input before it calls the provider; `REJECTED_BY_PROVIDER` comes from the provider.',
      resolve: ({ error }) => (error instanceof CustomerInvalidError ? [...error.issues] : []),
    }),
  );

  const AlreadyExistsError = builder.objectRef<AlreadyExists>('CustomerAlreadyExistsError').implement({
    interfaces: [CustomerError],
    description:
      'A customer with the object reference id already exists. An earlier attempt of the same create may have created it.',
    fields: (t) => ({
      existing: t.field({
        type: CustomerRef,
        description:
          'The customer with the reference. Null if the caller may not read it. It costs an upstream read only if selected.',
        resolve: (failed, _args, context, info) => existing(failed, context, tokenOption(context, info)),
      }),
      differingFields: t.stringList({
        description: [
          'Names of the input fields whose stored value differs, without the values. Null if the customer cannot be read or the',
          'caller may not read it. It costs an upstream read only if selected.',
        ].join('\n'),
        resolve: async (failed, _args, context) => {
          const stored = await existing(failed, context);
          return stored && differingFields(failed.input, stored);
        },
      }),
    }),
  });
  const NotFoundError = failure('CustomerNotFoundError', 'The customer does not exist, or you may not change it.');
  const OutcomeUnknownError = failure(
    'CustomerOutcomeUnknownError',
    'The write was sent, but the gateway could not determine its outcome within the deadline. It is safe to send the same request again.',
  );
  const UpstreamError = failure('CustomerUpstreamError', 'The write failed upstream, and nothing was changed.');
  builder.objectField(UpstreamError, 'retryAfterSeconds', (t) =>
    t.int({
      description: 'Seconds to wait before a retry, from `Retry-After` of the provider. Null if it sent none.',
      resolve: ({ error }) => error.retryAfterSeconds,
    }),
  );

  const Origin = builder.enumType('CreateCustomerOrigin', {
    description: 'How the gateway confirmed a create.',
    values: Object.fromEntries(Object.entries(origins).map(([origin, description]) => [origin, { description }])),
  });
  const customerField = { type: CustomerRef, nullable: false as const };
  const CreateSuccess = builder
    .objectRef<Success<'CreateCustomerSuccess'> & { origin: CreateOrigin }>('CreateCustomerSuccess')
    .implement({
      description: 'The customer exists once, with the data of the input.',
      fields: (t) => ({
        customer: t.field({
          ...customerField,
          description: 'The customer as the provider stores it.',
          resolve: ({ customer }) => customer,
        }),
        origin: t.field({
          type: Origin,
          nullable: false,
          description: 'How the gateway confirmed the create.',
          resolve: ({ origin }) => origin,
        }),
      }),
    });
  const UpdateSuccess = builder.objectRef<Success<'UpdateCustomerSuccess'>>('UpdateCustomerSuccess').implement({
    description: 'The customer has the values of the input.',
    fields: (t) => ({
      customer: t.field({
        ...customerField,
        description:
          'The customer after the change. `clientAuthToken` costs one more read here, because an update returns no token.',
        resolve: ({ customer }) => customer,
      }),
    }),
  });

  return {
    CreateResult: builder.unionType('CreateCustomerResult', {
      description: 'The result of a create.',
      types: [CreateSuccess, ValidationError, AlreadyExistsError, OutcomeUnknownError, UpstreamError],
      resolveType: ({ __typename }) => __typename,
    }),
    UpdateResult: builder.unionType('UpdateCustomerResult', {
      description: 'The result of an update.',
      types: [UpdateSuccess, ValidationError, NotFoundError, OutcomeUnknownError, UpstreamError],
      resolveType: ({ __typename }) => __typename,
    }),
  };
}

/** The stored customer; null if the caller may not read it or the read fails. */
async function existing({ input }: AlreadyExists, context: OperationContext, options: ReadOptions = {}) {
  if (!context.caller.scopes.has('customer:read')) return null;
  try {
    return await context.customers.get({ reference: input.objectReferenceId }, options);
  } catch (error) {
    if (!(error instanceof GatewayError)) context.onUnexpected(error);
    return null;
  }
}
