import { hash } from 'node:crypto';

/** The end of a chain of audit lines. */
export interface Link {
  /** The number of the line, from 1. */
  readonly sequence: number;
  /** SHA-256 of the line up to its own hash, in hexadecimal. */
  readonly hash: string;
}

/** The link before the first line. */
export const genesis: Link = { sequence: 0, hash: '0'.repeat(64) };

/** The gateway's own lines in an audit file. */
export const messages = {
  /** The first line of each file. It is no link of the chain: it repeats the number and the hash of the line before it. */
  header: 'audit file begins',
  /** A process has opened the file. `reason` says how the process before it ended. */
  started: 'audit started',
  stopped: 'audit stopped',
  /** `count` lines before this one are missing in the file. `after` is the hash of the last line that is there. */
  lost: 'audit lines lost',
} as const;

/**
 * How the process that wrote to the file before has ended. `torn`: it was killed within a line. `damaged`: the last lines are not
 * lines of a gateway.
 */
export type StartReason = 'first' | 'restart' | 'crash' | 'torn' | 'damaged';

/**
 * Adds lines to a chain. Each line ends with its number, the hash of the line before it, and its own hash. A changed byte contradicts
 * the line's own hash, also in the last line; a missing, inserted or moved line contradicts the hash of its neighbour.
 */
export class Chain {
  #last: Link;

  constructor(last: Link) {
    this.#last = last;
  }

  get last(): Link {
    return this.#last;
  }

  /** @param text a line of JSON without its last brace. @returns the complete line. */
  append(text: string): string {
    const sequence = this.#last.sequence + 1;
    const linked = `${text},"sequence":${sequence},"previous":"${this.#last.hash}"`;
    const own = hash('sha256', linked);
    this.#last = { sequence, hash: own };
    return `${linked},"hash":"${own}"}\n`;
  }
}

/** The first line of a file whose next line follows `last`. */
export function headerAfter({ sequence, hash: previous }: Link): string {
  const text = `${beginLine(messages.header)},"sequence":${sequence},"previous":"${previous}"`;
  return `${text},"hash":"${hash('sha256', text)}"}\n`;
}

/** The begin of one of the gateway's own lines, for {@link Chain.append}. */
export function beginLine(message: string, fields: Readonly<Record<string, string | number>> = {}): string {
  const time = new Date().toISOString();
  return JSON.stringify({ level: 'info', time, audit: true, ...fields, message }).slice(0, -1);
}

/** A line whose own hash is right. */
export interface AuditLine extends Link {
  readonly previous: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const ending = /,"sequence":(\d{1,15}),"previous":"([\da-f]{64})","hash":"([\da-f]{64})"\}$/;
/** Length of `,"hash":"…"}`. */
const hashLength = 75;

/** @param bytes a line without its line feed. @returns `undefined` if it is no audit line, or was changed. */
export function readLine(bytes: Buffer): AuditLine | undefined {
  const text = bytes.toString('utf8');
  const [, sequence, previous, own] = ending.exec(text) ?? [];
  if (previous === undefined || own === undefined) return undefined;
  if (hash('sha256', bytes.subarray(0, -hashLength)) !== own) return undefined;
  try {
    const fields = JSON.parse(text) as Record<string, unknown>;
    return fields['audit'] === true ? { sequence: Number(sequence), previous, hash: own, fields } : undefined;
  } catch {
    return undefined;
  }
}
