import { z } from 'zod';
import { GatewayError } from '../errors.ts';
import { isPathId, lengthOf, looksLikeProviderId, pathIdMaxLength } from './identity.ts';

export type IssueCode =
  | 'REQUIRED'
  | 'TOO_SHORT'
  | 'TOO_LONG'
  | 'INVALID_FORMAT'
  | 'NOT_CLEARABLE'
  | 'REJECTED_BY_PROVIDER';

/** One problem of an input. */
export interface Issue {
  /** For example `['input', 'mobileNumber']`. */
  readonly path: readonly string[];
  readonly code: IssueCode;
  readonly message: string;
}

/** `VALIDATION_FAILED` with all problems of an input. */
export class CustomerInvalidError extends GatewayError {
  readonly issues: readonly Issue[];

  constructor(issues: readonly Issue[], cause?: unknown) {
    super('VALIDATION_FAILED', { cause });
    this.name = 'CustomerInvalidError';
    this.issues = issues;
  }
}

/** Characters that are invalid in every text field: control characters, unpaired surrogates, line and paragraph separators. */
const unprintable = /[\p{Cc}\p{Cs}\u2028\u2029]/u;
/** Characters that the provider documents. The local part must not begin or end with `_` or `.`. */
const emailShape =
  /^(?![_.])[A-Za-z0-9!#$%&'*+\-/=?^_.{|}~`]*[A-Za-z0-9!#$%&'*+\-/=?^{|}~`]@[A-Za-z0-9!#$%&'*+\-/=?^_.{|}~`]+$/;

interface TextRule {
  min?: number;
  max: number;
  shape?: RegExp;
  /** Describes the expected value in the message. */
  hint: string;
  refuse?: (text: string) => boolean;
}

/** A text field. Its zod issues have an {@link IssueCode} in `params.code`. Blank text gives one `INVALID_FORMAT` issue. */
function text({ min = 1, max, shape, hint, refuse }: TextRule) {
  return z.string().check((context) => {
    const value = context.value;
    const report = (code: IssueCode, message: string) =>
      context.issues.push({ code: 'custom', message, params: { code }, input: value });
    if (value.trim() === '') {
      report('INVALID_FORMAT', `Must not be blank: ${hint}.`);
      return;
    }
    const length = lengthOf(value);
    if (length < min) report('TOO_SHORT', `Must have at least ${min} characters.`);
    if (length > max) report('TOO_LONG', `Must have at most ${max} characters.`);
    if (unprintable.test(value) || (shape !== undefined && !shape.test(value)) || refuse?.(value)) {
      report('INVALID_FORMAT', `Must be ${hint}.`);
    }
  });
}

const fields = {
  mobileNumber: text({ max: 16, shape: /^[0-9]+$/, hint: '1 to 16 digits without plus sign and calling code' }),
  emailAddress: text({ max: 128, shape: emailShape, hint: 'an e-mail address' }),
  firstName: text({ max: 64, hint: 'printable text of at most 64 characters' }),
  lastName: text({ max: 64, hint: 'printable text of at most 64 characters' }),
  mobileCountryCode: z
    .string()
    .overwrite((code) => code.replace(/^\+/, ''))
    .pipe(text({ max: 4, shape: /^[0-9]+$/, hint: 'a calling code of 1 to 4 digits' })),
};

/** An optional field of an update. `null` gives the issue `NOT_CLEARABLE`, because the provider cannot clear a field. */
const changeOf = <Field extends z.ZodType<string, string>>(field: Field) =>
  z
    .string()
    .nullable()
    .transform((value, context) => {
      if (value !== null) return value;
      const message = 'Cannot be cleared: leave it out to keep its value.';
      context.issues.push({ code: 'custom', message, params: { code: 'NOT_CLEARABLE' }, input: value });
      return z.NEVER;
    })
    .pipe(field)
    .optional();

/**
 * Input of a create. It runs in browsers too, so forms can use it. `null` in an optional field counts as absent. One
 * leading `+` is removed from the country code. Issues have an {@link IssueCode} in `params.code`.
 */
export const NewCustomerSchema = z.strictObject({
  /** 8 is the provider's documented minimum for new references. Shorter references from earlier times can still be read. */
  objectReferenceId: text({
    min: 8,
    max: pathIdMaxLength,
    hint: 'printable text that does not have the format of a provider id',
    refuse: looksLikeProviderId,
  }),
  mobileNumber: fields.mobileNumber,
  /** The provider's current pages call it optional. The API document that this gateway follows requires it. */
  emailAddress: fields.emailAddress,
  firstName: fields.firstName.nullish(),
  lastName: fields.lastName.nullish(),
  mobileCountryCode: fields.mobileCountryCode.nullish(),
});

/** Input of an update: at least one field, none of them `null`. It runs in browsers too. */
export const CustomerChangesSchema = z
  .strictObject({
    mobileNumber: changeOf(fields.mobileNumber),
    emailAddress: changeOf(fields.emailAddress),
    firstName: changeOf(fields.firstName),
    lastName: changeOf(fields.lastName),
    mobileCountryCode: changeOf(fields.mobileCountryCode),
  })
  .check((context) => {
    if (Object.values(context.value).some((value) => value !== undefined)) return;
    const message = 'Must contain at least one field to change.';
    context.issues.push({ code: 'custom', message, params: { code: 'REQUIRED' }, input: context.value });
  });

/** Validated input of a create, with only the fields that are present. */
export type NewCustomer = Present<z.output<typeof NewCustomerSchema>>;
/** Validated input of an update, with only the fields that are present, at least one. */
export type CustomerChanges = Present<z.output<typeof CustomerChangesSchema>>;

type Present<Fields> = {
  readonly [Name in keyof Fields as undefined extends Fields[Name] ? never : Name]: Fields[Name];
} & { readonly [Name in keyof Fields as undefined extends Fields[Name] ? Name : never]?: NonNullable<Fields[Name]> };

/** @throws CustomerInvalidError with all issues. Their paths begin with `input`. */
export function decodeNewCustomer(input: unknown): NewCustomer {
  const { value, issues } = check(NewCustomerSchema, input);
  if (value === undefined) throw new CustomerInvalidError(issues);
  return present(value);
}

/**
 * @param id the provider's id or the merchant's reference, as the caller sent it.
 * @throws CustomerInvalidError with all issues. Their paths are `["id"]` or begin with `input`.
 */
export function decodeCustomerUpdate(id: string, input: unknown): { id: string; changes: CustomerChanges } {
  const { value, issues } = check(CustomerChangesSchema, input);
  if (!isPathId(id)) {
    issues.unshift({
      path: ['id'],
      code: 'INVALID_FORMAT',
      message: 'Is not a valid id or reference of a customer.',
    });
  }
  if (value === undefined || issues.length > 0) throw new CustomerInvalidError(issues);
  return { id, changes: present(value) };
}

function check<Schema extends z.ZodType>(schema: Schema, input: unknown) {
  const result = schema.safeParse(input, { reportInput: true });
  if (result.success) return { value: result.data, issues: [] as Issue[] };
  return { value: undefined, issues: result.error.issues.map(toIssue) };
}

function toIssue(issue: z.core.$ZodIssue): Issue {
  const path = ['input', ...issue.path.map(String)];
  if (issue.code === 'custom') {
    return { path, code: (issue.params as { code: IssueCode }).code, message: issue.message };
  }
  if (issue.code === 'invalid_type' && issue.input === undefined) {
    return { path, code: 'REQUIRED', message: 'Is required.' };
  }
  return { path, code: 'INVALID_FORMAT', message: 'Is not of the expected type.' };
}

function present<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== null),
  ) as Present<Fields>;
}
