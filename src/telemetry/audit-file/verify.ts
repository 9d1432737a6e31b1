import { hash } from 'node:crypto';
import { type AuditLine, genesis, type Link, messages, readLine } from './chain.ts';

/** One fact about a file that keeps it from being a complete record. */
export interface AuditFinding {
  /** `problem`: a line was changed, removed or inserted. `loss`: the gateway itself reports that lines may be missing. */
  readonly kind: 'problem' | 'loss';
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

/** Findings beyond this number are only counted. */
const maxFindings = 100;

const endsWithin =
  'The file ends within a line: the gateway is writing it, or was killed, or the end of the line was removed.';

/** Verifies the lines of audit files, which are passed in their order. Memory does not grow with the files. */
export class Verifier {
  readonly findings: AuditFinding[] = [];
  problems = 0;
  losses = 0;
  lines = 0;
  /** The first line of the chain that was passed. */
  first: Link | undefined;
  /** The last sound line. */
  last: Link | undefined;
  #file = '';
  #line = 0;
  /** The line before, if it is no sound line and not yet reported: it may be the torn line of a process that was killed. */
  #unusable: Buffer | undefined;
  /** Number of lines since the last sound one. */
  #unusableCount = 0;
  readonly #expected: string | undefined;
  #isExpectedFound = false;

  /** @param expected the hash of a line that must be present. */
  constructor(expected?: string) {
    this.#expected = expected;
  }

  beginFile(name: string): void {
    this.#file = name;
    this.#line = 0;
  }

  /** @param bytes without the line feed. */
  add(bytes: Buffer): void {
    this.#line += 1;
    this.lines += 1;
    const line = readLine(bytes);
    if (line === undefined) {
      this.#reportUnusable();
      this.#unusable = bytes;
      this.#unusableCount += 1;
      return;
    }
    if (line.fields['message'] === messages.header) this.#addHeader(line);
    else this.#addLink(line);
    this.#unusableCount = 0;
    if (this.last?.hash === this.#expected) this.#isExpectedFound = true;
  }

  /** @param rest the bytes after the last line feed. */
  endFile(rest: Buffer): void {
    this.#line += 1;
    this.#reportUnusable();
    this.#unusableCount = 0;
    if (rest.length > 0) this.#report('loss', endsWithin);
    else if (this.#line === 1) this.#report('problem', 'The file is empty: its lines were removed.');
  }

  /** Call it after the last file. */
  finish(): void {
    if (this.#expected === undefined || this.#isExpectedFound) return;
    const message = 'No line has the expected hash: lines at the end were removed, or the line was changed.';
    this.#report('problem', message);
  }

  #addHeader(line: AuditLine): void {
    const { last } = this;
    if (this.#line > 1) {
      this.#reportUnusable();
      return this.#report('problem', 'The first line of a file stands within a file: text was inserted.');
    }
    this.last = { sequence: line.sequence, hash: line.previous };
    if (last === undefined || (line.previous === last.hash && line.sequence === last.sequence)) return;
    if (line.sequence === genesis.sequence && line.previous === genesis.hash) {
      this.#report('loss', 'The file begins a new chain, which does not prove that no line before it is missing.');
    } else this.#report('problem', 'The file does not continue the one before it: files or lines are missing.');
  }

  #addLink(line: AuditLine): void {
    const { last } = this;
    const { reason } = line.fields;
    const isStart = line.fields['message'] === messages.started;
    if (isStart && reason === 'torn') this.#checkTorn(line);
    else this.#reportUnusable();
    if (this.#line === 1) this.#report('problem', 'The first line of the file is missing.');
    else if (last !== undefined) this.#checkOrder(line, last);
    if (isStart && reason === 'crash') {
      this.#report('loss', 'The gateway was killed before this line: lines of its last milliseconds may be missing.');
    }
    if (isStart && reason === 'damaged') {
      this.#report('problem', 'The gateway found text before this line that was no audit line.');
    }
    this.first ??= line;
    this.last = line;
  }

  #checkTorn({ fields }: AuditLine): void {
    const torn = this.#unusable;
    if (torn === undefined || fields['tornHash'] !== hash('sha256', torn)) {
      this.#reportUnusable();
      return this.#report('problem', 'The incomplete line before this line was changed or removed.');
    }
    this.#unusable = undefined;
    this.#report('loss', 'The gateway was killed while it wrote the line before this line, which is incomplete.');
  }

  #checkOrder({ sequence, previous, fields }: AuditLine, last: Link): void {
    const next = last.sequence + 1;
    if (sequence === next && previous === last.hash) return;
    const { message, count, after } = fields;
    if (message === messages.lost && sequence === next + Number(count) && Number(count) > 0 && after === last.hash) {
      this.#report('loss', `${count} lines are missing: the gateway could not write them. Its log has them.`);
      return;
    }
    // The unusable lines stand in the place of the missing ones.
    if (this.#unusableCount > 0 && sequence === next + this.#unusableCount) return;
    if (sequence > next) this.#report('problem', `${sequence - next} lines before this line are missing.`);
    else if (sequence === next)
      this.#report('problem', 'The line does not follow the line before it, which was replaced.');
    else this.#report('problem', 'The line is a copy, or stands in the wrong place.');
  }

  /** Reports the line before this one. */
  #reportUnusable(): void {
    if (this.#unusable === undefined) return;
    this.#unusable = undefined;
    this.#report('problem', 'The line is no audit line, or was changed.', this.#line - 1);
  }

  #report(kind: AuditFinding['kind'], message: string, line = this.#line): void {
    if (kind === 'problem') this.problems += 1;
    else this.losses += 1;
    if (this.findings.length < maxFindings) this.findings.push({ kind, file: this.#file, line, message });
  }
}
