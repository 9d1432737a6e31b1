import { z } from 'zod';
import { GatewayError } from './errors.ts';

/** A payer known to the provider, in the gateway's spelling. `null` is what the provider does not tell. */
export interface Customer {
  /** Given by the provider: opaque, case-sensitive, never empty. */
  readonly id: string;
  /** The merchant's own identifier, unique per merchant. */
  readonly objectReferenceId: string | null;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly emailAddress: string | null;
  /** National number: digits only. */
  readonly mobileNumber: string | null;
  /** Calling code: digits only. */
  readonly mobileCountryCode: string | null;
  readonly dateCreated: Date | null;
  readonly lastUpdated: Date | null;
  /** `undefined`: nobody asked for it; `null`: asked for, and the provider gave none. */
  readonly clientAuthToken?: ClientAuthToken | null;
}

/** A short-lived credential for the provider's client SDK. */
export interface ClientAuthToken {
  readonly token: string;
  /** An upper bound: the provider may end a token earlier. */
  readonly expiresAt: Date;
}

/** How a customer is named: by either identifier (as the provider's path takes them), or by one of the two alone. */
export type CustomerKey = { readonly any: string } | { readonly id: string } | { readonly reference: string };

export interface ReadOptions {
  /** Asks the provider to mint a client auth token with the answer. Default `false`. */
  readonly withClientAuthToken?: boolean;
}

/** How a create came to be known as done: by its own answer, or found after that answer was lost. */
export type CreateOrigin = 'CREATED' | 'RECONCILED';

/**
 * All that can be done with customers. The HTTP client is one; every layer between it and the resolvers takes one and
 * is one; a test hands in its own.
 */
export interface CustomerApi {
  /**
   * Reads one customer.
   *
   * @param key `any`: the provider's id or the merchant's reference. `id`, `reference`: that one only; a customer that
   *   answers to the string by its other identifier counts as none.
   * @returns the customer, or `null` when the provider says that there is none.
   * @throws GatewayError `BAD_USER_INPUT` for a string that cannot be a path id; `UPSTREAM_TIMEOUT`,
   *   `UPSTREAM_UNAVAILABLE`, `UPSTREAM_REJECTED`, `UPSTREAM_MALFORMED`, `UPSTREAM_MISCONFIGURED`, `RATE_LIMITED`;
   *   `OPERATION_TOO_COMPLEX` beyond the reads one operation may cost.
   */
  get(key: CustomerKey, options?: ReadOptions): Promise<Customer | null>;

  /**
   * Creates one customer, once: an unknown outcome is settled by reading back, never by posting blindly again.
   *
   * @throws GatewayError as `get`, and `ALREADY_EXISTS`, `VALIDATION_FAILED` (a {@link CustomerInvalidError}),
   *   `OUTCOME_UNKNOWN`.
   */
  create(input: NewCustomer, options?: ReadOptions): Promise<{ customer: Customer; origin: CreateOrigin }>;

  /**
   * Changes the fields that are present. The customer that comes back never carries a token.
   *
   * @param id the provider's id or the merchant's reference.
   * @throws GatewayError as `get`, and `NOT_FOUND`, `VALIDATION_FAILED`, `OUTCOME_UNKNOWN`.
   */
  update(id: string, changes: CustomerChanges): Promise<Customer>;
}

/** What every call to the provider carries. */
export interface Operation {
  /** The id under which this operation is found in the log. */
  readonly requestId: string;
  /** On the monotonic clock of `performance.now()`, in ms. Attempts, retries and waiting all fit inside it. */
  readonly deadlineAtMs: number;
  /** Aborted when nobody waits for the answer any more. Stops reads; a write that was sent goes on. */
  readonly signal: AbortSignal;
}

export type IssueCode =
  | 'REQUIRED'
  | 'TOO_SHORT'
  | 'TOO_LONG'
  | 'INVALID_FORMAT'
  | 'NOT_CLEARABLE'
  | 'REJECTED_BY_PROVIDER';

/** One thing that is wrong with an input. */
export interface Issue {
  /** For example `['input', 'mobileNumber']`. */
  readonly path: readonly string[];
  readonly code: IssueCode;
  readonly message: string;
}

/** All that is wrong with an input, at once. */
export class CustomerInvalidError extends GatewayError {
  readonly issues: readonly Issue[];

  constructor(issues: readonly Issue[], cause?: unknown) {
    super('VALIDATION_FAILED', { cause });
    this.name = 'CustomerInvalidError';
    this.issues = issues;
  }
}

