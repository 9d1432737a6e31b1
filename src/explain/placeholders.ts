import type { Identities } from './identities.ts';

/** Names for identifiers. Equal identifiers have the same name within one explanation. */
export class Placeholders {
  readonly #identities: Identities | undefined;
  readonly #names = new Map<string, string>();

  /** @param identities the customers of a rehearsal, whose assigned ids are named after their reference. */
  constructor(identities?: Identities) {
    this.#identities = identities;
  }

  /** For example `{customer 1}`, or `{id of customer 1}` for the id that the provider returns for that reference. */
  nameOf(identifier: string): string {
    return `{${this.#wordsOf(identifier)}}`;
  }

  #wordsOf(identifier: string): string {
    const reference = this.#identities?.referenceOf(identifier);
    if (reference !== undefined) return `id of ${this.#wordsOf(reference)}`;
    const known = this.#names.get(identifier);
    if (known !== undefined) return known;
    const words = `customer ${this.#names.size + 1}`;
    this.#names.set(identifier, words);
    return words;
  }
}
