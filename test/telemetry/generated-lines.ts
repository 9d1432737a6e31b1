import { createRandom } from '../fault-injection.ts';

const alphabets = ['abc {}":,', 'äöü€', '🙂a', '\u0001\\'];
/** Characters of a line: short ones, and ones around the size of a page in one, two and three bytes for each character. */
const lengths = [1, 40, 500, 21_000, 21_900, 32_768, 65_535, 65_536, 70_000];

/** Lines of all lengths and widths of characters, together below the limit of the buffer. */
export function generatedLines(seed: number): string[] {
  const random = createRandom(seed);
  const lines: string[] = [];
  for (let left = 700_000; left > 0; left -= Buffer.byteLength(lines.at(-1) ?? '')) {
    const alphabet = [...(alphabets[Math.floor(random() * alphabets.length)] ?? '')];
    const length = Math.min(lengths[Math.floor(random() * random() * lengths.length)] ?? 1, Math.ceil(left / 4));
    lines.push(`${Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)]).join('')}\n`);
  }
  return lines;
}
