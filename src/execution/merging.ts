import {
  type ArgumentNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLNamedType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  isInterfaceType,
  isObjectType,
  Kind,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql';
import type { RequestError } from '../errors.ts';
import { fragmentsOf, responseNameOf } from './fields.ts';
import { invalid } from './limits.ts';

/** A selection set and the type of its objects. */
interface Place {
  readonly set: SelectionSetNode;
  readonly type: GraphQLNamedType | undefined;
}

/** All selections of one response name at one place of the response: the first of them, and their number. */
interface Group {
  readonly node: FieldNode;
  readonly type: GraphQLOutputType | undefined;
  readonly below: Place[];
  count: number;
}

/**
 * Visited selections of a document. A fragment counts for each place of the response. An ordinary document has fewer than 1,000;
 * 50,000 take about 5 ms.
 */
const maxVisits = 50_000;

/** Comparisons of two selections or two fragments. graphql-js needs up to 5 µs for each in a new process. */
const maxComparisons = 5_000;

/**
 * Whether OverlappingFieldsCanBeMergedRule of graphql-js must decide. It compares each pair of selections at one place of the
 * response, which takes up to 400 ms within the limits of a document. This function compares each selection with the first one.
 * If all are the same field with the same arguments, no pair can conflict.
 *
 * @returns `false` also for a document with a cycle of fragments, which another rule rejects.
 * @throws RequestError `OPERATION_TOO_COMPLEX` if the rule would need too many comparisons.
 */
export function needsComparisons(schema: GraphQLSchema, document: DocumentNode): boolean {
  const fragments = fragmentsOf(document);
  if (haveCycle(fragments)) return false;
  const reached = new Set<FragmentDefinitionNode>();
  let visits = 0;
  let comparisons = 0;
  let isUniform = true;
  for (const node of document.definitions) {
    if (node.kind !== Kind.OPERATION_DEFINITION) continue;
    merge([{ set: node.selectionSet, type: schema.getRootType(node.operation) ?? undefined }]);
  }
  for (const node of document.definitions) {
    if (node.kind === Kind.FRAGMENT_DEFINITION && !reached.has(node)) merge([placeOf(node)]);
  }
  if (visits > maxVisits || (!isUniform && comparisons > maxComparisons)) {
    throw repeatsTooMuch();
  }
  return !isUniform;

  function merge(places: readonly Place[]): void {
    const groups = new Map<string, Group>();
    const spread = new Set<string>();
    let spreads = 0;
    for (const place of places) collect(place);
    if (spreads > 0) comparisons += pairsOf(places.length + spreads);
    for (const { count, below } of groups.values()) {
      comparisons += pairsOf(count);
      if (below.length > 0 && visits <= maxVisits) merge(below);
    }

    function collect({ set, type }: Place): void {
      visits += set.selections.length;
      if (visits > maxVisits) return;
      for (const node of set.selections) {
        if (node.kind === Kind.FIELD) add(groups, node, type);
        else if (node.kind === Kind.INLINE_FRAGMENT) {
          const condition = node.typeCondition;
          collect({ set: node.selectionSet, type: condition ? schema.getType(condition.name.value) : type });
        } else {
          spreads += 1;
          const fragment = fragments[node.name.value];
          if (fragment === undefined || spread.has(node.name.value)) continue;
          spread.add(node.name.value);
          reached.add(fragment);
          collect(placeOf(fragment));
        }
      }
    }
  }

  function add(groups: Map<string, Group>, node: FieldNode, parent: GraphQLNamedType | undefined): void {
    const hasFields = isObjectType(parent) || isInterfaceType(parent);
    const type = hasFields ? parent.getFields()[node.name.value]?.type : undefined;
    const name = responseNameOf(node);
    let group = groups.get(name);
    if (group === undefined) {
      group = { node, type, below: [], count: 0 };
      groups.set(name, group);
    } else if (!isSame(group, node, type)) isUniform = false;
    group.count += 1;
    if (node.selectionSet) group.below.push({ set: node.selectionSet, type: type && getNamedType(type) });
  }

  function placeOf({ selectionSet, typeCondition }: FragmentDefinitionNode): Place {
    return { set: selectionSet, type: schema.getType(typeCondition.name.value) };
  }
}

function pairsOf(count: number): number {
  return (count * (count - 1)) / 2;
}

export function repeatsTooMuch(): RequestError {
  return invalid('OPERATION_TOO_COMPLEX', 'The document repeats too many fields.');
}

function haveCycle(fragments: Readonly<Record<string, FragmentDefinitionNode>>): boolean {
  /** Fragments by name: whether all fragments below them were visited. */
  const visited = new Map<string, boolean>();
  return Object.keys(fragments).some(isInCycle);

  function isInCycle(name: string): boolean {
    const isDone = visited.get(name);
    if (isDone !== undefined) return !isDone;
    visited.set(name, false);
    const set = fragments[name]?.selectionSet;
    const isCycle = set !== undefined && leadsToCycle(set);
    visited.set(name, true);
    return isCycle;
  }

  function leadsToCycle({ selections }: SelectionSetNode): boolean {
    return selections.some((node) => {
      if (node.kind === Kind.FRAGMENT_SPREAD) return isInCycle(node.name.value);
      return node.selectionSet !== undefined && leadsToCycle(node.selectionSet);
    });
  }
}

function isSame(group: Group, node: FieldNode, type: GraphQLOutputType | undefined): boolean {
  return (
    group.type === type &&
    group.node.name.value === node.name.value &&
    haveSameValues(group.node.arguments ?? [], node.arguments ?? [])
  );
}

/** Also `false` for the same names in another order. */
function haveSameValues(
  one: readonly Pick<ArgumentNode, 'name' | 'value'>[],
  other: readonly Pick<ArgumentNode, 'name' | 'value'>[],
): boolean {
  return (
    one.length === other.length &&
    one.every(({ name, value }, index) => {
      const same = other[index];
      return same !== undefined && name.value === same.name.value && isSameValue(value, same.value);
    })
  );
}

function isSameValue(one: ValueNode, other: ValueNode): boolean {
  if (one.kind === Kind.VARIABLE) return other.kind === Kind.VARIABLE && one.name.value === other.name.value;
  if (one.kind === Kind.OBJECT) return other.kind === Kind.OBJECT && haveSameValues(one.fields, other.fields);
  if (one.kind === Kind.LIST) {
    if (other.kind !== Kind.LIST || one.values.length !== other.values.length) return false;
    return one.values.every((value, index) => {
      const same = other.values[index];
      return same !== undefined && isSameValue(value, same);
    });
  }
  if (one.kind === Kind.NULL) return other.kind === Kind.NULL;
  return one.kind === other.kind && 'value' in other && one.value === other.value;
}
