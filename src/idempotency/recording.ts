import { createHash } from 'node:crypto';
import type { CreateOrigin, Customer, CustomerApi, CustomerKey, ReadOptions } from '../customers/customer.ts';
import { CustomerInvalidError, type Issue } from '../customers/input.ts';
import { GatewayError } from '../errors.ts';

/** A settled write: a definite success, or a definite refusal. */
export type Settled = Written | Refused;

interface Written {
  readonly customer: Customer;
  /** Of a create. */
  readonly origin?: CreateOrigin;
}

interface Refused {
  readonly code: SettledCode;
  readonly message: string;
  readonly issues?: readonly Issue[];
}

/** The definite refusals. After any other failure, a repeat executes the write again. */
const settledCodes = ['VALIDATION_FAILED', 'ALREADY_EXISTS', 'NOT_FOUND'] as const;
type SettledCode = (typeof settledCodes)[number];

/** The kept part of an operation: its settled writes, and the reads that its answer shows. Holds no client auth token. */
export interface Kept {
  /** Digest of the operation. */
  readonly digest: string;
  readonly writes: readonly (readonly [string, Settled])[];
  readonly reads: readonly (readonly [string, Customer | null])[];
}

/**
 * Records the settled writes of one operation. Answers those of an earlier execution of the same operation from its kept part,
 * without a call. The operation is executed in both cases, so that the present rights and selections apply.
 */
export class Recording {
  readonly #kept: Kept | undefined;
  readonly #writes: Map<string, Settled>;
  readonly #reads: Map<string, Customer | null>;
  /** How often the operation has made each write. Equal writes are distinguished by their order. */
  readonly #counts = new Map<string, number>();
  readonly #known: ReadonlyMap<string, Customer | null>;
  #replayed = 0;
  #executed = 0;
  #isChanged = false;

  constructor(kept: Kept | undefined) {
    this.#kept = kept;
    this.#writes = new Map(kept?.writes);
    this.#known = new Map(kept?.reads);
    this.#reads = new Map(kept?.reads);
  }

  /** Whether kept writes answered the operation, and nothing was written. */
  get isReplay(): boolean {
    return this.#replayed > 0 && this.#executed === 0;
  }

  /** What to keep. `undefined`: nothing, or nothing new. */
  keep(digest: string): Kept | undefined {
    return this.#isChanged ? { digest, writes: [...this.#writes], reads: [...this.#reads] } : undefined;
  }

  /** Whether an earlier execution has kept something. */
  get hasKept(): boolean {
    return this.#kept !== undefined;
  }

  /** @param onReplay called before each write that is answered from the kept part. */
  over(api: CustomerApi, onReplay: () => void): CustomerApi {
    return {
      get: (key, options) => this.#get(api, key, options),
      create: async (input, options) => {
        const created = await this.#write(['create', sorted(input)], onReplay, () => api.create(input, options));
        return { customer: created.customer, origin: created.origin ?? 'CREATED' };
      },
      update: async (id, changes) => {
        const write = async () => ({ customer: await api.update(id, changes) });
        return (await this.#write(['update', id, sorted(changes)], onReplay, write)).customer;
      },
    };
  }

  async #get(api: CustomerApi, key: CustomerKey, options: ReadOptions | undefined): Promise<Customer | null> {
    // The read of a token by the id of a customer that is known. Always sent, because tokens are not kept.
    if (options?.withClientAuthToken && 'id' in key) return api.get(key, options);
    const name = digestOf(key);
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const customer = await api.get(key, options);
    this.#reads.set(name, customer && withoutToken(customer));
    return customer;
  }

  async #write(identity: readonly unknown[], onReplay: () => void, write: () => Promise<Written>): Promise<Written> {
    const same = digestOf(identity);
    const count = (this.#counts.get(same) ?? 0) + 1;
    this.#counts.set(same, count);
    const name = `${same} ${count}`;
    const known = this.#writes.get(name);
    if (known !== undefined) {
      this.#replayed += 1;
      onReplay();
      if ('customer' in known) return known;
      throw errorOf(known);
    }
    this.#executed += 1;
    try {
      const result = await write();
      this.#settle(name, { ...result, customer: withoutToken(result.customer) });
      return result;
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal !== undefined) this.#settle(name, refusal);
      throw error;
    }
  }

  #settle(name: string, settled: Settled): void {
    this.#writes.set(name, settled);
    this.#isChanged = true;
  }
}

/** A copy that lacks the property: the token is then unknown, not absent, and its field reads it. */
function withoutToken({ clientAuthToken: _token, ...customer }: Customer): Customer {
  return customer;
}

function refusalOf(error: unknown): Refused | undefined {
  if (!(error instanceof GatewayError)) return undefined;
  const code = settledCodes.find((known) => known === error.code);
  if (code === undefined) return undefined;
  const { message } = error;
  return error instanceof CustomerInvalidError ? { code, message, issues: error.issues } : { code, message };
}

function errorOf({ code, message, issues }: Refused): GatewayError {
  return issues === undefined ? new GatewayError(code, { message }) : new CustomerInvalidError(issues);
}

/** Reads the JSON of a {@link Kept}. The text is authentic: its seal was checked. */
export function keptOf(json: string): Kept {
  const { digest, writes, reads } = JSON.parse(json) as Kept;
  return {
    digest,
    writes: writes.map(([name, settled]) => [
      name,
      'customer' in settled ? { ...settled, customer: withDates(settled.customer) } : settled,
    ]),
    reads: reads.map(([name, customer]) => [name, customer && withDates(customer)]),
  };
}

function withDates(customer: Customer): Customer {
  const dateOf = (value: Date | null) => (value === null ? null : new Date(value));
  return { ...customer, dateCreated: dateOf(customer.dateCreated), lastUpdated: dateOf(customer.lastUpdated) };
}

/** Digest of a JSON value whose objects have sorted keys. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url');
}

/** A copy with sorted keys at each level. The depth of the values is bounded by the schema. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([name, inner]) => [name, sorted(inner)]));
}
