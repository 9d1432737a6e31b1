import type { Readable } from 'node:stream';
import type { LineWriter } from '../../telemetry/line-writer.ts';

/** A longer line is passed on in parts. No line of the gateway is as long. */
const maxLineBytes = 1_048_576;
/** The longest time that a timer can wait. A stalled reader of stdout stops the workers' output for as long as it lasts. */
const foreverMs = 2 ** 31 - 1;
const newline = 10;

/**
 * Passes whole lines of the workers on to one output, so that lines of different workers never mix: a write of more than 4 KiB to a
 * pipe is not atomic. Reads no more while the output is busy. The writer of each worker then holds its lines, within its limits, and
 * decides which lines to drop.
 */
export function createLineMerger(output: Pick<LineWriter, 'write' | 'flush'>): { add(source: Readable): void } {
  const sources = new Set<Readable>();
  let isBusy = false;

  return {
    add(source) {
      let rest: Buffer = Buffer.alloc(0);
      sources.add(source);
      source.on('data', (chunk: Buffer) => {
        const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
        const end = bytes.lastIndexOf(newline) + 1 || (bytes.length > maxLineBytes ? bytes.length : 0);
        rest = bytes.subarray(end);
        if (end > 0) pass(bytes.subarray(0, end));
      });
      // The rest of a line of a killed worker is no line: it is dropped.
      source.on('close', () => sources.delete(source));
      source.on('error', () => undefined);
      if (isBusy) source.pause();
    },
  };

  function pass(lines: Buffer): void {
    // The writers of the workers have dropped what exceeds their limits: nothing more is dropped here.
    output.write(lines.toString(), true);
    if (isBusy) return;
    isBusy = true;
    for (const source of sources) source.pause();
    output.flush(foreverMs).then(resume, resume);
  }

  function resume(): void {
    isBusy = false;
    for (const source of sources) source.resume();
  }
}
