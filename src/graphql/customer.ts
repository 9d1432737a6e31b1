import type { GraphQLResolveInfo } from 'graphql';
import type { ClientAuthToken, Customer } from '../customers/customer.ts';
import { GatewayError } from '../errors.ts';
import type { Builder } from './builder.ts';
import type { OperationContext } from './context.ts';
import { selects } from './selection.ts';

/** How many customers one `customers` field may ask for. */
const maxIds = 100;

/** The largest `Int` of GraphQL. */
const maxInt = 2 ** 31 - 1;

export type CustomerRef = ReturnType<typeof defineCustomer>;

/** The type `Customer` and its token. */
export function defineCustomer(builder: Builder) {
  const ClientAuthTokenRef = builder.objectRef<ClientAuthToken>('ClientAuthToken').implement({
    description:
      "A short-lived bearer credential for the provider's client SDK. Hand it to the SDK and forget it: never store it, never log it.",
    fields: (t) => ({
      token: t.exposeString('token', {
        nullable: false,
        description: 'The credential itself. Upstream: `juspay.client_auth_token`.',
      }),
      expiresAt: t.expose('expiresAt', {
        type: 'DateTime',
        nullable: false,
        description:
          'An upper bound: the provider may end a token earlier. Upstream: `juspay.client_auth_token_expiry`.',
      }),
      expiresInSeconds: t.int({
        nullable: false,
        description:
          'Whole seconds left when the gateway answered; safe against a wrong client clock. 0 when it is over.',
        resolve: ({ expiresAt }) =>
          Math.min(maxInt, Math.max(0, Math.floor((expiresAt.getTime() - Date.now()) / 1000))),
      }),
    }),
  });

  return builder.objectRef<Customer>('Customer').implement({
    description:
      'A payer known to the payment provider. What the provider does not tell (absent, null and empty alike) is null.',
    fields: (t) => ({
      id: t.exposeID('id', {
        nullable: false,
        description:
          'Identifier given by the provider, opaque and case-sensitive. Upstream: `customer_id`, in real answers `id`.',
      }),
      objectReferenceId: t.exposeString('objectReferenceId', {
        description: 'Your own identifier for this person, unique per merchant. Upstream: `object_reference_id`.',
      }),
      firstName: t.exposeString('firstName', { description: 'Given name, as it was sent. Upstream: `first_name`.' }),
      lastName: t.exposeString('lastName', { description: 'Family name, as it was sent. Upstream: `last_name`.' }),
      emailAddress: t.exposeString('emailAddress', {
        description: 'E-mail address, as it was sent. Upstream: `email_address`.',
      }),
      mobileNumber: t.exposeString('mobileNumber', {
        description: 'National number: digits only, no plus sign, no calling code. Upstream: `mobile_number`.',
      }),
      mobileCountryCode: t.exposeString('mobileCountryCode', {
        description:
          'Calling code: digits only, no plus sign (one leading plus sign in an input is taken off). The provider fills in `91` where a create sends none. Upstream: `mobile_country_code`.',
      }),
      dateCreated: t.expose('dateCreated', {
        type: 'DateTime',
        description: 'When the customer was created. Upstream: `date_created`.',
      }),
      lastUpdated: t.expose('lastUpdated', {
        type: 'DateTime',
        description:
          'When the customer was last changed. Upstream: `last_updated` (`last_udpated` in the API document).',
      }),
      clientAuthToken: t.field({
        type: ClientAuthTokenRef,
        authScopes: { scope: 'customer:token' },
        description: [
          "Short-lived credential for the provider's client SDK. Opt-in: selecting this field is what makes the gateway ask the",
          'provider for a token (`options.get_client_auth_token`); leaving it out costs nothing. On a read or a create it comes with',
          'the same upstream call; after an update it costs one more read. Never cached, never shared between callers, never logged.',
          'Needs the scope `customer:token`. Where the provider gives none, this field alone is null, with the error code',
          '`CLIENT_AUTH_TOKEN_UNAVAILABLE`.',
        ].join('\n'),
        resolve: ({ id, clientAuthToken }, _args, { customers }) =>
          // Look-ahead is thrift only. Absent: nobody asked yet (after an update, say); null: asked for, not granted.
          // A known token needs no promise: one answer may hold it thousands of times.
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

/** The three reads. */
export function defineQueries(builder: Builder, CustomerRef: CustomerRef): void {
  const errors =
    'Errors: `BAD_USER_INPUT` for what cannot be an id (blank, over 128 characters, `.`, `..`, control characters), `RATE_LIMITED`, `UPSTREAM_…`.';
  const authScopes = { scope: 'customer:read' } as const;

  builder.queryType({
    description:
      'Reads. Each costs one upstream call per distinct customer, however often it is asked for in one operation.',
    fields: (t) => ({
      customer: t.field({
        type: CustomerRef,
        authScopes,
        description: `One customer, by the provider's id or by your object reference id. Null when there is none that you may see.\n${errors}`,
        args: {
          id: t.arg.id({
            required: true,
            description: "The provider's id or your object reference id; taken as it is, never trimmed.",
          }),
        },
        resolve: (_root, { id }, context, info) => context.customers.get({ any: id }, tokenOption(context, info)),
      }),
      customerByReference: t.field({
        type: CustomerRef,
        authScopes,
        description: `One customer by your object reference id only. Null when there is none that you may see.\n${errors}`,
        args: {
          objectReferenceId: t.arg.string({ required: true, description: 'Your own identifier for this person.' }),
        },
        resolve: (_root, { objectReferenceId }, context, info) =>
          context.customers.get({ reference: objectReferenceId }, tokenOption(context, info)),
      }),
      customers: t.field({
        type: [CustomerRef],
        authScopes,
        nullable: { list: true, items: true },
        description: `Up to ${maxIds} customers in the order asked for, null where there is none that you may see. Each id as in \`customer\`; one that fails is null with an error of its own.\n${errors}`,
        args: {
          ids: t.arg.idList({
            required: true,
            description: `Up to ${maxIds} ids of the provider or object reference ids. Naming one twice costs nothing.`,
          }),
        },
        resolve: (_root, { ids }, context, info) => {
          if (ids.length > maxIds)
            throw new GatewayError('BAD_USER_INPUT', { message: `At most ${maxIds} ids can be asked for at once.` });
          const options = tokenOption(context, info);
          // An Error in a list is that item's error alone.
          return ids.map((id) => context.customers.get({ any: id }, options));
        },
      }),
    }),
  });
}

/**
 * Whether the provider is asked for a token: only where it is selected, and only for a caller that may have one, since
 * look-ahead runs before the field's own check.
 *
 * @param path the fields that lead from what the resolver returns to the customer.
 */
export function tokenOption(
  { caller }: OperationContext,
  info: GraphQLResolveInfo,
  path: readonly `${string}.${string}`[] = [],
): { withClientAuthToken: boolean } {
  return {
    withClientAuthToken: caller.scopes.has('customer:token') && selects(info, [...path, 'Customer.clientAuthToken']),
  };
}
