import { z } from 'zod';
import type { ClientAuthToken, Customer } from '../customers/customer.ts';
import type { CustomerChanges, NewCustomer } from '../customers/input.ts';

/** The option as the provider spells it: one literal key with a dot, in a query as in a form. */
const tokenOption = 'options.get_client_auth_token';

/** The gateway's names of the fields that a write may carry ↔ the provider's. */
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

/** Looked at field by field, so that one that is odd does not spoil the rest. */
const anything = z.unknown().optional();

/** In code points: twice what the provider documents. Ids cannot be null, so a longer one would make answers exceed their limit. */
const maxIdentifierLength = 256;

/** Text, or an integer that is exact as a number: a larger one was rounded, and would name somebody else. */
const identifier = z.union([z.string().refine(isShort), z.int().transform(String)]).nullish();

/**
 * The customer object, tolerantly. Identity is strict (text, an exact integer, or nothing); whatever else is of an unexpected type is
 * treated as not told. Unknown fields are dropped.
 */
const WireCustomer = z.object({
  /** The API document's name for the id … */
  customer_id: identifier,
  /** … and the name that real answers carry. One of the two must be there. */
  id: identifier,
  object_reference_id: identifier,
  first_name: anything,
  last_name: anything,
  email_address: anything,
  mobile_number: anything,
  mobile_country_code: anything,
  date_created: anything,
  /** What real answers carry, preferred to … */
  last_updated: anything,
  /** … the API document's spelling. */
  last_udpated: anything,
  juspay: anything,
});

/** Absent, `null`, `{}` and a half-filled block all mean that there is no token. */
const WireToken = z.object({ client_auth_token: anything, client_auth_token_expiry: anything });

/**
 * Reads the provider's customer object.
 *
 * @param withClientAuthToken whether the token was asked for; one that was not is dropped.
 * @param onOddity called with the provider's name of each field that was there but could not be read.
 * @returns `undefined` when it is no customer: no id, or two different ones.
 * @see Customer APIs 3.2, "Response for Customer APIs"
 */
export function decodeCustomer(
  body: unknown,
  withClientAuthToken: boolean,
  onOddity: (field: string) => void,
): Customer | undefined {
  const parsed = WireCustomer.safeParse(body);
  if (!parsed.success) return undefined;
  const wire = parsed.data;
  const id = wire.customer_id || wire.id;
  if (!id || (wire.customer_id && wire.id && wire.customer_id !== wire.id)) return undefined;

  const read = <Value>(field: string, value: unknown, decode: (value: unknown) => Value | undefined): Value | null => {
    if (value === undefined || value === null || value === '') return null;
    const decoded = decode(value);
    if (decoded === undefined) onOddity(field);
    return decoded ?? null;
  };
  const customer = {
    id,
    objectReferenceId: wire.object_reference_id || null,
    firstName: read('first_name', wire.first_name, decodeText),
    lastName: read('last_name', wire.last_name, decodeText),
    emailAddress: read('email_address', wire.email_address, decodeText),
    mobileNumber: read('mobile_number', wire.mobile_number, decodeText),
    // One official sample shows "+65".
    mobileCountryCode: read('mobile_country_code', wire.mobile_country_code, decodeText)?.replace(/^\+/, '') || null,
    dateCreated: read('date_created', wire.date_created, decodeDate),
    lastUpdated: read('last_updated', wire.last_updated || wire.last_udpated, decodeDate),
  };
  if (!withClientAuthToken) return customer;
  return { ...customer, clientAuthToken: read('juspay', wire.juspay, decodeToken) };
}

/** Units first: the code points of 1 MiB are not counted. */
function isShort(text: string): boolean {
  return text.length <= 2 * maxIdentifierLength && [...text].length <= maxIdentifierLength;
}

/** A number where text is due is a known slip of such services; it is exact up to 2^53. */
function decodeText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return Number.isSafeInteger(value) ? String(value) : undefined;
}

const dateForm = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:(Z)|([+-]\d\d)(?::?(\d\d))?)$/i;
/** What the years of a moment allow: four digits, also where an offset leads beyond them. */
const firstMs = Date.parse('0000-01-01T00:00:00Z');
const lastMs = Date.parse('9999-12-31T23:59:59.999Z');

/** `…Z`, `+hh`, `+hhmm`, `+hh:mm`, and a fraction of any length; what is finer than a millisecond is cut off. */
function decodeDate(value: unknown): Date | undefined {
  const match = typeof value === 'string' ? dateForm.exec(value.trim()) : null;
  if (match === null) return undefined;
  const [, day = '', time, fraction = '', utc, hours, minutes = '00'] = match;
  const offset = utc === undefined ? `${hours}:${minutes}` : 'Z';
  const atMs = Date.parse(`${day}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}${offset}`);
  const dayMs = Date.parse(day);
  // `Date.parse` takes the 30th of February for the 1st of March.
  if (Number.isNaN(atMs) || Number.isNaN(dayMs) || !new Date(dayMs).toISOString().startsWith(day)) return undefined;
  return new Date(Math.min(Math.max(atMs, firstMs), lastMs));
}

function decodeToken(value: unknown): ClientAuthToken | undefined {
  const parsed = WireToken.safeParse(value);
  if (!parsed.success) return undefined;
  const token = decodeText(parsed.data.client_auth_token);
  const expiresAt = decodeDate(parsed.data.client_auth_token_expiry);
  return token && expiresAt ? { token, expiresAt } : undefined;
}

/** The path of one customer: exactly one segment, whatever the id holds. The id must be a possible path id. */
export function customerPath(id: string, withClientAuthToken = false): string {
  return `/customers/${encodeURIComponent(id)}${withClientAuthToken ? `?${tokenOption}=true` : ''}`;
}

/** Only the fields that are present, in the provider's spelling; the option only when the token is wanted. */
export function encodeForm(fields: NewCustomer | CustomerChanges, withClientAuthToken = false): string {
  const form = new URLSearchParams();
  for (const [ours, theirs] of Object.entries(fieldNames)) {
    const value = (fields as Partial<Record<string, string>>)[ours];
    if (value !== undefined) form.append(theirs, value);
  }
  if (withClientAuthToken) form.append(tokenOption, 'true');
  return form.toString();
}

/** Where in a mutation's arguments the field stands that the provider complains about; the input as a whole if unknown. */
export function inputPath(field: string, operation: 'create' | 'update'): readonly string[] {
  if (operation === 'update' && (field === 'customer_id' || field === 'id')) return ['id'];
  const ours = inputNames.get(field);
  if (ours === undefined || (operation === 'update' && ours === 'objectReferenceId')) return ['input'];
  return ['input', ours];
}
