import type { GraphQLResolveInfo } from 'graphql';
import { decodeCustomerUpdate, decodeNewCustomer, type NewCustomer } from '../customers/input.ts';
import { GatewayError } from '../errors.ts';
import type { Builder } from './builder.ts';
import type { OperationContext } from './context.ts';
import { type CustomerRef, tokenOfCreated, tokenOption } from './customer.ts';
import { defineResults, toFailure } from './results.ts';
import { createRightsCheck } from './rights.ts';

/** Defines the two writes, their inputs and their results. */
export function defineMutations(builder: Builder, CustomerRef: CustomerRef): void {
  const { CreateResult, UpdateResult } = defineResults(builder, CustomerRef);
  const { CreateInput, UpdateInput } = defineInputs(builder);

  const authScopes = { scope: 'customer:write' } as const;
  const assertMayWrite = createRightsCheck();

  builder.mutationType({
    description:
      'Writes. Expected failures are part of the result: select `... on CustomerError { code message retryable }` as the fallback.',
    fields: (t) => ({
      createCustomer: t.field({
        type: CreateResult,
        authScopes,
        description: [
          'Creates a customer. It is safe to repeat: it never creates a second customer with the same reference. A repeat after a',
          'success returns CustomerAlreadyExistsError; if `differingFields` is empty, the stored customer has the data of the input.',
          'If the response of the provider is lost, the gateway reads the customer back before it responds.',
        ].join('\n'),
        args: { input: t.arg({ type: CreateInput, required: true, description: 'The data of the customer.' }) },
        resolve: (_root, args, context, info) =>
          recorded(context, info, args.input.objectReferenceId, args.input, async () => {
            assertMayWrite(context, info);
            let input: NewCustomer | undefined;
            try {
              input = decodeNewCustomer(args.input);
              const options = tokenOption(context, info, tokenOfCreated);
              const created = await context.customers.create(input, options);
              return { __typename: 'CreateCustomerSuccess' as const, ...created };
            } catch (error) {
              return toFailure(error, context, input);
            }
          }),
      }),
      updateCustomer: t.field({
        type: UpdateResult,
        authScopes,
        description: [
          "Changes only the fields that are present. `id` is the provider's id or your object reference id. An invalid id gives a",
          'validation issue with the path ["id"].',
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
              return toFailure(error, context);
            }
          }),
      }),
    }),
  });
}

/** Runs a write and writes its audit entry, also if the write fails. A replayed write has its entry already. */
async function recorded<Result extends object>(
  context: OperationContext,
  { fieldName }: GraphQLResolveInfo,
  subject: string,
  changed: object,
  write: () => Promise<Result>,
): Promise<Result> {
  const record = (outcome: string, isError = false) => {
    if (!context.write.isReplayed) context.audit({ field: fieldName, subject, changed, outcome, isError });
  };
  context.write.isSent = false;
  context.write.isReplayed = false;
  try {
    const result = await write();
    if ('error' in result && result.error instanceof GatewayError) record(result.error.code);
    else record('origin' in result ? String(result.origin) : 'UPDATED');
    return result;
  } catch (error) {
    record(error instanceof GatewayError ? error.code : 'INTERNAL_SERVER_ERROR', true);
    throw error;
  }
}

function defineInputs(builder: Builder) {
  const mobileNumber = 'National number: 1 to 16 digits, without plus sign and calling code.';
  const emailAddress =
    "Up to 128 characters. Letters, digits and !#$%&'*+-/=?^_.{|}~` are allowed before and after the @. It must not begin with `_` or `.`.";
  const name = 'Up to 64 printable characters.';
  const mobileCountryCode = 'Calling code: 1 to 4 digits. The gateway removes one leading plus sign.';
  return {
    CreateInput: builder.inputType('CreateCustomerInput', {
      description: 'The data of a new customer. Null in an optional field counts as absent. Blank text is invalid.',
      fields: (t) => ({
        objectReferenceId: t.string({
          required: true,
          description:
            'Your own identifier: 8 to 128 characters, unique per merchant. It must not have the format of a provider id (`cst_` or `cth_` and 16 or 17 letters or digits).',
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
        'At least one field. An absent field keeps its value. Null is invalid, because the provider cannot clear a field.',
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
