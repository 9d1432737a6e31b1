import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TurnoverMap } from '../../src/customers/turnover-map.ts';

const step = fc.record({ key: fc.nat(12).map(String), action: fc.constantFrom('set', 'set', 'delete', 'clear') });

test('a TurnoverMap MUST have the entries of a Map after any steps', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const expected = new Map<string, object>();
      const map = new TurnoverMap<object>();
      for (const { key, action } of steps) {
        if (action === 'set') {
          const value = {};
          expected.set(key, value);
          map.set(key, value);
        } else if (action === 'delete') {
          expected.delete(key);
          map.delete(key);
        } else {
          expected.clear();
          map.clear();
        }
        assert.equal(map.size, expected.size);
        assert.equal(map.get(key), expected.get(key));
      }
      assert.deepEqual([...map.keys()].toSorted(), [...expected.keys()].toSorted());
    }),
  );
});

test('a TurnoverMap MUST keep its entries over many others that come and go, and may be changed while it is iterated', () => {
  const map = new TurnoverMap<object>();
  const kept = { kept: true };
  map.set('kept', kept);
  for (let n = 0; n < 10_000; n += 1) {
    map.set(`key ${n}`, { n });
    if (n >= 100) map.delete(`key ${n - 100}`);
  }
  assert.equal(map.size, 101);
  assert.equal(map.get('kept'), kept);
  for (const key of map.keys()) map.delete(key);
  assert.equal(map.size, 0);
});
