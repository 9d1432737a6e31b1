/** Receives the text of a part, or the error of a part that must not be null. */
export interface Parent {
  put(index: number, part: Printed): void;
  fail(error: unknown): void;
}

/** A part of the response whose text is not known yet. */
export interface Part {
  /** Passes the text to `parent` when it is known. Called once. */
  attach(parent: Parent, index: number): void;
}

export type Printed = string | Part;

/**
 * An object or a list some parts of which are not known yet. It joins its text when the last part arrives. It is an object with
 * methods and not a promise: a promise for each level of the response costs more than printing it.
 */
export class Pending implements Part, Parent {
  readonly #texts: string[] = [];
  /** Number of parts that are not known yet, and one more each until `close` and `attach` are called. */
  #open = 2;
  #isOver = false;
  #failure: { readonly error: unknown } | undefined;
  /** The error of a part that failed before `attach` was called. */
  #early: { readonly error: unknown } | undefined;
  #parent: Parent | undefined;
  #index = 0;
  #recover: ((error: unknown) => string) | undefined;

  /** @param recover returns the text of this value after the failure of a part, or throws the error for its parent. */
  onFail(recover: (error: unknown) => string): void {
    this.#recover = recover;
  }

  /** Adds known text, and a part after it. */
  add(text: string, part: Part): void {
    this.#open += 1;
    const index = this.#texts.push(text, '') - 1;
    part.attach(this, index);
  }

  /** Adds the last text. */
  close(text: string): this {
    this.#texts.push(text);
    this.#release();
    return this;
  }

  /** Fails when all parts are known: the executor waits for the fields of an object before it reports an error of one. */
  closeWith(error: unknown): this {
    this.#failure = { error };
    this.#release();
    return this;
  }

  attach(parent: Parent, index: number): void {
    this.#parent = parent;
    this.#index = index;
    if (this.#early !== undefined) this.fail(this.#early.error);
    else this.#release();
  }

  put(index: number, part: Printed): void {
    if (typeof part !== 'string') return part.attach(this, index);
    this.#texts[index] = part;
    this.#release();
  }

  fail(error: unknown): void {
    if (this.#isOver) return;
    if (this.#parent === undefined) {
      this.#early ??= { error };
      return;
    }
    this.#isOver = true;
    const first = this.#failure === undefined ? error : this.#failure.error;
    if (this.#recover === undefined) return this.#parent.fail(first);
    let text: string;
    try {
      text = this.#recover(first);
    } catch (outer) {
      return this.#parent.fail(outer);
    }
    this.#parent.put(this.#index, text);
  }

  #release(): void {
    this.#open -= 1;
    if (this.#open > 0 || this.#isOver) return;
    if (this.#failure !== undefined) return this.fail(this.#failure.error);
    this.#isOver = true;
    this.#parent?.put(this.#index, joined(this.#texts));
  }
}

/** Above this number, texts are joined instead of concatenated. */
const maxConcatenated = 8;

/**
 * Joining copies every character. The object around a long list has few texts, one of them long: they are concatenated, and copied
 * only when the response is encoded.
 */
function joined(texts: readonly string[]): string {
  if (texts.length > maxConcatenated) return texts.join('');
  let whole = '';
  for (const text of texts) whole += text;
  return whole;
}
