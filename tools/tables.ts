import { settings } from '../src/config/settings.ts';
import { codes } from '../src/errors.ts';
import { faults } from '../src/sandbox/faults.ts';

/** The generated tables of `docs/`: page and rows, without the header. */
export const tables: Readonly<Record<string, { readonly page: string; readonly rows: readonly string[] }>> = {
  settings: {
    page: 'docs/settings.md',
    rows: settings.map(
      ({ name, default: byDefault, meaning, secret }) =>
        `| \`${name}\`${secret ? ` or \`${name}_FILE\`` : ''} | ${byDefault} | ${meaning} |`,
    ),
  },
  errors: {
    page: 'docs/errors.md',
    rows: Object.entries(codes).map(
      ([code, { retryable, message }]) => `| \`${code}\` | ${retryable ? 'yes' : 'no'} | ${message} |`,
    ),
  },
  faults: {
    page: 'docs/sandbox.md',
    rows: Object.entries(faults).map(
      ([name, fault]) => `| \`fault_${name}\` | ${'row' in fault ? fault.row : '–'} | ${fault.meaning} |`,
    ),
  },
};

/** Replaces the rows between the comments `<!-- name -->` and `<!-- /name -->`. Keeps the two header lines. */
export function withTable(page: string, name: string, rows: readonly string[]): string {
  const marked = new RegExp(`(<!-- ${name} -->\\n(?:.*\\n){2})[\\s\\S]*?(<!-- /${name} -->)`);
  return page.replace(marked, (_all, head: string, end: string) => `${head}${rows.join('\n')}\n${end}`);
}
