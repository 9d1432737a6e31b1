import { randomBytes } from 'node:crypto';

/** A customer as the provider stores it. */
export interface Stored {
  readonly id: string;
  readonly objectReferenceId: string;
  mobileNumber: string;
  emailAddress: string | null;
  firstName: string | null;
  lastName: string | null;
  mobileCountryCode: string;
  readonly dateCreated: Date;
  lastUpdated: Date;
}

export type Fields = Readonly<Record<string, string>>;

/** Example customers: references that are e-mail addresses, database ids and short; names with null, spaces and umlauts. */
const seed: readonly Stored[] = [
  person('cth_A1b2C3d4E5f6G7h8', 'asha.rao@example.com', '9000000001', 'Asha', 'Rao'),
  person('cth_B2c3D4e5F6g7H8i9', 'customer-10002', '9000000002', 'Jürgen', "O'Neill Müller"),
  person('cth_C3d4E5f6G7h8I9j0K', '+919000000003', '9000000003', 'Mei Ling', null),
  person('cst_0123456789abcdef', 'u7', '9000000004', null, null),
];

function person(id: string, reference: string, mobile: string, first: string | null, last: string | null): Stored {
  return {
    id,
    objectReferenceId: reference,
    mobileNumber: mobile,
    emailAddress: reference.includes('@') ? reference : `${mobile}@example.com`,
    firstName: first,
    lastName: last,
    mobileCountryCode: '91',
    dateCreated: new Date('2024-05-01T10:00:00.123Z'),
    lastUpdated: new Date('2024-05-01T10:00:00.123Z'),
  };
}

/** All customers of one merchant, in memory. */
export function createStore(options: { uniqueReferences: boolean; tidy: boolean; now: () => Date }) {
  let customers: Stored[] = [];
  let created = 0;
  const keyOf = (reference: string) => (options.tidy ? reference.toLowerCase() : reference);
  /** The first customer of each reference, and each one by its id. */
  const byReference = new Map<string, Stored>();
  const byId = new Map<string, Stored>();
  const withReference = (reference: string) => byReference.get(keyOf(reference));
  const add = (customer: Stored) => {
    customers.push(customer);
    byId.set(customer.id, customer);
    const key = keyOf(customer.objectReferenceId);
    if (!byReference.has(key)) byReference.set(key, customer);
  };
  reset();
  return {
    reset,
    all: (): readonly Stored[] => customers,
    /** By id, then by reference. */
    find: (pathId: string): Stored | undefined => byId.get(pathId) ?? withReference(pathId),
    /** Returns `undefined` if the reference exists. */
    create(sent: Fields): Stored | undefined {
      const fields = options.tidy ? normalized(sent) : sent;
      const reference = fields['object_reference_id'] ?? '';
      if (options.uniqueReferences && withReference(reference)) return undefined;
      created += 1;
      const at = options.now();
      const customer: Stored = {
        // Deterministic: the same calls in the same order give the same ids.
        id: `cth_Sb${created.toString(36).padStart(14, '0')}`,
        objectReferenceId: reference,
        mobileNumber: fields['mobile_number'] ?? '',
        emailAddress: fields['email_address'] ?? null,
        firstName: fields['first_name'] ?? null,
        lastName: fields['last_name'] ?? null,
        mobileCountryCode: fields['mobile_country_code'] ?? '91',
        dateCreated: at,
        lastUpdated: at,
      };
      add(customer);
      return customer;
    },
    /** Sets the fields that were sent, including `""`. The reference never changes. */
    update(customer: Stored, sent: Fields): void {
      const fields = options.tidy ? normalized(sent) : sent;
      customer.mobileNumber = fields['mobile_number'] ?? customer.mobileNumber;
      customer.emailAddress = fields['email_address'] ?? customer.emailAddress;
      customer.firstName = fields['first_name'] ?? customer.firstName;
      customer.lastName = fields['last_name'] ?? customer.lastName;
      customer.mobileCountryCode = fields['mobile_country_code'] ?? customer.mobileCountryCode;
      customer.lastUpdated = options.now();
    },
  };

  function reset(): void {
    customers = [];
    byReference.clear();
    byId.clear();
    for (const customer of seed) add({ ...customer });
    created = 0;
  }
}

/** The fields as some providers store them. */
function normalized(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      const text = value.normalize('NFC').trim();
      if (name === 'email_address' || name === 'object_reference_id') return [name, text.toLowerCase()];
      return [name, name === 'mobile_country_code' ? text.replace(/^0+(?=.)/, '') : text];
    }),
  );
}

/** Spelling of the customer object: as in real responses, as in the API document, or both. */
export const dialects = ['real', 'seed', 'both'] as const;
export type Dialect = (typeof dialects)[number];

/** `…Z`, `…+0000` (older responses) or `….123456Z` (newer responses). */
export const dateForms = ['utc', 'offset', 'micros'] as const;
export type DateForm = (typeof dateForms)[number];

/** Builds the customer object of a response, with a new token if one is requested. */
export function formatCustomer(
  customer: Stored,
  { dialect, dates, withToken, now }: { dialect: Dialect; dates: DateForm; withToken: boolean; now: () => Date },
): Record<string, unknown> {
  const lastUpdated = formatDate(customer.lastUpdated, dates);
  return {
    ...(dialect !== 'seed' && { id: customer.id }),
    ...(dialect !== 'real' && { customer_id: customer.id }),
    object: 'customer',
    object_reference_id: customer.objectReferenceId,
    mobile_country_code: customer.mobileCountryCode,
    mobile_number: customer.mobileNumber,
    email_address: customer.emailAddress,
    first_name: customer.firstName,
    last_name: customer.lastName,
    date_created: formatDate(customer.dateCreated, dates),
    ...(dialect !== 'seed' && { last_updated: lastUpdated }),
    ...(dialect !== 'real' && { last_udpated: lastUpdated }),
    ...(withToken && {
      juspay: {
        client_auth_token: `tkn_${randomBytes(16).toString('hex')}`,
        client_auth_token_expiry: formatDate(new Date(now().getTime() + 15 * 60_000), 'utc'),
      },
    }),
  };
}

function formatDate(date: Date, form: DateForm): string {
  const iso = date.toISOString();
  if (form === 'micros') return iso.replace('Z', '456Z');
  return iso.replace(/\.\d+Z$/, form === 'utc' ? 'Z' : '+0000');
}
