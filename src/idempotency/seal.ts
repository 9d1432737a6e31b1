import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';

/** A merchant with its API keys, the current one first. The older one is valid while the key rotates. */
export interface KeyedMerchant {
  readonly merchantId: string;
  readonly keys: () => readonly { reveal(): string }[];
}

/** The keys that are derived from one API key of a merchant. */
export interface Seals {
  /** A keyed hash of personal data. */
  hash(parts: readonly unknown[]): string;
  /** Encrypts a text. `name` is authenticated with it, so that it opens under no other name. */
  seal(text: string, name: string): string;
  /** @returns `undefined` if the text was not sealed by this key under this name. */
  open(sealed: string, name: string): string | undefined;
}

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

/** Creates a function that derives the keys of a merchant, the current ones first. It derives them once for each API key. */
export function createKeyring(): (merchant: KeyedMerchant) => readonly Seals[] {
  // By object: a merchant keeps the object of a key that does not change.
  const known = new WeakMap<object, Seals>();
  return ({ merchantId, keys }) =>
    keys().map((key) => {
      const derived = known.get(key) ?? derive(key.reveal(), merchantId);
      known.set(key, derived);
      return derived;
    });
}

function derive(apiKey: string, merchantId: string): Seals {
  const keyFor = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', apiKey, '', `customer-gateway idempotency ${purpose} ${merchantId}`, 32));
  const hashKey = keyFor('hash');
  const sealKey = keyFor('seal');
  return {
    // JSON separates the parts unambiguously.
    hash: (parts) => createHmac('sha256', hashKey).update(JSON.stringify(parts)).digest('base64url'),
    seal(text, name) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv(algorithm, sealKey, nonce).setAAD(Buffer.from(name));
      const encrypted = [nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()];
      return Buffer.concat(encrypted).toString('base64');
    },
    open(sealed, name) {
      try {
        const bytes = Buffer.from(sealed, 'base64');
        const cipher = createDecipheriv(algorithm, sealKey, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
          .setAAD(Buffer.from(name))
          .setAuthTag(bytes.subarray(-tagBytes));
        return cipher.update(bytes.subarray(nonceBytes, -tagBytes), undefined, 'utf8') + cipher.final('utf8');
      } catch {
        // Another key or another name, or a changed text. It counts as not kept.
        return undefined;
      }
    },
  };
}
