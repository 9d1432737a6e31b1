import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { codes } from '../src/errors.ts';
import { faults } from '../src/sandbox/faults.ts';
import { settings } from '../src/settings.ts';
import { inWorld, rowsOf } from './support.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

test('the settings table MUST be the settings', () => {
  assert.deepEqual(
    rowsOf(readme, 'settings'),
    settings.map(
      ({ name, default: byDefault, meaning, secret }) =>
        `| \`${name}\`${secret ? ` or \`${name}_FILE\`` : ''} | ${byDefault} | ${meaning} |`,
    ),
  );
});

test('the error table MUST be the codes', () => {
  assert.deepEqual(
    rowsOf(readme, 'errors'),
    Object.entries(codes).map(
      ([code, { retryable, message }]) => `| \`${code}\` | ${retryable ? 'yes' : 'no'} | ${message} |`,
    ),
  );
});

test('the table of magic ids MUST be the faults', () => {
  assert.deepEqual(
    rowsOf(readme, 'faults'),
    Object.entries(faults).map(
      ([name, fault]) => `| \`fault_${name}\` | ${'row' in fault ? fault.row : '–'} | ${fault.meaning} |`,
    ),
  );
});

test('the field table MUST name every field of a customer and its token', () => {
  const fields = [...readme.matchAll(/^\| `(?:Customer|ClientAuthToken)\.(\w+)` \|/gm)].map(([, field]) => field);
  const sdl = readFileSync(new URL('../schema/schema.graphql', import.meta.url), 'utf8');
  const declared = ['Customer', 'ClientAuthToken'].flatMap((type) => {
    const body = new RegExp(`^type ${type} {([\\s\\S]*?)^}`, 'm').exec(sdl)?.[1] ?? '';
    return [...body.matchAll(/^ {2}(\w+):/gm)].map(([, field]) => field);
  });
  assert.deepEqual(fields.toSorted(), declared.toSorted());
});

test('every operation in README MUST give the answer that stands below it', () =>
  inWorld(async (world) => {
    const pairs = [...readme.matchAll(/```graphql\n((?:(?!```)[\s\S])*)```\n\n```json\n([\s\S]*?)```/g)];
    assert.ok(pairs.length >= 5);
    for (const [, operation = '', expected = ''] of pairs) {
      const { text } = await world.ask(operation);
      assert.deepEqual(blurred(JSON.parse(text), JSON.parse(expected)), JSON.parse(expected), operation);
    }
  }));

/** The answer with `…` wherever the expectation has it. */
function blurred(answer: unknown, expected: unknown): unknown {
  if (expected === '…' && typeof answer === 'string' && answer !== '') return '…';
  // A token's life, which counts down.
  if (typeof answer === 'number' && typeof expected === 'number' && answer > 0 && answer <= 900) return expected;
  if (Array.isArray(answer))
    return answer.map((item, index) => blurred(item, (expected as unknown[] | undefined)?.[index]));
  if (typeof answer !== 'object' || answer === null) return answer;
  return Object.fromEntries(
    Object.entries(answer).map(([name, value]) => [
      name,
      blurred(value, (expected as Record<string, unknown> | undefined)?.[name]),
    ]),
  );
}
