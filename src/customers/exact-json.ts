/** A number with a fraction or an exponent, outside of a text. Some texts hold one too, which costs time and nothing else. */
const hasFraction = /[:,[\s]-?\d+[.eE]/;

/** The texts of valid JSON, and its numbers. */
const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Parses to `Infinity`, which no id is. */
const noInteger = '1e999';

/**
 * Parses JSON in which numbers may be ids: one that would become a safe integer only because it is rounded, such as
 * `9007199254740991.4` or `1e-400`, becomes `Infinity`, which no id is. `1.0`, `1e3` and `-0` are exactly the integers 1,
 * 1000 and 0. An integer without a fraction needs no check: if it is rounded, it is no safe integer.
 *
 * Not by a reviver, which takes ten times as long: callers pay for the work that they cause.
 *
 * @throws SyntaxError for what is no JSON.
 */
export function parseExactJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!hasFraction.test(text)) return value;
  const exact = text.replace(tokens, (token) => (isRounded(token) ? noInteger : token));
  return exact === text ? value : JSON.parse(exact);
}

function isRounded(token: string): boolean {
  if (token.startsWith('"') || !/[.eE]/.test(token)) return false;
  const value = Number(token);
  return Number.isSafeInteger(value) && !isExactly(value, token);
}

/** Whether a number of JSON, as it is written, is this integer. */
function isExactly(integer: number, source: string): boolean {
  const [, whole = '', fraction = '', exponent = '0'] = /^-?(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(source) ?? [];
  const digits = trimZeros(whole + fraction);
  if (digits.text === '') return whole !== '' && integer === 0;
  const zeros = Number(exponent) - fraction.length + digits.trailing;
  // 2^53 has 16 digits.
  if (zeros < 0 || zeros > 16) return false;
  return digits.text + '0'.repeat(zeros) === String(Math.abs(integer));
}

/** Without leading and trailing zeros. A loop, since a pattern takes quadratic time on a long run of zeros. */
function trimZeros(digits: string): { text: string; trailing: number } {
  let end = digits.length;
  while (end > 0 && digits[end - 1] === '0') end -= 1;
  let start = 0;
  while (start < end && digits[start] === '0') start += 1;
  return { text: digits.slice(start, end), trailing: digits.length - end };
}
