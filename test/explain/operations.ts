import type { GeneratedOperation, Random } from '../execution/generator.ts';

/** Customers of the sandbox by id and by reference, and one that does not exist. */
const customers: readonly (readonly [id: string, reference: string])[] = [
  ['cth_A1b2C3d4E5f6G7h8', 'asha.rao@example.com'],
  ['cst_0123456789abcdef', 'u7'],
  ['cth_B2c3D4e5F6g7H8i9', 'customer-10002'],
  ['cth_C3d4E5f6G7h8I9j0K', '+919000000003'],
  ['cth_NobodyNobody0000', 'nobody'],
];

/** Texts that are no path ids. */
const invalidIds = ['', '..', ' '];

/** A document with variables that are drawn for each execution. */
export interface Shape {
  /** Whether the document holds ids. */
  readonly hasLiterals: boolean;
  /**
   * @param own the customer that the caller is bound to. The operation then names each customer in one way only: otherwise the order
   *   of the responses decides whether one read serves both. Several writes are all about this customer: a plan assumes that the
   *   caller may access each customer, so they are all the same one.
   */
  operation(run: number, own: string | undefined): GeneratedOperation;
}

/** The names of one operation. */
interface Names {
  readonly run: number;
  readonly own: string | undefined;
  anyId(): string;
}

/**
 * Generates small documents of all kinds: reads by each field, entities, creates and updates, with aliases, fragments, conditions,
 * literals and variables.
 */
export function createShapeGenerator(random: Random): () => Shape {
  const one = <Item>(items: readonly Item[]): Item => items[random(items.length)] as Item;
  const chance = (percent: number) => random(100) < percent;

  return () => {
    const draws: ((names: Names) => unknown)[] = [];
    const definitions: string[] = [];
    const hasLiterals = chance(20);
    let usesFragment = false;
    const isMutation = chance(35);
    const length = 1 + random(isMutation ? 3 : 5);
    const fields = Array.from({ length }, (_, index) => `f${index}: ${isMutation ? write() : read()}`);
    const head = definitions.length > 0 ? `(${definitions.join(', ')})` : '';
    const fragment = usesFragment ? ' fragment F on Customer { objectReferenceId t: clientAuthToken { token } }' : '';
    const query = `${isMutation ? 'mutation' : 'query'} ${head} { ${fields.join(' ')} }${fragment}`;
    return {
      hasLiterals,
      operation(run, own) {
        const names = namesOf(run, own, isMutation && length > 1);
        return { query, variables: Object.fromEntries(draws.map((draw, index) => [`v${index}`, draw(names)])) };
      },
    };

    function read(): string {
      const kind = random(5);
      if (kind <= 1) return `customer(id: ${id('ID!')}) { ${selection()} }`;
      if (kind === 2) return `customerByReference(objectReferenceId: ${id('String!')}) { ${selection()} }`;
      const list = (names: Names) => Array.from({ length: random(5) }, () => names.anyId());
      if (kind === 3) return `customers(ids: ${variable('[ID!]!', list)}) { ${selection()} }`;
      const entities = (names: Names) =>
        list(names).map((key) => ({ __typename: 'Customer', [chance(60) ? 'id' : 'objectReferenceId']: key }));
      return `_entities(representations: ${variable('[_Any!]!', entities)}) { ... on Customer { ${selection()} } }`;
    }

    function write(): string {
      if (chance(50)) {
        const input = variable('UpdateCustomerInput!', () => ({ firstName: one(['Asha', 'Noor', 'Mei', '']) }));
        const success = `... on UpdateCustomerSuccess { customer { ${selection()} } }`;
        return `updateCustomer(id: ${id('ID!')}, input: ${input}) { __typename ${success} }`;
      }
      const input = variable('CreateCustomerInput!', ({ run, own }) => ({
        objectReferenceId: one([
          own ?? `reference-${run}`,
          `reference-${run}`,
          `other-${run}-one`,
          'customer-10002',
          'short',
        ]),
        mobileNumber: '9000000077',
        emailAddress: 'new@example.com',
      }));
      const success = `... on CreateCustomerSuccess { origin customer { ${selection()} } }`;
      const existing = `${chance(60) ? 'differingFields ' : ''}existing { ${selection()} }`;
      const conflict = chance(60) ? ` ... on CustomerAlreadyExistsError { ${existing} }` : '';
      return `createCustomer(input: ${input}) { __typename ${success}${conflict} }`;
    }

    function selection(): string {
      const parts = ['id'];
      if (chance(30)) parts.push('firstName');
      if (chance(35)) parts.push(`${chance(50) ? 'token: ' : ''}clientAuthToken${condition()} { expiresInSeconds }`);
      if (chance(15)) {
        usesFragment = true;
        parts.push(`...F${condition()}`);
      }
      if (chance(10)) parts.push(`... on Customer${condition()} { lastName more: clientAuthToken { token } }`);
      return parts.join(' ');
    }

    function condition(): string {
      if (!chance(40)) return '';
      return ` @${one(['include', 'skip'])}(if: ${chance(70) ? variable('Boolean!', () => chance(50)) : chance(50)})`;
    }

    function id(type: string): string {
      if (hasLiterals && chance(50)) return JSON.stringify(namesOf(0, undefined, false).anyId());
      return variable(type, (names) => names.anyId());
    }

    function variable(type: string, draw: (names: Names) => unknown): string {
      const name = `$v${draws.length}`;
      definitions.push(`${name}: ${type}`);
      draws.push(draw);
      return name;
    }
  };

  function namesOf(run: number, own: string | undefined, hasSeveralWrites: boolean): Names {
    const spelled = customers.map((both) => one(both));
    return {
      run,
      own,
      anyId() {
        if (chance(4)) return one(invalidIds);
        if (own === undefined) return one(one(customers));
        return hasSeveralWrites ? own : one(spelled);
      },
    };
  }
}
