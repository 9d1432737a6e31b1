/**
 * Adds an item to a list that nearly always has one. The first `push` to an empty array reserves 17 places, 150 bytes, and each call has
 * several such lists.
 *
 * @returns the list.
 */
export function added<Item>(list: Item[] | undefined, item: Item): Item[] {
  if (list === undefined) return [item];
  list.push(item);
  return list;
}
