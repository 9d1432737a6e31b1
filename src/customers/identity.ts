/** What could pass for an id of the provider's: a merchant's reference must not. */
const providerIdShape = /^c(?:st|th)_[A-Za-z0-9]{16,17}$/;

/** In code points. */
export const pathIdMaxLength = 128;

/** In code points, as the provider counts. */
export function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

/**
 * Whether a string can stand in the path of a call: 1 to 128 code points, not blank, no control characters, no
 * unpaired surrogates, not `.` or `..` (URL parsers fold those away even when percent-encoded, and the call would land
 * on another resource). Nothing is trimmed.
 */
export function isPathId(id: string): boolean {
  if (id === '.' || id === '..' || id.trim() === '' || /[\p{Cc}\p{Cs}]/u.test(id)) return false;
  return id.length <= pathIdMaxLength || lengthOf(id) <= pathIdMaxLength;
}

/** Whether a string has the shape of an id that the provider gives; nothing but the provider knows whether it is one. */
export function looksLikeProviderId(id: string): boolean {
  return providerIdShape.test(id);
}

/** A reference without ASCII case and outer blanks: two that fold to one may be one customer to the provider. */
export function foldReference(reference: string): string {
  return reference.trim().replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
