import { customerAt, idOf } from './customer.ts';

/** One operation: its request, and the check of its response. */
export interface Operation {
  readonly body: string;
  /** @returns a problem; `undefined` for a correct response. */
  readonly check: (answer: unknown) => string | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

interface Workload {
  readonly title: string;
  readonly query: string;
  /** Minimum number of upstream calls of one operation. No other operation uses its ids. */
  readonly calls: number;
  readonly operations: { readonly quick: number; readonly full: number };
  readonly ask: (n: number) => Ask;
  /** The customers in the GraphQL answer, in the order of `expected`. */
  readonly pick: (data: Fields) => unknown[];
}

interface Ask {
  readonly variables: Fields;
  /** The same operation for `limit`. */
  readonly plain: Fields;
  readonly expected: readonly Fields[];
}

const fields =
  'id objectReferenceId firstName lastName emailAddress mobileNumber mobileCountryCode dateCreated lastUpdated';
const letters = [...'abcdefghij'];
const aliases = Array.from({ length: 50 }, (_, index) => `c${index}`);
/** Unique across rounds and runs. */
const run = Date.now().toString(36);

export const workloads = {
  w1: {
    title: 'one customer, 10 fields with the token',
    query: `query One($id: ID!) { customer(id: $id) { ${fields} clientAuthToken { token expiresAt expiresInSeconds } } }`,
    calls: 1,
    operations: { quick: 800, full: 2500 },
    ask: (n) => ({
      variables: { id: idOf(n) },
      plain: { ids: [idOf(n)], withToken: true },
      expected: [{ ...customerOf(idOf(n)), clientAuthToken: `tkn_${idOf(n).slice(-16)}` }],
    }),
    pick: (data) => [data['customer']],
  },
  w2: {
    title: '50 aliases over 10 customers, 9 fields',
    query: `query Aliases(${letters.map((letter) => `$${letter}: ID!`).join(', ')}) {
      ${aliases.map((alias, index) => `${alias}: customer(id: $${letters[index % 10]}) { ...F }`).join('\n      ')}
    }
    fragment F on Customer { ${fields} }`,
    calls: 10,
    operations: { quick: 150, full: 500 },
    ask: (n) => {
      const ids = letters.map((_, index) => idOf(n * 10 + index));
      const asked = aliases.map((_, index) => ids[index % 10] ?? '');
      return {
        variables: Object.fromEntries(letters.map((letter, index) => [letter, ids[index]])),
        plain: { ids: asked, withToken: false },
        expected: asked.map(customerOf),
      };
    },
    pick: (data) => aliases.map((alias) => data[alias]),
  },
  w3: {
    title: 'a list of 100 distinct customers, 9 fields',
    query: `query List($ids: [ID!]!) { customers(ids: $ids) { ${fields} } }`,
    calls: 100,
    operations: { quick: 64, full: 128 },
    ask: (n) => {
      const ids = Array.from({ length: 100 }, (_, index) => idOf(n * 100 + index));
      return { variables: { ids }, plain: { ids, withToken: false }, expected: ids.map(customerOf) };
    },
    pick: (data) => (Array.isArray(data['customers']) ? data['customers'] : []),
  },
  w5: {
    title: 'a create with a reference of its own',
    query: `mutation Create($input: CreateCustomerInput!) {
      createCustomer(input: $input) { __typename ... on CreateCustomerSuccess { origin customer { ${fields} } } }
    }`,
    calls: 1,
    operations: { quick: 800, full: 2500 },
    ask: (n) => {
      const input = {
        objectReferenceId: `bench-${run}-${n.toString(36).padStart(8, '0')}`,
        mobileNumber: '9898989898',
        emailAddress: `asha.${n}@customers.example`,
        firstName: 'Asha',
        lastName: `R ${n}`,
        mobileCountryCode: '91',
      };
      return {
        variables: { input },
        plain: { create: input, withToken: false },
        expected: [{ ...customerOf(input.objectReferenceId), ...input }],
      };
    },
    pick: (data) => [(data['createCustomer'] as { customer?: unknown } | null)?.customer],
  },
} as const satisfies Record<string, Workload>;

export type WorkloadName = keyof typeof workloads;
export const workloadNames = Object.keys(workloads) as WorkloadName[];

/** The n-th operation of a workload, for a GraphQL server or for `limit`. */
export function operationOf(name: WorkloadName, n: number, isPlain: boolean): Operation {
  const workload: Workload = workloads[name];
  const { variables, plain, expected } = workload.ask(n);
  return {
    body: JSON.stringify(isPlain ? plain : { query: workload.query, variables }),
    check(answer) {
      const { data, errors } = (answer ?? {}) as { data?: Fields | unknown[]; errors?: unknown };
      if (errors !== undefined) return `errors: ${JSON.stringify(errors).slice(0, 300)}`;
      if (!data) return 'no data';
      const found = Array.isArray(data) ? data : workload.pick(data);
      if (found.length !== expected.length) return `${found.length} customers instead of ${expected.length}`;
      for (const [index, want] of expected.entries()) {
        const wrong = difference(found[index], want);
        if (wrong) return `customer ${index}: ${wrong}`;
      }
      return undefined;
    },
  };
}

function customerOf(pathId: string): Fields {
  const wire = customerAt(pathId, false);
  return {
    id: wire.id,
    objectReferenceId: wire.object_reference_id,
    firstName: wire.first_name,
    lastName: wire.last_name,
    emailAddress: wire.email_address,
    mobileNumber: wire.mobile_number,
    mobileCountryCode: wire.mobile_country_code,
    dateCreated: wire.date_created,
    lastUpdated: wire.last_updated,
  };
}

function difference(found: unknown, want: Fields): string | undefined {
  if (typeof found !== 'object' || found === null) return 'missing';
  const customer = found as Fields;
  for (const [field, value] of Object.entries(want)) {
    const got = customer[field];
    if (field !== 'clientAuthToken' && got !== value) return `${field} is ${JSON.stringify(got)}`;
    if (field === 'clientAuthToken' && !isToken(got, value)) return `token is ${JSON.stringify(got)}`;
  }
  return undefined;
}

function isToken(found: unknown, token: unknown): boolean {
  const { token: got, expiresAt, expiresInSeconds } = (found ?? {}) as Fields;
  if (got !== token || typeof expiresAt !== 'string' || typeof expiresInSeconds !== 'number') return false;
  return Date.parse(expiresAt) > Date.now() && expiresInSeconds > 600 && expiresInSeconds <= 900;
}
