import { type CreateOrigin, type Customer, differingFields, type ReadOptions } from '../customers/customer.ts';
import { CustomerInvalidError, type Issue, type IssueCode, type NewCustomer } from '../customers/input.ts';
import { GatewayError } from '../errors.ts';
import type { Builder } from './builder.ts';
import type { OperationContext } from './context.ts';
import { type CustomerRef, tokenOption } from './customer.ts';

/** A failure as data: which member of the union it is, what went wrong, and what was asked for. */
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

/** Only a create meets it, and only after its input was decoded. */
interface AlreadyExists extends Failure {
  readonly input: NewCustomer;
}

interface Success<Typename extends string> {
  readonly __typename: Typename;
  readonly customer: Customer;
}

/** Codes that are answered as data, and the member of the unions that each becomes. Others stay GraphQL errors. */
const errorCodes = {
  VALIDATION_FAILED: ['CustomerValidationError', 'The input is not acceptable; see `issues`. Nothing was changed.'],
  ALREADY_EXISTS: ['CustomerAlreadyExistsError', 'The object reference id is taken. Nothing was changed.'],
  NOT_FOUND: ['CustomerNotFoundError', 'There is no such customer. Nothing was changed.'],
  OUTCOME_UNKNOWN: [
    'CustomerOutcomeUnknownError',
    'A write was sent and no answer came back: it may or may not have happened. Sending it again is safe.',
  ],
  RATE_LIMITED: ['CustomerUpstreamError', 'The provider takes no more calls at the moment. Nothing was changed.'],
  UPSTREAM_TIMEOUT: ['CustomerUpstreamError', 'Time ran out before anything was sent. Nothing was changed.'],
  UPSTREAM_UNAVAILABLE: [
    'CustomerUpstreamError',
    'The provider could not be reached, or is busy with this customer. Nothing was changed.',
  ],
  UPSTREAM_REJECTED: ['CustomerUpstreamError', 'The provider refused for a reason that has no code of its own here.'],
  UPSTREAM_MALFORMED: ['CustomerUpstreamError', 'The provider answered with something that is no customer.'],
  UPSTREAM_MISCONFIGURED: [
    'CustomerUpstreamError',
    "The gateway's own key, merchant, address or IP allow-list is wrong: an operator must act.",
  ],
} as const satisfies Partial<Record<GatewayError['code'], readonly [CustomerErrorName, string]>>;

const issueCodes: Readonly<Record<IssueCode, string>> = {
  REQUIRED: 'Something must be given: an update holds at least one field.',
  TOO_SHORT: 'Fewer characters than the field takes.',
  TOO_LONG: 'More characters than the field takes.',
  INVALID_FORMAT: 'Characters or a shape that the field does not take; blank text anywhere.',
  NOT_CLEARABLE: '`null` was sent where a field can only be changed or left out.',
  REJECTED_BY_PROVIDER: 'The gateway would have taken it; the provider did not.',
};

const origins: Readonly<Record<CreateOrigin, string>> = {
  CREATED: 'This call made the customer.',
  RECONCILED:
    "The provider's answer to an earlier attempt of this call was lost; the customer was found to exist with this data.",
};

/**
 * An expected failure as the member of the union that tells it.
 *
 * @throws the error itself when it is none that a mutation answers as data.
 */
export function asData(error: unknown, input?: NewCustomer): Failure {
  if (!(error instanceof GatewayError)) throw error;
  const [typename] = (errorCodes as Partial<Record<string, readonly [CustomerErrorName, string]>>)[error.code] ?? [];
  if (typename === undefined) throw error;
  return { __typename: typename, error, ...(input !== undefined && { input }) };
}

