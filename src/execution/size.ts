import { unescaped } from '../telemetry/json-text.ts';

/**
 * Returns whether a value has more than `maxBytes` bytes as JSON. It does not build the JSON, and stops at the limit.
 *
 * @param value plain data of a GraphQL result: no `toJSON`, no cycles.
 */
export function exceedsJsonBytes(value: unknown, maxBytes: number): boolean {
  let left = maxBytes;
  const keys = new Map<string, number>();
  return !fits(value);

  function fits(part: unknown): boolean {
    // A text has at least as many bytes as characters, so a text that is too long is not measured.
    if (typeof part === 'string') left -= part.length > left ? part.length : bytesOfText(part);
    else if (Array.isArray(part)) {
      left -= 2 + Math.max(0, part.length - 1);
      for (const item of part) if (left < 0 || !fits(item)) return false;
    } else if (typeof part === 'object' && part !== null) {
      let count = 0;
      for (const name in part) {
        const inner = (part as Record<string, unknown>)[name];
        if (inner === undefined) continue;
        // The key includes its quotes. Add the colon, and a comma before all keys but the first.
        left -= bytesOfKey(name) + (count === 0 ? 1 : 2);
        count += 1;
        if (left < 0 || !fits(inner)) return false;
      }
      left -= 2;
    } else left -= String(part ?? null).length;
    return left >= 0;
  }

  function bytesOfKey(name: string): number {
    const known = keys.get(name);
    if (known !== undefined) return known;
    const bytes = bytesOfText(name);
    keys.set(name, bytes);
    return bytes;
  }
}

export function bytesOfText(text: string): number {
  return unescaped.test(text) ? text.length + 2 : Buffer.byteLength(JSON.stringify(text));
}

/** Returns whether a text has more than `maxBytes` bytes in UTF-8. A character has at most three. */
export function exceedsBytes(text: string, maxBytes: number): boolean {
  return text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes;
}
