import { type GraphQLResolveInfo, isObjectType, type SelectionSetNode } from 'graphql';
import { fieldsOf, responseNameOf, selectionSetsOf } from './fields.ts';

type Path = GraphQLResolveInfo['path'];

/** The fields of one object type by response name, each with its rank in the response and its selections. */
type Level = ReadonlyMap<string, { readonly rank: number; readonly below: Place }>;

interface Place {
  readonly sets: readonly SelectionSetNode[];
  readonly levels: Map<string, Level>;
}

/**
 * Creates a function that maps the path of a field to its position in the response. A position is a list of ranks and list
 * indices, to be compared with {@link compareOrder}. The function reads each selection set once.
 */
export function createOrder(info: GraphQLResolveInfo): (path: Path) => readonly number[] {
  const root: Place = { sets: [info.operation.selectionSet], levels: new Map() };
  return (path) => {
    const steps: Path[] = [];
    for (let step: Path | undefined = path; step !== undefined; step = step.prev) steps.unshift(step);
    let place: Place | undefined = root;
    return steps.map(({ key, typename }) => {
      if (typeof key === 'number') return key;
      const entry: { rank: number; below: Place } | undefined = place && levelOf(place, typename ?? '').get(key);
      place = entry?.below;
      return entry?.rank ?? 0;
    });
  };

  function levelOf(place: Place, typename: string): Level {
    const known = place.levels.get(typename);
    if (known !== undefined) return known;
    const level = new Map<string, { rank: number; below: Place }>();
    const type = info.schema.getType(typename);
    if (isObjectType(type)) {
      for (const node of fieldsOf(info, type, place.sets)) {
        const name = responseNameOf(node);
        const entry = level.get(name) ?? { rank: level.size, below: { sets: [], levels: new Map() } };
        const below = { sets: [...entry.below.sets, ...selectionSetsOf([node])], levels: new Map() };
        level.set(name, { rank: entry.rank, below });
      }
    }
    place.levels.set(typename, level);
    return level;
  }
}

/** Returns a negative number if `one` comes first in the response. */
export function compareOrder(one: readonly number[], other: readonly number[]): number {
  for (const [index, rank] of one.entries()) {
    const difference = rank - (other[index] ?? -1);
    if (difference !== 0) return difference;
  }
  return one.length - other.length;
}
