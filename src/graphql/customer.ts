import type { GraphQLResolveInfo } from 'graphql';
import type { ClientAuthToken, Customer } from '../customers/customer.ts';
import { GatewayError } from '../errors.ts';
import type { Builder } from './builder.ts';
import type { OperationContext } from './context.ts';
import { type Steps, selects } from './selection.ts';

/** Maximum number of ids in one `customers` field. */
const maxIds = 100;

/** The largest `Int` of GraphQL. */
const maxInt = 2 ** 31 - 1;

export type CustomerRef = ReturnType<typeof defineCustomer>;

/** Defines the types `Customer` and `ClientAuthToken`. */
export function defineCustomer(builder: Builder) {
  const ClientAuthTokenRef = builder.objectRef<ClientAuthToken>('ClientAuthToken').implement({
    description:
      "A short-lived bearer credential for the provider's client SDK. Pass it to the SDK. Do not store or log it.",
    fields: (t) => ({
      token: t.exposeString('token', {
        nullable: false,
        description: 'The credential. Upstream: `juspay.client_auth_token`.',
      }),
      expiresAt: t.expose('expiresAt', {
        type: 'DateTime',
        nullable: false,
        description:
          'Expiry of the token. The provider may revoke it earlier. Upstream: `juspay.client_auth_token_expiry`.',
      }),
      expiresInSeconds: t.int({
        nullable: false,
        description:
          'Seconds until expiry at the time of the response, rounded down. Independent of the clock of the client. 0 if the token is expired.',
        resolve: ({ expiresAt }) =>
          Math.min(maxInt, Math.max(0, Math.floor((expiresAt.getTime() - Date.now()) / 1000))),
      }),
    }),
  });

  return builder.objectRef<Customer>('Customer').implement({
    description:
      'A customer of the payment provider. A field is null if the provider sends no value, null or an empty value.',
    fields: (t) => ({
      id: t.exposeID('id', {
        nullable: false,
        description:
          'Identifier assigned by the provider, opaque and case-sensitive. Upstream: `customer_id`, in real responses `id`.',
      }),
      objectReferenceId: t.exposeString('objectReferenceId', {
        description: 'Your own identifier for the customer, unique per merchant. Upstream: `object_reference_id`.',
      }),
      firstName: t.exposeString('firstName', { description: 'Given name, unchanged. Upstream: `first_name`.' }),
      lastName: t.exposeString('lastName', { description: 'Family name, unchanged. Upstream: `last_name`.' }),
      emailAddress: t.exposeString('emailAddress', {
        description: 'E-mail address, unchanged. Upstream: `email_address`.',
      }),
      mobileNumber: t.exposeString('mobileNumber', {
        description: 'National number: digits only, without plus sign and calling code. Upstream: `mobile_number`.',
      }),
      mobileCountryCode: t.exposeString('mobileCountryCode', {
        description:
          'Calling code: digits only, without plus sign. The gateway removes one leading plus sign from an input. The provider sets `91` if a create sends none. Upstream: `mobile_country_code`.',
      }),
      dateCreated: t.expose('dateCreated', {
        type: 'DateTime',
        description: 'Time of creation. Upstream: `date_created`.',
      }),
      lastUpdated: t.expose('lastUpdated', {
        type: 'DateTime',
        description: 'Time of the last change. Upstream: `last_updated` (`last_udpated` in the API document).',
      }),
      clientAuthToken: t.field({
        type: ClientAuthTokenRef,
        authScopes: { scope: 'customer:token' },
        description: [
          'Selecting this field has a side effect, also in a query: the provider creates a token. Tools that take queries for read-only',
          "must not select it. It is a short-lived credential for the provider's client SDK. The gateway requests a token",
          '(`options.get_client_auth_token`) only if this field is selected. A read or a create gets it with the same upstream call. After an update it costs one more',
          'read. Tokens are never cached, shared between callers or logged. Requires the scope `customer:token`. If the provider',
          'returns no token, only this field is null, with the error code `CLIENT_AUTH_TOKEN_UNAVAILABLE`.',
        ].join('\n'),
        resolve: ({ id, clientAuthToken }, _args, { customers }) =>
          // `undefined`: not requested yet, for example after an update. `null`: requested, but not granted.
          // A known token is returned without a promise, because one response can contain it thousands of times.
          clientAuthToken === undefined
            ? customers
                .get({ id }, { withClientAuthToken: true })
                .then((customer) => granted(customer?.clientAuthToken))
            : granted(clientAuthToken),
      }),
    }),
  });
}