/** Characters that no text of a customer may hold: control, unpaired surrogates, line and paragraph separators. */
const unprintable = /[\p{Cc}\p{Cs}\u2028\u2029]/u;
/** What could pass for an id of the provider's: a merchant's reference must not. */
const providerIdShape = /^c(?:st|th)_[A-Za-z0-9]{16,17}$/;
/** The provider's documented characters; the local part may not begin or end with `_` or `.`. */
const emailShape =
  /^(?![_.])[A-Za-z0-9!#$%&'*+\-/=?^_.{|}~`]*[A-Za-z0-9!#$%&'*+\-/=?^{|}~`]@[A-Za-z0-9!#$%&'*+\-/=?^_.{|}~`]+$/;

const pathIdMaxLength = 128;

/** In code points, as the provider counts. */
function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

interface TextRule {
  min?: number;
  max: number;
  shape?: RegExp;
  /** What the field must look like, for the message. */
  hint: string;
  refuse?: (text: string) => boolean;
}

/** A text field whose zod issues carry an {@link IssueCode} in `params.code`. `""` and blanks are one format issue. */
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

/** `null` becomes an issue of its own: the provider cannot clear a field. */
const changed = <Field extends z.ZodType<string, string>>(field: Field) =>
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
 * What a create takes. Isomorphic: forms may use it as it is. An optional field may be `null`, which counts as absent;
 * one leading `+` is taken off the country code. Issues carry an {@link IssueCode} in `params.code`.
 */
export const NewCustomerSchema = z.strictObject({
  /** 8 is the provider's documented minimum for new references; older, shorter ones can still be read. */
  objectReferenceId: text({
    min: 8,
    max: pathIdMaxLength,
    hint: 'printable text that cannot be taken for an id of the provider',
    refuse: (value) => providerIdShape.test(value),
  }),
  mobileNumber: fields.mobileNumber,
  /** The provider's current pages call it optional; its seed document, and so this gateway, requires it. */
  emailAddress: fields.emailAddress,
  firstName: fields.firstName.nullish(),
  lastName: fields.lastName.nullish(),
  mobileCountryCode: fields.mobileCountryCode.nullish(),
});

/** What an update takes: at least one field, none of them `null`. Isomorphic, as {@link NewCustomerSchema}. */
export const CustomerChangesSchema = z
  .strictObject({
    mobileNumber: changed(fields.mobileNumber),
    emailAddress: changed(fields.emailAddress),
    firstName: changed(fields.firstName),
    lastName: changed(fields.lastName),
    mobileCountryCode: changed(fields.mobileCountryCode),
  })
  .check((context) => {
    if (Object.values(context.value).some((value) => value !== undefined)) return;
    const message = 'Must hold at least one field to change.';
    context.issues.push({ code: 'custom', message, params: { code: 'REQUIRED' }, input: context.value });
  });

/** A customer to be made, checked: only the fields that are present. */
export type NewCustomer = Present<z.output<typeof NewCustomerSchema>>;
/** Changes to a customer, checked: only the fields that are present, at least one. */
export type CustomerChanges = Present<z.output<typeof CustomerChangesSchema>>;

type Present<Fields> = {
  readonly [Name in keyof Fields as undefined extends Fields[Name] ? never : Name]: Fields[Name];
} & { readonly [Name in keyof Fields as undefined extends Fields[Name] ? Name : never]?: NonNullable<Fields[Name]> };

/** @throws CustomerInvalidError with all issues, their paths below `["input"]`. */
export function decodeNewCustomer(input: unknown): NewCustomer {
  const { value, issues } = check(NewCustomerSchema, input);
  if (value === undefined) throw new CustomerInvalidError(issues);
  return present(value);
}

/**
 * @param id as the caller gave it; it must be a possible path id.
 * @throws CustomerInvalidError with all issues of both, at `["id"]` and below `["input"]`.
 */
export function decodeCustomerUpdate(id: string, input: unknown): { id: string; changes: CustomerChanges } {
  const { value, issues } = check(CustomerChangesSchema, input);
  if (!isPathId(id)) {
    issues.unshift({ path: ['id'], code: 'INVALID_FORMAT', message: 'Cannot be the id or the reference of a customer.' });
  }
  if (value === undefined || issues.length > 0) throw new CustomerInvalidError(issues);
  return { id, changes: present(value) };
}

/**
 * Whether a string can stand in the path of a call: 1 to 128 code points, not blank, no control characters, no
 * unpaired surrogates, not `.` or `..` (URL parsers fold those away even when percent-encoded, and the call would land
 * on another resource). Nothing is trimmed.
 */
export function isPathId(id: string): boolean {
  if (id === '.' || id === '..' || id.trim() === '' || /[\p{Cc}\p{Cs}]/u.test(id)) return false;
  return id.length <= pathIdMaxLength || lengthOf(id) <= pathIdMaxLength;
}

/** Whether a string has the shape of an id that the provider gives; nothing but the provider knows whether it is one. */
export function looksLikeProviderId(id: string): boolean {
  return providerIdShape.test(id);
}

/** Whether a customer answers to `key`. References compare without ASCII case and outer blanks, ids exactly. */
export function answersTo(customer: Customer, key: CustomerKey): boolean {
  if ('id' in key) return customer.id === key.id;
  if ('reference' in key) return hasReference(customer, key.reference);
  return customer.id === key.any || hasReference(customer, key.any);
}

/** The string of a key, as it stands in the path. */
export function pathIdOf(key: CustomerKey): string {
  if ('id' in key) return key.id;
  return 'reference' in key ? key.reference : key.any;
}

/** Names of the sent fields whose stored value is another one, compared as text. */
export function differingFields(sent: NewCustomer | CustomerChanges, stored: Customer): string[] {
  return Object.entries(sent)
    .filter(([name, value]) => stored[name as keyof CustomerChanges] !== value)
    .map(([name]) => name);
}

/** A reference without ASCII case and outer blanks: two that fold to one may be one customer to the provider. */
export function foldReference(reference: string): string {
  return reference.trim().replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function hasReference(customer: Customer, reference: string): boolean {
  const own = customer.objectReferenceId;
  return own !== null && (own === reference || foldReference(own) === foldReference(reference));
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
