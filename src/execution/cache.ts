/** A cache with two generations, limited by the weight of its entries. */
export interface Cache<Value> {
  get(key: string): Value | undefined;
  set(key: string, value: Value, weight: number): void;
  /** Adds weight for an entry that has grown since it was set. */
  grow(weight: number): void;
}

/**
 * When the young generation has half of the maximum weight, it becomes the old one, and the unused entries of the old one
 * are dropped. A least recently used order would need a delete and a set for each hit: that leaves old tables of the map
 * behind, and the garbage collector then keeps the objects after them.
 */
export function createCache<Value>(maxWeight: number): Cache<Value> {
  let young = new Map<string, Entry<Value>>();
  let old = new Map<string, Entry<Value>>();
  let weight = 0;
  const add = (more: number) => {
    weight += more;
    if (weight <= maxWeight / 2) return;
    old = young;
    young = new Map();
    weight = 0;
  };
  return {
    get(key) {
      const known = young.get(key);
      if (known !== undefined) return known.value;
      const entry = old.get(key);
      if (entry === undefined) return undefined;
      young.set(key, entry);
      add(entry.weight);
      return entry.value;
    },
    set(key, value, entryWeight) {
      young.set(key, { value, weight: entryWeight });
      add(entryWeight);
    },
    grow: add,
  };
}

interface Entry<Value> {
  readonly value: Value;
  readonly weight: number;
}
