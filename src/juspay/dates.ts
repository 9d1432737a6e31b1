const dateForm = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:(Z)|([+-]\d\d)(?::?(\d\d))?)$/i;
/** Dates are clamped to years of four digits, which an offset may exceed. */
const firstMs = Date.parse('0000-01-01T00:00:00Z');
const lastMs = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * Decodes a date of the provider: `…Z`, `+hh`, `+hhmm`, `+hh:mm`, and a fraction of any length, which is truncated to milliseconds.
 *
 * @returns `undefined` if the value is not such a date.
 */
export function decodeDate(value: unknown): Date | undefined {
  if (typeof value !== 'string') return undefined;
  const usual = parseUsual(value);
  if (usual !== undefined) return usual;
  const match = dateForm.exec(value.trim());
  if (match === null) return undefined;
  const [, day = '', time, fraction = '', utc, hours, minutes = '00'] = match;
  const offset = utc === undefined ? `${hours}:${minutes}` : 'Z';
  const atMs = Date.parse(`${day}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}${offset}`);
  const dayMs = Date.parse(day);
  // `Date.parse` turns 30 February into 1 March.
  if (Number.isNaN(atMs) || Number.isNaN(dayMs) || !new Date(dayMs).toISOString().startsWith(day)) return undefined;
  return new Date(Math.min(Math.max(atMs, firstMs), lastMs));
}

const zero = 0x30;
const minus = 0x2d;
const colon = 0x3a;
const upperT = 0x54;
const upperZ = 0x5a;
const usualLength = '2024-05-01T10:00:00Z'.length;

/**
 * Parses the form `2024-05-01T10:00:00Z`, which nearly every response has. The general parser takes 2 µs, an eighth of the time of a
 * read.
 *
 * @returns `undefined` for any other form, valid or not, and for the years before 1000.
 */
function parseUsual(text: string): Date | undefined {
  if (text.length !== usualLength || text.charCodeAt(10) !== upperT || text.charCodeAt(19) !== upperZ) return undefined;
  if (text.charCodeAt(4) !== minus || text.charCodeAt(7) !== minus) return undefined;
  if (text.charCodeAt(13) !== colon || text.charCodeAt(16) !== colon) return undefined;
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2);
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  const hour = twoDigits(text, 11);
  const minute = twoDigits(text, 14);
  const second = twoDigits(text, 17);
  // Comparisons with NaN are false.
  const isUsual = year >= 1000 && month >= 1 && month <= 12 && hour < 24 && minute < 60 && second < 60;
  if (!isUsual) return undefined;
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  // 30 February becomes 1 March.
  return (day >= 1 && day <= 28) || date.getUTCDate() === day ? date : undefined;
}

/** `NaN` if one of the two characters is not a digit. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - zero;
  const ones = text.charCodeAt(at + 1) - zero;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}