/** The two result unions and all of their members. */
export function defineResults(builder: Builder, CustomerRef: CustomerRef) {
  const ErrorCode = builder.enumType('CustomerErrorCode', {
    description: 'Why a mutation did not succeed. Programs decide by this, never by the message.',
    values: Object.fromEntries(Object.entries(errorCodes).map(([code, [, description]]) => [code, { description }])),
  });
  const CustomerError = builder.interfaceRef<Failure>('CustomerError').implement({
    description: 'Every expected failure of a mutation. Use it as the fallback fragment.',
    fields: (t) => ({
      code: t.field({
        type: ErrorCode,
        nullable: false,
        description: 'What went wrong, for programs.',
        resolve: ({ error }) => error.code,
      }),
      message: t.string({
        nullable: false,
        description: 'For developers; programs decide by `code`. Holds nothing that was sent.',
        resolve: ({ error }) => error.message,
      }),
      retryable: t.boolean({
        nullable: false,
        description: 'True when sending the very same request again can help and cannot do harm.',
        resolve: ({ error }) => error.retryable,
      }),
      requestId: t.string({
        nullable: false,
        description: "The operation's id in the gateway's logs: survives routers that drop response headers.",
        resolve: (_failure, _args, { requestId }) => requestId,
      }),
    }),
  });
  const failure = (name: CustomerErrorName, description: string) =>
    builder.objectRef<Failure>(name).implement({ interfaces: [CustomerError], description });

  const IssueCodes = builder.enumType('CustomerValidationIssueCode', {
    description: 'What is wrong with one field.',
    values: Object.fromEntries(Object.entries(issueCodes).map(([code, description]) => [code, { description }])),
  });
  const IssueRef = builder.objectRef<Issue>('CustomerValidationIssue').implement({
    description: 'One thing that is wrong with the input.',
    fields: (t) => ({
      path: t.exposeStringList('path', {
        nullable: false,
        description: 'Where it stands among the arguments: for example `["input", "mobileNumber"]`.',
      }),
      code: t.field({
        type: IssueCodes,
        nullable: false,
        description: 'What is wrong, for programs.',
        resolve: ({ code }) => code,
      }),
      message: t.exposeString('message', {
        nullable: false,
        description: 'What is wrong, for developers. Holds nothing that was sent.',
      }),
    }),
  });

  const ValidationError = failure('CustomerValidationError', 'All that is wrong with the input, at once.');
  builder.objectField(ValidationError, 'issues', (t) =>
    t.field({
      type: [IssueRef],
      nullable: false,
      description: 'At least one. Checked before anything is sent; `REJECTED_BY_PROVIDER` comes from the provider.',
      resolve: ({ error }) => (error instanceof CustomerInvalidError ? [...error.issues] : []),
    }),
  );

  const AlreadyExistsError = builder.objectRef<AlreadyExists>('CustomerAlreadyExistsError').implement({
    interfaces: [CustomerError],
    description: 'Another customer, or an earlier send of this very create, holds the object reference id.',
    fields: (t) => ({
      existing: t.field({
        type: CustomerRef,
        description:
          'The customer that holds the reference; null when the caller may not read it. Costs an upstream read only if selected.',
        resolve: (failed, _args, context, info) => existing(failed, context, tokenOption(context, info)),
      }),
      differingFields: t.stringList({
        description: [
          'Names of the input fields whose stored value differs; values are not disclosed. Null when it could not be found out or',
          'the caller may not read the customer. Costs an upstream read only if selected.',
        ].join('\n'),
        resolve: async (failed, _args, context) => {
          const stored = await existing(failed, context);
          return stored && differingFields(failed.input, stored);
        },
      }),
    }),
  });
  const NotFoundError = failure('CustomerNotFoundError', 'There is no customer of this id that you may change.');
  const OutcomeUnknownError = failure(
    'CustomerOutcomeUnknownError',
    'The write was sent, and within the deadline nobody could tell whether it happened. Send the very same request again: that is safe.',
  );
  const UpstreamError = failure('CustomerUpstreamError', 'The provider did not do it, and nothing was changed.');
  builder.objectField(UpstreamError, 'retryAfterSeconds', (t) =>
    t.int({
      description: "From the provider's `Retry-After`, where it sent one.",
      resolve: ({ error }) => error.retryAfterSeconds,
    }),
  );

  const Origin = builder.enumType('CreateCustomerOrigin', {
    description: 'How a create is known to have happened.',
    values: Object.fromEntries(Object.entries(origins).map(([origin, description]) => [origin, { description }])),
  });
  const customerField = { type: CustomerRef, nullable: false as const };
  const CreateSuccess = builder
    .objectRef<Success<'CreateCustomerSuccess'> & { origin: CreateOrigin }>('CreateCustomerSuccess')
    .implement({
      description: 'The customer exists, once, with the data that was sent.',
      fields: (t) => ({
        customer: t.field({
          ...customerField,
          description: 'The customer as the provider stores it.',
          resolve: ({ customer }) => customer,
        }),
        origin: t.field({
          type: Origin,
          nullable: false,
          description: 'How it is known to exist.',
          resolve: ({ origin }) => origin,
        }),
      }),
    });
  const UpdateSuccess = builder.objectRef<Success<'UpdateCustomerSuccess'>>('UpdateCustomerSuccess').implement({
    description: 'The customer holds the values that were sent.',
    fields: (t) => ({
      customer: t.field({
        ...customerField,
        description:
          'The customer after the change. Selecting `clientAuthToken` below it costs one more read: an update grants none.',
        resolve: ({ customer }) => customer,
      }),
    }),
  });

  return {
    CreateResult: builder.unionType('CreateCustomerResult', {
      description: 'What became of a create.',
      types: [CreateSuccess, ValidationError, AlreadyExistsError, OutcomeUnknownError, UpstreamError],
      resolveType: ({ __typename }) => __typename,
    }),
    UpdateResult: builder.unionType('UpdateCustomerResult', {
      description: 'What became of an update.',
      types: [UpdateSuccess, ValidationError, NotFoundError, OutcomeUnknownError, UpstreamError],
      resolveType: ({ __typename }) => __typename,
    }),
  };
}

/** The stored customer, for whom it is of use; what cannot be found out is null, without an error. */
async function existing({ input }: AlreadyExists, { caller, customers }: OperationContext, options: ReadOptions = {}) {
  if (!caller.scopes.has('customer:read')) return null;
  return customers.get({ reference: input.objectReferenceId }, options).catch(() => null);
}
