import assert from 'node:assert/strict';
import { test } from 'node:test';
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
