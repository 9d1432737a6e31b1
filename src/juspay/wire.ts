import { z } from 'zod';
import type { ClientAuthToken, Customer } from '../customers/customer.ts';
import type { CustomerChanges, NewCustomer } from '../customers/input.ts';
import { decodeDate } from './dates.ts';

/** The provider's option: one literal key with a dot, both in a query and in a form. */
const tokenOption = 'options.get_client_auth_token';

/** The fields of a write: the gateway's name ↔ the provider's name. */
const fieldNames = {
  objectReferenceId: 'object_reference_id',
  mobileNumber: 'mobile_number',
  emailAddress: 'email_address',
  firstName: 'first_name',
  lastName: 'last_name',
  mobileCountryCode: 'mobile_country_code',
} as const;

const inputNames: ReadonlyMap<string, string> = new Map(
  Object.entries(fieldNames).map(([ours, theirs]) => [theirs, ours]),
);

/** In code points: twice the documented length. Bounds the size of responses, because an id cannot be replaced by null. */
const maxIdentifierLength = 256;

/** Text, or a safe integer. A larger integer was rounded and would identify another customer. */
const identifier = z.union([z.string().refine(isShort), z.int().transform(String)]).nullish();

/** The identifiers of the provider's customer object. They are strict: text, a safe integer, or nothing. */
const WireIdentifiers = z.object({
  /** The id, as named in the API document. */
  customer_id: identifier,
  /** The id, as named in real responses. One of the two must be present. */
  id: identifier,
  object_reference_id: identifier,
});

/**
 * The other fields. They are decoded one by one: a field of an unexpected type counts as absent and does not affect the others. In the
 * schema they would cost 1 kB for each response.
 */
interface WireFields {
  readonly first_name?: unknown;
  readonly last_name?: unknown;
  readonly email_address?: unknown;
  readonly mobile_number?: unknown;
  readonly mobile_country_code?: unknown;
  readonly date_created?: unknown;
  /** The spelling of real responses, which is preferred. */
  readonly last_updated?: unknown;
  /** The spelling of the API document. */
  readonly last_udpated?: unknown;
  readonly juspay?: unknown;
}

/** Absent, `null`, `{}` and a half-filled block all mean that there is no token. */
const WireToken = z.object({
  client_auth_token: z.unknown().optional(),
  client_auth_token_expiry: z.unknown().optional(),
});

/**
 * Decodes the provider's customer object.
 *
 * @param withClientAuthToken whether the token was requested. A token that was not requested is dropped.
 * @param onUnreadable called with the provider's name of each field that is present but cannot be decoded.
 * @returns `undefined` if the body is not a customer: no id, or two different ids.
 * @see Customer APIs 3.2, "Response for Customer APIs"
 */
export function decodeCustomer(
  body: unknown,
  withClientAuthToken: boolean,
  onUnreadable: (field: string) => void,
): Customer | undefined {
  const parsed = WireIdentifiers.safeParse(body);
  if (!parsed.success) return undefined;
  const { customer_id: documentedId, id: usualId, object_reference_id: reference } = parsed.data;
  const id = documentedId || usualId;
  if (!id || (documentedId && usualId && documentedId !== usualId)) return undefined;
  const wire = body as WireFields;

  const customer = {
    id,
    objectReferenceId: reference || null,
    firstName: read('first_name', wire.first_name, decodeText, onUnreadable),
    lastName: read('last_name', wire.last_name, decodeText, onUnreadable),
    emailAddress: read('email_address', wire.email_address, decodeText, onUnreadable),
    mobileNumber: read('mobile_number', wire.mobile_number, decodeText, onUnreadable),
    // One official sample shows "+65".
    mobileCountryCode: withoutPlus(read('mobile_country_code', wire.mobile_country_code, decodeText, onUnreadable)),
    dateCreated: read('date_created', wire.date_created, decodeDate, onUnreadable),
    lastUpdated: read('last_updated', wire.last_updated || wire.last_udpated, decodeDate, onUnreadable),
  };
  if (!withClientAuthToken) return customer;
  return { ...customer, clientAuthToken: read('juspay', wire.juspay, decodeToken, onUnreadable) };
}

/** Checks the UTF-16 length first: counting the code points of each id took 0.4 µs, and would take long for long text. */
function isShort(text: string): boolean {
  const { length } = text;
  return (
    length <= maxIdentifierLength || (length <= 2 * maxIdentifierLength && [...text].length <= maxIdentifierLength)
  );
}

/** `null` if the field is absent or unreadable. A function of its own: a closure would be allocated for each response. */
function read<Value>(
  field: string,
  value: unknown,
  decode: (value: unknown) => Value | undefined,
  onUnreadable: (field: string) => void,
): Value | null {
  if (value === undefined || value === null || value === '') return null;
  const decoded = decode(value);
  if (decoded === undefined) onUnreadable(field);
  return decoded ?? null;
}

function withoutPlus(code: string | null): string | null {
  return (code?.startsWith('+') ? code.slice(1) : code) || null;
}

/** Accepts safe integers as text: some services return numbers. */
function decodeText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return Number.isSafeInteger(value) ? String(value) : undefined;
}

function decodeToken(value: unknown): ClientAuthToken | undefined {
  const parsed = WireToken.safeParse(value);
  if (!parsed.success) return undefined;
  const token = decodeText(parsed.data.client_auth_token);
  const expiresAt = decodeDate(parsed.data.client_auth_token_expiry);
  return token && expiresAt ? { token, expiresAt } : undefined;
}

/**
 * The path of one customer.
 *
 * @param segment the id, percent-encoded, so that it is exactly one segment. It must be a valid path id.
 */
export function customerPath(segment: string, withClientAuthToken = false): string {
  return withClientAuthToken ? `/customers/${segment}?${tokenOption}=true` : `/customers/${segment}`;
}

/** Encodes the present fields with the provider's names, and the option if the token is requested. */
export function encodeForm(fields: NewCustomer | CustomerChanges, withClientAuthToken = false): string {
  const form = new URLSearchParams();
  for (const [ours, theirs] of Object.entries(fieldNames)) {
    const value = (fields as Partial<Record<string, string>>)[ours];
    if (value !== undefined) form.append(theirs, value);
  }
  if (withClientAuthToken) form.append(tokenOption, 'true');
  return form.toString();
}

/** The path, in the mutation's arguments, of a field that the provider rejects. Unknown fields map to the whole input. */
export function inputPath(field: string, operation: 'create' | 'update'): readonly string[] {
  if (operation === 'update' && (field === 'customer_id' || field === 'id')) return ['id'];
  const ours = inputNames.get(field);
  if (ours === undefined || (operation === 'update' && ours === 'objectReferenceId')) return ['input'];
  return ['input', ours];
}