function granted(token: Customer['clientAuthToken']): ClientAuthToken {
  if (token instanceof GatewayError) throw token;
  if (token == null) throw new GatewayError('CLIENT_AUTH_TOKEN_UNAVAILABLE');
  return token;
}

/** Defines the three reads. */
export function defineQueries(builder: Builder, CustomerRef: CustomerRef): void {
  const errors =
    'Errors: `BAD_USER_INPUT` for an invalid id (blank, over 128 characters, `.`, `..`, control characters), `RATE_LIMITED`, `UPSTREAM_…`.';
  const authScopes = { scope: 'customer:read' } as const;

  builder.queryType({
    description: 'Reads. A customer costs one upstream call per operation, even if several fields read it.',
    fields: (t) => ({
      customer: t.field({
        type: CustomerRef,
        authScopes,
        description: `Reads one customer by the provider's id or by your object reference id. Null if it does not exist or you may not read it.\n${errors}`,
        args: {
          id: t.arg.id({
            required: true,
            description: "The provider's id or your object reference id. It is not trimmed.",
          }),
        },
        resolve: (_root, { id }, context, info) => context.customers.get({ any: id }, tokenOption(context, info)),
      }),
      customerByReference: t.field({
        type: CustomerRef,
        authScopes,
        description: `Reads one customer by your object reference id only. Null if it does not exist or you may not read it.\n${errors}`,
        args: {
          objectReferenceId: t.arg.string({ required: true, description: 'Your own identifier for the customer.' }),
        },
        resolve: (_root, { objectReferenceId }, context, info) =>
          context.customers.get({ reference: objectReferenceId }, tokenOption(context, info)),
      }),
      customers: t.field({
        type: [CustomerRef],
        authScopes,
        nullable: { list: true, items: true },
        description: `Reads up to ${maxIds} customers. The list has the order of \`ids\`. An item is null if the customer does not exist or you may not read it. If a read fails, only its item is null, with an error.\n${errors}`,
        args: {
          ids: t.arg.idList({
            required: true,
            description: `Up to ${maxIds} provider ids or object reference ids. A repeated id costs no further call.`,
          }),
        },
        resolve: (_root, { ids }, context, info) => {
          if (ids.length > maxIds)
            throw new GatewayError('BAD_USER_INPUT', { message: `The argument ids accepts at most ${maxIds} values.` });
          const options = tokenOption(context, info);
          // A rejected item fails alone.
          return ids.map((id) => context.customers.get({ any: id }, options));
        },
      }),
    }),
  });
}

/**
 * Decides whether an upstream call requests a token: the token is selected and the caller has the scope. The scope check
 * is repeated here because the call is made before the check of the field runs.
 *
 * @param path the fields from the return type of the resolver to the token: a constant array, see `selects`.
 */
export function tokenOption(
  { caller }: OperationContext,
  info: GraphQLResolveInfo,
  path: Steps = tokenOfCustomer,
): { withClientAuthToken: boolean } {
  return { withClientAuthToken: caller.scopes.has('customer:token') && selects(info, path) };
}

const tokenOfCustomer: Steps = ['Customer.clientAuthToken'];
export const tokenOfCreated: Steps = ['CreateCustomerSuccess.customer', 'Customer.clientAuthToken'];
