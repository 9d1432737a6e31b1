import { readFileSync } from 'node:fs';
import type { ProgramResults } from './modes.ts';
import { type ProgramName, programNames, programs } from './programs.ts';

export type Results = Readonly<Partial<Record<ProgramName, ProgramResults>>>;

export const resultsFile = new URL('results.json', import.meta.url);
export const readResults = () => JSON.parse(readFileSync(resultsFile, 'utf8')) as Results;

const format = (count: number | undefined) => (count === undefined ? '–' : count.toLocaleString('en'));

/** The rows of docs/retries.md. A pair is without and with an `Idempotency-Key`. */
export function rowsOfResults(results: Results): string[] {
  return programNames
    .filter((name) => results[name] !== undefined)
    .map((name) => {
      const { version = '', modes: { plain, keyed, notUnique, notUniqueKeyed, notUniqueSound } = {} } =
        results[name] ?? {};
      const pair = (key: 'plainFailures' | 'undone' | 'unknown') => `${format(plain?.[key])} / ${format(keyed?.[key])}`;
      const operations = (plain?.creates ?? 0) + (plain?.updates ?? 0);
      const zero = (key: 'duplicates' | 'falseFailures' | 'lost') => format((plain?.[key] ?? 0) + (keyed?.[key] ?? 0));
      const cells = [
        `${programs[name].name} (${version})`,
        format(operations),
        zero('duplicates'),
        zero('falseFailures'),
        zero('lost'),
        pair('plainFailures'),
        pair('undone'),
        pair('unknown'),
        [notUnique, notUniqueKeyed, notUniqueSound].map((report) => format(report?.duplicates)).join(' / '),
      ];
      return `| ${cells.join(' | ')} |`;
    });
}
