import type { GraphQLResolveInfo } from 'graphql';
import { decodeCustomerUpdate, decodeNewCustomer, type NewCustomer } from '../customers/input.ts';
import { GatewayError } from '../errors.ts';
import type { Builder } from './builder.ts';
import type { OperationContext } from './context.ts';
import { type CustomerRef, tokenOption } from './customer.ts';
import { asData, defineResults } from './results.ts';
import { createRightsCheck } from './rights.ts';

/** The two writes: inputs, results, and every failure that is expected of them. */
export function defineMutations(builder: Builder, CustomerRef: CustomerRef): void {
  const { CreateResult, UpdateResult } = defineResults(builder, CustomerRef);
  const { CreateInput, UpdateInput } = defineInputs(builder);

  const authScopes = { scope: 'customer:write' } as const;
  const assertMayWrite = createRightsCheck();

  builder.mutationType({
    description:
      'Writes. Expected failures are data: select `... on CustomerError { code message retryable }` as the fallback.',
    fields: (t) => ({
      createCustomer: t.field({
        type: CreateResult,
        authScopes,
        description: [
          'Safe to repeat: it never makes a second customer. A repeat of a create that is known to have happened is answered with',
          'CustomerAlreadyExistsError; no differing fields then means that the stored customer is exactly the one asked for.',
          'An answer of the provider that is lost is settled by reading back before this mutation answers.',
        ].join('\n'),
        args: { input: t.arg({ type: CreateInput, required: true, description: 'The customer to be made.' }) },
        resolve: (_root, args, context, info) =>
          recorded(context, info, args.input.objectReferenceId, args.input, async () => {
            assertMayWrite(context, info);
            let input: NewCustomer | undefined;
            try {
              input = decodeNewCustomer(args.input);
              const options = tokenOption(context, info, ['CreateCustomerSuccess.customer']);
              const created = await context.customers.create(input, options);
              return { __typename: 'CreateCustomerSuccess' as const, ...created };
            } catch (error) {
              return asData(error, input);
            }
          }),
      }),
      updateCustomer: t.field({
        type: UpdateResult,
        authScopes,
        description: [
          "Changes only the fields that are present. `id` is the provider's id or your object reference id; one that cannot be an id is",
          'a validation issue with the path ["id"].',
        ].join('\n'),
        args: {
          id: t.arg.id({ required: true, description: "The provider's id or your object reference id." }),
          input: t.arg({ type: UpdateInput, required: true, description: 'The fields to change, at least one.' }),
        },
        resolve: (_root, args, context, info) =>
          recorded(context, info, args.id, args.input, async () => {
            assertMayWrite(context, info);
            try {
              const { id, changes } = decodeCustomerUpdate(args.id, args.input);
              const customer = await context.customers.update(id, changes);
              return { __typename: 'UpdateCustomerSuccess' as const, customer };
            } catch (error) {
              return asData(error);
            }
          }),
      }),
    }),
  });
}

/** Every write leaves a line of audit, whatever becomes of it. */
async function recorded<Result extends object>(
  { audit }: OperationContext,
  { fieldName }: GraphQLResolveInfo,
  subject: string,
  changed: object,
  write: () => Promise<Result>,
): Promise<Result> {
  const record = (outcome: string) => audit({ field: fieldName, subject, changed, outcome });
  try {
    const result = await write();
    if ('error' in result && result.error instanceof GatewayError) record(result.error.code);
    else record('origin' in result ? String(result.origin) : 'UPDATED');
    return result;
  } catch (error) {
    record(error instanceof GatewayError ? error.code : 'INTERNAL_SERVER_ERROR');
    throw error;
  }
}

function defineInputs(builder: Builder) {
  const mobileNumber = 'National number: 1 to 16 digits, no plus sign, no calling code.';
  const emailAddress =
    "Up to 128 characters; letters, digits and !#$%&'*+-/=?^_.{|}~` before and after the @; it may not begin with `_` or `.`.";
  const name = 'Up to 64 printable characters.';
  const mobileCountryCode = 'Calling code: 1 to 4 digits; one leading plus sign is taken off.';
  return {
    CreateInput: builder.inputType('CreateCustomerInput', {
      description: 'A new customer. An optional field that is null counts as left out; blank text is refused.',
      fields: (t) => ({
        objectReferenceId: t.string({
          required: true,
          description:
            "8 to 128 characters, unique per merchant. It cannot have the shape of the provider's own ids (`cst_` or `cth_` and 16 or 17 letters or digits).",
        }),
        mobileNumber: t.string({ required: true, description: mobileNumber }),
        emailAddress: t.string({ required: true, description: emailAddress }),
        firstName: t.string({ description: name }),
        lastName: t.string({ description: name }),
        mobileCountryCode: t.string({ description: mobileCountryCode }),
      }),
    }),
    UpdateInput: builder.inputType('UpdateCustomerInput', {
      description:
        'At least one field. A field that is left out keeps its value; null is refused, since the provider cannot clear a field.',
      fields: (t) => ({
        mobileNumber: t.string({ description: mobileNumber }),
        emailAddress: t.string({ description: emailAddress }),
        firstName: t.string({ description: name }),
        lastName: t.string({ description: name }),
        mobileCountryCode: t.string({ description: mobileCountryCode }),
      }),
    }),
  };
}
