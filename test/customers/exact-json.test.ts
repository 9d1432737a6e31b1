import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseExactJson } from '../../src/customers/exact-json.ts';

const parse = (source: string) => (parseExactJson(`{"id":${source}}`) as { id: unknown }).id;

for (const [source, integer] of [
  ['7', 7],
  ['-7', -7],
  ['9007199254740991', 9007199254740991],
  ['9007199254740991.0', 9007199254740991],
  ['1.0', 1],
  ['-1.00', -1],
  ['1e3', 1000],
  ['1E+3', 1000],
  ['1.5e1', 15],
  ['0.001e3', 1],
  ['1000e-3', 1],
  ['120.50e2', 12050],
  ['900719925474099100e-2', 9007199254740991],
  [`1${'0'.repeat(1_000)}e-1000`, 1],
  [`0.${'0'.repeat(1_000)}1e1001`, 1],
  ['0.0', 0],
  ['0e9', 0],
  ['-0', -0],
  ['-0.0', -0],
] as const) {
  test(`${source.slice(0, 30)} MUST be read as the integer ${integer}`, () => assert.equal(parse(source), integer));
}

for (const source of [
  '9007199254740991.4',
  '-9007199254740991.4',
  '9007199254740991.0000000001',
  '1.0000000000000000001',
  '0.99999999999999999999',
  '1e-400',
  '-1e-400',
  '1e-99999999999999999999',
  '100000000000000000001e-20',
  `0.${'0'.repeat(400)}1`,
]) {
  test(`${source.slice(0, 30)} MUST NOT be read as an integer, although JSON.parse rounds it to one`, () => {
    assert.ok(Number.isSafeInteger(JSON.parse(source)));
    for (const text of [`{"id":${source}}`, `{"id": ${source} }`, `{"id":[1,${source}]}`, `{"id":[\n${source}]}`]) {
      const { id } = parseExactJson(text) as { id: unknown };
      assert.equal(Array.isArray(id) ? id.at(-1) : id, Number.POSITIVE_INFINITY, text);
    }
  });
}

test('all other numbers and values MUST be parsed as by JSON.parse', () => {
  const text =
    '{"a":1.5,"b":1e30,"c":1e400,"d":"1.0e5, 2.5","e":[null,true,{"__proto__":1.5}],"f":12345678901234567890}';
  assert.deepEqual(parseExactJson(text), JSON.parse(text));
  assert.throws(() => parseExactJson('{"a":1.5'), SyntaxError);
  const mixed = '{"a\\\\":"1e-400 \\" 1e-400","b":1e-400,"1e-400":"\\\\"}';
  assert.deepEqual(parseExactJson(mixed), { ...(JSON.parse(mixed) as object), b: Number.POSITIVE_INFINITY });
});

/** Whether a JSON number has exactly the value of an integer, by integers of any size. */
function isEqual(source: string, integer: number): boolean {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source) ?? [];
  const zeros = Number(exponent) - fraction.length;
  const digits = BigInt(sign + whole + fraction) * 10n ** BigInt(Math.max(0, zeros));
  return digits === BigInt(integer) * 10n ** BigInt(Math.max(0, -zeros));
}

const digits = (maxLength: number) =>
  fc.array(fc.oneof(fc.constantFrom('0', '9'), fc.integer({ min: 0, max: 9 }).map(String)), { maxLength });
const manyZeros = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 350 })).map((count) => '0'.repeat(count));
/** Numbers in every notation, near the limits of 15 to 17 digits and of exponents of two and three digits. */
const numbers = fc
  .record({
    sign: fc.constantFrom('', '-'),
    whole: digits(18).map((list) => list.join('').replace(/^0+(?=.)/, '') || '0'),
    fraction: fc.option(fc.tuple(manyZeros, digits(18)), { nil: undefined }),
    exponent: fc.option(
      fc.tuple(
        fc.constantFrom('e', 'E', 'e+', 'e-', 'E-'),
        fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 420 })),
        fc.constantFrom('', '0', '00'),
      ),
      { nil: undefined },
    ),
  })
  .map(({ sign, whole, fraction, exponent }) => {
    const point = fraction === undefined ? '' : `.${fraction[0]}${fraction[1].join('') || '0'}`;
    return `${sign}${whole}${point}${exponent === undefined ? '' : `${exponent[0]}${exponent[2]}${exponent[1]}`}`;
  });

test('every number MUST keep its value, unless only rounding makes it an integer', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string(), numbers), { minLength: 1, maxLength: 5 }), (entries) => {
      const items = entries.map(([text, source]) => `${JSON.stringify(`${text}1e-400,`)}: ${source}`);
      const expected = entries.flatMap(([text, source]) => {
        const value = JSON.parse(source) as number;
        const isRounded = Number.isSafeInteger(value) && !isEqual(source, value);
        return [{ [`${text}1e-400,`]: isRounded ? Number.POSITIVE_INFINITY : value }];
      });
      assert.deepEqual(parseExactJson(`[${items.map((item) => `{${item}}`).join(',')}]`), expected);
    }),
    { numRuns: 3_000 },
  );
});

/** A list of equal items with about this length. A fraction precedes them, so that no text is skipped. */
const listOf = (item: string, length: number) => `[0.5${`,${item}`.repeat(length / (item.length + 1))}]`;

/** The shortest of several times in ms, because the others include pauses. Both are measured in turn. */
function shortest(...runs: readonly (() => unknown)[]): number[] {
  const times = runs.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < 25; round += 1) {
    for (const [index, run] of runs.entries()) {
      const startedAtMs = performance.now();
      run();
      times[index] = Math.min(times[index] ?? 0, performance.now() - startedAtMs);
    }
  }
  return times;
}

for (const item of ['1.5', '1.0', '0.0', '1e0', '0e-10', '""', '"1.0"', '"\\\\"']) {
  test(`a text of ${item} MUST take at most five times as long as with JSON.parse`, () => {
    const text = listOf(item, 200_000);
    const [exact = 0, plain = 0] = shortest(
      () => parseExactJson(text),
      () => JSON.parse(text),
    );
    assert.ok(exact <= 5 * plain, `${exact} ms instead of ${plain} ms`);
  });
}

for (const [what, textOf] of [
  ['numbers that are rounded', (length: number) => listOf('1e-400', length)],
  ['numbers of many digits', (length: number) => listOf('1.0000000000000000', length)],
  ['one number of many digits', (length: number) => `[1.${'0'.repeat(length)}]`],
  ['one number of many zeros', (length: number) => `[0.${'0'.repeat(length)}1]`],
  ['one string of escapes', (length: number) => `[0.5,"${'\\\\'.repeat(length / 2)}"]`],
  ['one string of quotes', (length: number) => `[0.5,"${'\\"'.repeat(length / 2)}"]`],
] as const) {
  test(`the time for ${what} MUST grow in proportion to the text`, () => {
    const [short, long] = [textOf(50_000), textOf(800_000)];
    const [once = 0, sixteenTimes = 0] = shortest(
      () => parseExactJson(short),
      () => parseExactJson(long),
    );
    // Quadratic time would be 256 times as long.
    assert.ok(sixteenTimes <= 64 * once, `${sixteenTimes} ms instead of ${once} ms`);
  });
}
