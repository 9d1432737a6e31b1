import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadConfig } from '../config/config.ts';
import { planOffline, planScopes } from '../explain/offline.ts';
import { linesOf } from '../explain/text.ts';

/** Invalid arguments of the command `explain`. */
export class ExplainUsageError extends Error {}

const usage =
  'Usage: explain FILE [--variables JSON|@FILE] [--operation NAME] [--scopes a,b] [--customer ID] [--json]. FILE is a GraphQL document.';

/**
 * Plans an operation without executing it: no network, and no setting but the limits.
 *
 * @returns the plan as lines; `isRefused` if the operation is refused.
 * @throws ExplainUsageError for invalid arguments; ConfigError for invalid limits.
 */
export async function explainFile(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<{ readonly lines: readonly string[]; readonly isRefused: boolean }> {
  const { values, file } = readArguments(argv);
  const { scopes, customer, operation: operationName } = values;
  const granted = scopes.split(',').filter((scope) => scope !== '');
  const unknown = granted.find((scope) => !planScopes.includes(scope));
  if (unknown !== undefined) throw new ExplainUsageError(`--scopes takes ${planScopes.join(', ')}.`);
  const limits = Object.entries(environment).filter(([name]) => name.startsWith('LIMIT_'));
  const plan = await planOffline({
    query: read(file),
    operationName,
    variables: values.variables.startsWith('@') ? read(values.variables.slice(1)) : values.variables,
    scopes: granted,
    customer,
    limits: loadConfig(Object.fromEntries(limits)).limits,
  });
  if (!('calls' in plan))
    return { lines: ['The operation is refused:', ...plan.map((text) => `  - ${text}`)], isRefused: true };
  return { lines: values.json ? [JSON.stringify(plan, null, 2)] : linesOf(plan), isRefused: false };
}

function readArguments(argv: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        variables: { type: 'string', default: '{}' },
        operation: { type: 'string' },
        scopes: { type: 'string', default: planScopes.join(',') },
        customer: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    });
    const [file, ...more] = positionals;
    if (file !== undefined && more.length === 0) return { values, file };
  } catch {
    // Reported below.
  }
  throw new ExplainUsageError(usage);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new ExplainUsageError(`${path} cannot be read.`);
  }
}
