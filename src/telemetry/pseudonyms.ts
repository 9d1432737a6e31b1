import { hash } from 'node:crypto';

/** Pseudonyms of the persons and callers of one merchant, for the log. Without the key, a guessed identifier cannot be confirmed. */
export interface Pseudonyms {
  /** The first 16 hexadecimal digits of HMAC-SHA-256. */
  of(text: string): string;
  /** The same. Remembers the results, because callers are few. */
  ofCaller(name: string): string;
}

/** Callers whose pseudonyms are kept. */
const maxCallers = 1_000;

/** @param key the key of the merchant. */
export function createPseudonyms(key: string): Pseudonyms {
  const hmac = hmacWith(key);
  const callers = new Map<string, string>();
  const of = (text: string) => hmac(text).slice(0, 16);
  return {
    of,
    ofCaller(name) {
      let known = callers.get(name);
      if (known === undefined) {
        known = of(name);
        if (callers.size >= maxCallers) callers.clear();
        callers.set(name, known);
      }
      return known;
    },
  };
}

/** The block length of SHA-256 in bytes. */
const blockBytes = 64;
const digestBytes = 32;

/**
 * HMAC-SHA-256 in hexadecimal digits (RFC 2104) as two one-shot hashes: 0.8 µs instead of 1.9 to 3.1 with `createHmac`, which creates
 * two native objects and a stream. That is 3 % of the time of a create.
 */
function hmacWith(key: string): (text: string) => string {
  const bytes = Buffer.from(key);
  const short = bytes.length > blockBytes ? hash('sha256', bytes, 'buffer') : bytes;
  const padded = (mask: number, length: number) => {
    const block = Buffer.alloc(length);
    for (let at = 0; at < blockBytes; at += 1) block[at] = (short[at] ?? 0) ^ mask;
    return block;
  };
  const inner = padded(0x36, blockBytes);
  const outer = padded(0x5c, blockBytes + digestBytes);
  return (text) => {
    const message = Buffer.allocUnsafe(blockBytes + Buffer.byteLength(text));
    inner.copy(message);
    message.write(text, blockBytes);
    hash('sha256', message, 'buffer').copy(outer, blockBytes);
    return hash('sha256', outer, 'hex');
  };
}
