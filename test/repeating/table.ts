import { readFileSync } from 'node:fs';
import type { ProgramResults } from './modes.ts';
import { type ProgramName, programNames, programs } from './programs.ts';
import type { Report } from './run.ts';

export type Results = Readonly<Partial<Record<ProgramName, ProgramResults>>>;

export const resultsFile = new URL('results.json', import.meta.url);
export const readResults = () => JSON.parse(readFileSync(resultsFile, 'utf8')) as Results;

const format = (count: number | undefined) => (count === undefined ? '–' : count.toLocaleString('en'));

/** The rows of docs/retries.md. A pair is without and with an `Idempotency-Key`. A program without published figures has none. */
export function rowsOfResults(results: Results): string[] {
  return programNames.map((name) => {
    const { version, modes: found = {} } = results[name] ?? {};
    const { plain, keyed, notUnique, notUniqueKeyed, notUniqueSound } = found;
    const pair = (count: (report: Report) => number) =>
      [plain, keyed].map((report) => format(report && count(report))).join(' / ');
    const both = (count: (report: Report) => number) =>
      format(plain && count(plain) + (keyed === undefined ? 0 : count(keyed)));
    const cells = [
      programs[name].name + (version === undefined ? '' : ` (${version})`),
      format(plain && plain.creates + plain.updates),
      both(({ duplicates }) => duplicates),
      both(({ falseFailures }) => falseFailures),
      both(({ lost }) => lost),
      pair(({ plainFailures }) => plainFailures),
      pair(({ undone, undoneByProvider = 0 }) => undone + undoneByProvider),
      pair(({ unknown }) => unknown),
      [notUnique, notUniqueKeyed, notUniqueSound].map((report) => format(report?.duplicates)).join(' / '),
    ];
    return `| ${cells.join(' | ')} |`;
  });
}
