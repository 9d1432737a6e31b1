/** A workload of the benchmark. Texts hold slots, which stand for the numbers of an operation: see `slot`. */
export interface Workload {
  readonly title: string;
  readonly connections: number;
  readonly delayMs: number;
  readonly warmUpSeconds: number;
  /** Distinct numbers of one operation. 0: every operation has the same. */
  readonly stride: number;
  /** Expected upstream calls of one operation. */
  readonly calls: number;
  /** GraphQL request. */
  readonly body: Fields;
  /** The same request with `_entities`, for a server that has no field for a list. */
  readonly entityBody?: Fields;
  /** The same request with `customers`, for a server that has no `_entities`. */
  readonly listBody?: Fields;
  /** The same request for `limit`. */
  readonly plain: Fields;
  /** Customers in the response, in order, without repetitions of the server. */
  readonly expected: readonly Fields[];
  /** The customers in `data` of a GraphQL response. */
  readonly pick: (data: Fields) => unknown[];
}

export type Fields = Readonly<Record<string, unknown>>;
export const workloadNames = ['W1', 'W2', 'W3', 'W4', 'W5', 'W6', 'W7', 'W8'] as const;
export type WorkloadName = (typeof workloadNames)[number];

const slotPattern = /#(\d{3})#{12}/g;
const slotDigits = 16;

/** Stands for the number `n * stride + index` of operation n, in 16 digits. */
const slot = (index: number) => `#${String(index).padStart(3, '0')}${'#'.repeat(12)}`;

const numberAt = (n: number, stride: number, index: number) => String(n * stride + index).padStart(slotDigits, '0');

/** The text of operation n. */
export const fill = (text: string, n: number, stride: number): string =>
  text.replace(slotPattern, (_, index: string) => numberAt(n, stride, Number(index)));

/** The text as a template of the load generator: see `native/load.c`. */
export const toTemplate = (text: string): string =>
  text.replace(slotPattern, (_, index: string) => `\u0001${index}${'.'.repeat(slotDigits - 4)}`);

/** The template of the responses of a server, from its response to operation n. Times of a token differ in each response. */
export function templateOf(response: string, n: number, { stride }: Workload): string {
  const own = new Map(Array.from({ length: Math.max(stride, 1) }, (_, index) => [numberAt(n, stride, index), index]));
  const withSlots = response.replace(/\d{16}/g, (digits) => {
    const index = own.get(digits);
    return index === undefined ? digits : slot(index);
  });
  return toTemplate(withSlots).replace(/("expires\w+":\s*"?)([^",}]+)/g, (_, name: string, value: string) => {
    return name + '\u0002'.repeat(value.length);
  });
}

const fields =
  'id objectReferenceId firstName lastName emailAddress mobileNumber mobileCountryCode dateCreated lastUpdated';
const dates = { dateCreated: '2024-05-01T10:00:00Z', lastUpdated: '2024-06-11T08:30:15Z' };

const idOf = (index: number) => `cth_${slot(index)}`;
const customerOf = (index: number): Fields => ({
  id: idOf(index),
  objectReferenceId: `reference-${slot(index)}`,
  firstName: `Asha ${slot(index)}`,
  lastName: 'Raghunathan',
  emailAddress: `asha.${slot(index)}@customers.example`,
  mobileNumber: '9812345678',
  mobileCountryCode: '91',
  ...dates,
});

const letters = [...'abcdefghij'];
const aliases = Array.from({ length: 50 }, (_, index) => `c${index}`);
const entities = Array.from({ length: 100 }, (_, index) => index % 30);

const input = {
  objectReferenceId: `bench-${slot(0)}`,
  mobileNumber: '9898989898',
  emailAddress: `asha.${slot(0)}@customers.example`,
  firstName: 'Asha',
  lastName: `Rao ${slot(0)}`,
  mobileCountryCode: '91',
};

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

const defaults = { connections: 64, delayMs: 0, warmUpSeconds: 4, stride: 1, calls: 1 };

const one: Workload = {
  ...defaults,
  title: 'one customer, 10 fields with the token',
  body: {
    query: `query One($id: ID!) { customer(id: $id) { ${fields} clientAuthToken { token expiresAt expiresInSeconds } } }`,
    variables: { id: idOf(0) },
  },
  plain: { ids: [idOf(0)], withToken: true },
  expected: [{ ...customerOf(0), clientAuthToken: `tkn_${slot(0)}` }],
  pick: (data) => [data['customer']],
};

const withoutToken: Workload = {
  ...one,
  title: 'one customer without token, the same for everybody',
  stride: 0,
  calls: 0,
  body: { query: `query One($id: ID!) { customer(id: $id) { ${fields} } }`, variables: { id: idOf(0) } },
  plain: { ids: [idOf(0)], withToken: false, shared: true },
  expected: [customerOf(0)],
};

const entityBody = (indexes: readonly number[]): Fields => ({
  query: `query Entities($representations: [_Any!]!) { _entities(representations: $representations) { ... on Customer { ${fields} } } }`,
  variables: { representations: indexes.map((index) => ({ __typename: 'Customer', id: idOf(index) })) },
});

