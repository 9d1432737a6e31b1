import { settings } from './settings.ts';

/**
 * Finds unknown variables with the prefix of a setting. @returns a sentence with a suggestion for each.
 *
 * @param isMounted whether the environment belongs to another program. Other libraries (Auth.js) use the prefix `AUTH_` too, so such a
 *   name is reported only if it is similar to a setting.
 */
export function unknownNames(
  environment: Readonly<Record<string, string | undefined>>,
  { isMounted = false }: { readonly isMounted?: boolean } = {},
): string[] {
  const known: string[] = settings.flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name]));
  const problems: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (!value || !/^(JUSPAY|AUTH|LIMIT)_/.test(name) || known.includes(name) || isInjected(name)) continue;
    const meant = nearest(name, known);
    if (isMounted && name.startsWith('AUTH_') && distance(name, meant) > 2) continue;
    problems.push(`${name} is not a setting. Did you mean ${meant}?`);
  }
  return problems;
}

/** Returns the known name with the smallest edit distance. */
export function nearest(name: string, known: readonly string[]): string {
  return known.toSorted((a, b) => distance(a, name) - distance(b, name))[0] ?? '';
}

/** Whether Kubernetes injects a variable of this name for a Service, such as one named `juspay`. */
function isInjected(name: string): boolean {
  return /_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT$|_PORT_\d+_(TCP|UDP|SCTP)(_|$)/.test(name);
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
