import { quoted } from './json-text.ts';

/** The JSON of a value of the log. */
export function jsonOf(value: unknown): string {
  return typeof value === 'string' ? quoted(value) : JSON.stringify(plain(value));
}

/** Hides nested values, which could hold anything. Lists of strings and tables of numbers are the exceptions. */
function plain(value: unknown): unknown {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return value.map((item) => (typeof item === 'string' ? item : '[hidden]'));
  if (typeof value !== 'object' || value === null) return '[hidden]';
  return Object.values(value).every((count) => typeof count === 'number') ? value : '[hidden]';
}

/** Omits the error's message: it may quote user input or the provider's response. */
export function describe(cause: unknown, depth = 0): unknown {
  if (!(cause instanceof Error)) return typeof cause;
  const { code } = cause as { code?: unknown };
  return {
    name: cause.name,
    ...(typeof code === 'string' && { code }),
    stack: (cause.stack ?? '')
      .split('\n')
      .filter((text) => /^\s+at /.test(text))
      .slice(0, 8),
    ...(cause.cause !== undefined && depth < 3 && { cause: describe(cause.cause, depth + 1) }),
  };
}
