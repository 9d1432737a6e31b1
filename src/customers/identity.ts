/** The format of provider ids. A new reference must not have it. */
const providerIdShape = /^c(?:st|th)_[A-Za-z0-9]{16,17}$/;

/** In code points. */
export const pathIdMaxLength = 128;

/** Length in code points, as the provider counts it. */
export function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

/**
 * Whether a string is valid in the path of a call: 1 to 128 code points, not blank, no control characters, no unpaired
 * surrogates, not `.` or `..`. URL parsers remove `.` and `..` even when percent-encoded, and the call would address
 * another resource. The string is not trimmed.
 */
export function isPathId(id: string): boolean {
  if (id === '.' || id === '..' || id.trim() === '' || /[\p{Cc}\p{Cs}]/u.test(id)) return false;
  return id.length <= pathIdMaxLength || lengthOf(id) <= pathIdMaxLength;
}

/** Whether a string has the format of a provider id. Only the provider knows whether the id exists. */
export function looksLikeProviderId(id: string): boolean {
  return providerIdShape.test(id);
}

/** Removes ASCII case and outer blanks: the provider may treat references that differ only in these as one customer. */
export function foldReference(reference: string): string {
  return reference.trim().replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
