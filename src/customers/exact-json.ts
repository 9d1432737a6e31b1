/** Finds a number with a fraction or an exponent. A match inside a string is possible; it only costs time. */
const hasFraction = /[:,[\s]-?\d+[.eE]/;

/** Strings and numbers of valid JSON. */
const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** `JSON.parse` returns `Infinity` for it. */
const infinity = '1e999';

/**
 * Parses JSON whose numbers can be ids. A number that becomes a safe integer only by rounding, such as
 * `9007199254740991.4` or `1e-400`, becomes `Infinity`, which is not a valid id. `1.0`, `1e3` and `-0` are exactly the
 * integers 1, 1000 and 0. A number without fraction and exponent needs no check: after rounding it is not a safe integer.
 *
 * A reviver of `JSON.parse` is not used, because it takes ten times as long.
 *
 * @throws SyntaxError if the text is not valid JSON.
 */
export function parseExactJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!hasFraction.test(text)) return value;
  const exact = text.replace(tokens, (token) => (isRounded(token) ? infinity : token));
  return exact === text ? value : JSON.parse(exact);
}

function isRounded(token: string): boolean {
  if (token.startsWith('"') || !/[.eE]/.test(token)) return false;
  const value = Number(token);
  return Number.isSafeInteger(value) && !isExactly(value, token);
}

/** Whether the text of a JSON number has exactly the value of the integer. */
function isExactly(integer: number, source: string): boolean {
  const [, whole = '', fraction = '', exponent = '0'] = /^-?(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(source) ?? [];
  const digits = trimZeros(whole + fraction);
  if (digits.text === '') return whole !== '' && integer === 0;
  const zeros = Number(exponent) - fraction.length + digits.trailing;
  // 2^53 has 16 digits.
  if (zeros < 0 || zeros > 16) return false;
  return digits.text + '0'.repeat(zeros) === String(Math.abs(integer));
}

/** Removes leading and trailing zeros. A regular expression would take quadratic time for a long sequence of zeros. */
function trimZeros(digits: string): { text: string; trailing: number } {
  let end = digits.length;
  while (end > 0 && digits[end - 1] === '0') end -= 1;
  let start = 0;
  while (start < end && digits[start] === '0') start += 1;
  return { text: digits.slice(start, end), trailing: digits.length - end };
}
