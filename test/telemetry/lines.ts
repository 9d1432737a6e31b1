// Writes generated lines with the line writer, for line-writer.test.ts. Its argument is the seed.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createLineWriter } from '../../src/telemetry/line-writer.ts';
import { generatedLines } from './generated-lines.ts';

const writer = createLineWriter({ report: (count) => `${count} dropped\n` });
for (const [index, line] of generatedLines(Number(process.argv[2])).entries()) {
  writer.write(line);
  if (index % 7 === 0) await nextTurn();
}
await writer.flush(10_000);
writer.end(0);