const listBody = (indexes: readonly number[]): Fields => ({
  query: `query List($ids: [ID!]!) { customers(ids: $ids) { ${fields} } }`,
  variables: { ids: indexes.map(idOf) },
});

const pickList = (data: Fields) => listOf(data['customers'] ?? data['_entities']);

/** A list of distinct customers. */
export function listWorkload(size: number): Workload {
  const indexes = Array.from({ length: size }, (_, index) => index);
  return {
    ...defaults,
    title: `a list of ${size} distinct customers, 9 fields`,
    connections: 8,
    stride: size,
    calls: size,
    body: listBody(indexes),
    entityBody: entityBody(indexes),
    plain: { ids: indexes.map(idOf), withToken: false },
    expected: indexes.map(customerOf),
    pick: pickList,
  };
}

export const workloads: Readonly<Record<WorkloadName, Workload>> = {
  W1: one,
  W2: {
    ...defaults,
    title: '50 aliases over 10 customers, 9 fields',
    connections: 16,
    stride: 10,
    calls: 10,
    body: {
      query: `query Aliases(${letters.map((letter) => `$${letter}: ID!`).join(', ')}) {
  ${aliases.map((alias, index) => `${alias}: customer(id: $${letters[index % 10]}) { ...F }`).join('\n  ')}
}
fragment F on Customer { ${fields} }`,
      variables: Object.fromEntries(letters.map((letter, index) => [letter, idOf(index)])),
    },
    plain: { ids: aliases.map((_, index) => idOf(index % 10)), withToken: false },
    expected: aliases.map((_, index) => customerOf(index % 10)),
    pick: (data) => aliases.map((alias) => data[alias]),
  },
  W3: listWorkload(100),
  W4: {
    ...defaults,
    title: '`_entities`, 100 representations over 30 customers, 9 fields',
    connections: 16,
    stride: 30,
    calls: 30,
    body: entityBody(entities),
    listBody: listBody(entities),
    plain: { ids: entities.map(idOf), withToken: false },
    expected: entities.map(customerOf),
    pick: pickList,
  },
  W5: {
    ...defaults,
    title: 'a create with a reference of its own',
    body: {
      query: `mutation Create($input: CreateCustomerInput!) { createCustomer(input: $input) { __typename ... on CreateCustomerSuccess { origin customer { ${fields} } } } }`,
      variables: { input },
    },
    plain: { create: input, withToken: false },
    expected: [{ id: idOf(0), ...input, ...dates }],
    pick: (data) => [(data['createCustomer'] as { customer?: unknown } | null)?.customer],
  },
  W6: {
    ...one,
    title: 'W1 with an upstream that responds after 20 ms',
    connections: 256,
    delayMs: 20,
    warmUpSeconds: 20,
  },
  W7: withoutToken,
  W8: {
    ...withoutToken,
    title: 'one customer without token, the id as a literal: every document is new',
    stride: 1,
    calls: 1,
    body: { query: `query One { customer(id: "${idOf(0)}") { ${fields} } }` },
    plain: { ids: [idOf(0)], withToken: false },
  },
};

/**
 * Compares a response to operation n with the expected one, field by field.
 *
 * @param mayBeNumbers accepts numbers for texts of digits: Tailcall writes such texts of a created customer as numbers.
 * @returns a problem; `undefined` for a correct response.
 */
export function problemOf(
  { expected, pick, stride }: Workload,
  n: number,
  text: string,
  mayBeNumbers: boolean,
): string | undefined {
  const { data, errors } = JSON.parse(text) as { data?: Fields | unknown[]; errors?: unknown };
  if (errors !== undefined) return `errors: ${JSON.stringify(errors).slice(0, 300)}`;
  if (!data) return 'no data';
  const found = Array.isArray(data) ? data : pick(data);
  const wanted = JSON.parse(fill(JSON.stringify(expected), n, stride)) as Fields[];
  if (found.length !== wanted.length) return `${found.length} customers instead of ${wanted.length}`;
  for (const [index, want] of wanted.entries()) {
    const wrong = differenceOf(found[index], want, mayBeNumbers);
    if (wrong) return `customer ${index}: ${wrong}`;
  }
  return undefined;
}

function differenceOf(found: unknown, want: Fields, mayBeNumbers: boolean): string | undefined {
  if (typeof found !== 'object' || found === null) return 'missing';
  const customer = found as Fields;
  for (const [field, value] of Object.entries(want)) {
    const got = mayBeNumbers && typeof customer[field] === 'number' ? String(customer[field]) : customer[field];
    const isRight = field === 'clientAuthToken' ? isToken(got, value) : got === value;
    if (!isRight) return `${field} is ${JSON.stringify(got)}`;
  }
  return undefined;
}

function isToken(found: unknown, token: unknown): boolean {
  const { token: got, expiresAt, expiresInSeconds } = (found ?? {}) as Fields;
  if (got !== token || typeof expiresAt !== 'string' || typeof expiresInSeconds !== 'number') return false;
  return Date.parse(expiresAt) > Date.now() && expiresInSeconds > 600 && expiresInSeconds <= 900;
}
