import { hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { beginLine, genesis, type Link, messages, readLine, type StartReason } from './chain.ts';

/** Longer than many audit lines. */
const windowBytes = 262_144;
const lineFeed = 10;

export interface Recovered {
  /** The last sound line of the file. */
  readonly last: Link;
  readonly isEmpty: boolean;
  /** Whether the file ends within a line. */
  readonly isTorn: boolean;
  /** The line that continues the chain, for `Chain.append`. */
  readonly started: string;
  readonly reason: StartReason;
}

/** Finds the end of the chain in a file. Reads its last 256 KiB. @throws the system error if it cannot be read. */
export function recover(fd: number, size: number): Recovered {
  const begin = Math.max(0, size - windowBytes);
  const tail = Buffer.alloc(size - begin);
  let length = 0;
  while (length < tail.length) {
    const count = readSync(fd, tail, length, tail.length - length, begin + length);
    if (count === 0) break;
    length += count;
  }
  const text = tail.subarray(0, length);
  const isTorn = text.length > 0 && text.at(-1) !== lineFeed;
  const result = (reason: StartReason, last: Link, rest?: Buffer): Recovered => ({
    last,
    reason,
    isEmpty: size === 0,
    isTorn,
    started: beginLine(messages.started, {
      reason,
      ...(rest !== undefined && { tornBytes: rest.length, tornHash: hash('sha256', rest) }),
    }),
  });
  if (size === 0) return result('first', genesis);

  let end = isTorn ? text.lastIndexOf(lineFeed) + 1 : text.length;
  const torn = text.subarray(end);
  for (let isNewest = true; end > 0; isNewest = false) {
    const start = text.lastIndexOf(lineFeed, end - 2) + 1;
    // The first line of the window may be incomplete. It is then no sound line.
    const line = readLine(text.subarray(start, end - 1));
    if (line !== undefined) {
      const isHeader = line.fields['message'] === messages.header;
      const last = isHeader ? { sequence: line.sequence, hash: line.previous } : line;
      if (!isNewest) return result('damaged', last);
      if (torn.length > 0) return result('torn', last, torn);
      return result(line.fields['message'] === messages.stopped ? 'restart' : 'crash', last);
    }
    end = start;
  }
  return result('damaged', genesis);
}
