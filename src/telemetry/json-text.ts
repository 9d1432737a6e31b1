/** Printable ASCII without quotes and backslashes. JSON does not escape it. */
export const unescaped = /^[ !#-[\]-~]*$/;

/** The JSON of a text. Three of four texts need no escapes; `JSON.stringify` takes twice the time for them. */
export function quoted(text: string): string {
  return unescaped.test(text) ? `"${text}"` : JSON.stringify(text);
}

/**
 * A concatenated text as one piece. V8 keeps a concatenation as a tree of its pieces, and copies them one by one each time the text
 * becomes part of another one: 50 copies of ten customers take 30 µs, and 11 µs as one piece.
 */
export function inOnePiece(text: string): string {
  // Reading a character makes V8 copy the pieces into one. The result of the read is used, or the compiler would remove the read. JSON
  // never begins with NUL.
  return text.charCodeAt(0) === 0 ? '' : text;
}
