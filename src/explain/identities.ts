import { randomUUID } from 'node:crypto';
import type { Access } from '../customers/access.ts';
import { type CustomerKey, pathIdOf } from '../customers/customer.ts';
import { looksLikeProviderId } from '../customers/identity.ts';

/** The two identifiers of one customer. */
interface Identifiers {
  readonly id: string;
  readonly reference: string | null;
}

/**
 * The customers of a rehearsal. Each identifier of the operation belongs to a customer that the caller may access. Whether an
 * identifier is an id of the provider is known only to the provider, so the form decides, or the field that names it.
 *
 * An id that the operation does not name, such as that of a created customer, is a random text.
 */
export class Identities {
  readonly #own: readonly string[];
  readonly #ids = new Set<string>();
  /** Ids that the provider would assign, by the reference of their customer. */
  readonly #assigned = new Map<string, string>();
  /** The references of the assigned ids. */
  readonly #references = new Map<string, string>();

  constructor({ customers }: Access) {
    this.#own = typeof customers === 'string' ? [] : customers;
  }

  /** Notes a key of a read. */
  add(key: CustomerKey): void {
    if ('id' in key) this.#ids.add(key.id);
    // The same text as both: an entity by id and by reference.
    else if ('reference' in key && !looksLikeProviderId(key.reference)) this.#ids.delete(pathIdOf(key));
  }

  /** The identifiers of the customer at a path. Both are the caller's own, if it is bound to a customer. */
  of(pathId: string): Identifiers {
    const reference = this.#references.get(pathId);
    if (reference !== undefined) return { id: pathId, reference };
    const other = this.#own.find((own) => own !== pathId);
    if (this.#isId(pathId)) return { id: pathId, reference: other ?? null };
    if (other !== undefined)
      return this.#isId(other) ? { id: other, reference: pathId } : { id: pathId, reference: other };
    return { id: this.#idOf(pathId), reference: pathId };
  }

  /** The reference of an id that the provider would assign. */
  referenceOf(id: string): string | undefined {
    return this.#references.get(id);
  }

  #isId(pathId: string): boolean {
    return this.#ids.has(pathId) || looksLikeProviderId(pathId);
  }

  #idOf(reference: string): string {
    const known = this.#assigned.get(reference);
    if (known !== undefined) return known;
    const id = randomUUID();
    this.#assigned.set(reference, id);
    this.#references.set(id, reference);
    return id;
  }
}
