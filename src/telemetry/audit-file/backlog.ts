import type { Link } from './chain.ts';

interface Entry {
  readonly text: string;
  /** The line of the chain; `undefined` for other text. */
  readonly link: Link | undefined;
}

/** Text that is being written. */
export interface Chunk {
  readonly bytes: Buffer;
  /** In characters. */
  readonly length: number;
  writtenBytes: number;
}

/** Limit in characters. Almost all are ASCII. */
export const maxHeld = 1_048_576;
const maxChunk = 262_144;

/** The text that waits to be written to an audit file. */
export class Backlog {
  #queue: Entry[] = [];
  #held = 0;
  #lastTaken: Link;

  /** @param last the last line that is in the file. */
  constructor(last: Link) {
    this.#lastTaken = last;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** Characters that wait or are being written. */
  get held(): number {
    return this.#held;
  }

  /** The last line that was taken. */
  get lastTaken(): Link {
    return this.#lastTaken;
  }

  push(text: string, link?: Link): void {
    this.#queue.push({ text, link });
    this.#held += text.length;
  }

  /** Adds text that is written next. */
  unshift(text: string): void {
    this.#queue.unshift({ text, link: undefined });
    this.#held += text.length;
  }

  /** Takes the oldest lines. They count until {@link release}. */
  take(): Chunk {
    let length = 0;
    let count = 0;
    for (const { text, link } of this.#queue) {
      if (count > 0 && length + text.length > maxChunk) break;
      length += text.length;
      count += 1;
      this.#lastTaken = link ?? this.#lastTaken;
    }
    const taken = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    return { bytes: Buffer.from(taken.map(({ text }) => text).join('')), length, writtenBytes: 0 };
  }

  release({ length }: Chunk): void {
    this.#held -= length;
  }

  text(): string {
    return this.#queue.map(({ text }) => text).join('');
  }
}
