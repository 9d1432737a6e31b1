import type { Call } from '../../src/sandbox/calls.ts';
import type { Sandbox } from '../../src/sandbox/server.ts';
import type { Mutation, Reply } from './operations.ts';
import { whatToTell } from './outcome.ts';

/** One operation as its person saw it. */
export interface Entry {
  readonly mutation: Mutation;
  /** Counts the events of all persons. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly reply: Reply;
  /** By `whatToTell`. */
  readonly told: 'done' | 'failed' | 'unknown';
}

/** What the books of the provider and those of the persons say together. Each number but the first ones must be 0. */
export interface Balance {
  readonly creates: number;
  readonly updates: number;
  readonly done: number;
  /** Definite failures that are true: the reference belongs to a customer with other data. */
  readonly refused: number;
  /** Honestly unknown: the person was told to send it again. */
  readonly unknown: number;
  /** Told by an app that takes each error, and each result but a success, for a failure, although the write happened. */
  readonly plainFailures: number;
  /** Commits of creates beyond one for each operation. */
  readonly duplicates: number;
  /** Definite failures of writes that happened. */
  readonly falseFailures: number;
  /** Definite failures without a reason. */
  readonly unexplained: number;
  /** Acknowledged writes that the provider does not have. */
  readonly lost: number;
  /** Acknowledged updates that an older one replaced: a request that arrived, or was executed, too late. */
  readonly undone: number;
  /** The same, by an attempt that the provider executed after the gateway had given up on it. No key covers that. */
  readonly undoneByProvider: number;
  /** Creates that are done, but were answered with `CustomerAlreadyExistsError`. */
  readonly existing: number;
}

export const toldOf = ({ result, codes = [] }: Reply) => whatToTell(result, codes);

/** Compares what persons were told with what the provider has committed. */
export function balanceOf(
  entries: readonly Entry[],
  { customers, calls }: Pick<Sandbox, 'customers' | 'calls'>,
): Balance {
  const committed = calls.filter((call) => call.committed);
  const commits = Map.groupBy(committed, identityOfCall);
  const stored = Map.groupBy(customers, ({ objectReferenceId }) => objectReferenceId);
  const happened = ({ mutation }: Entry) => commits.has(identityOf(mutation));
  const byIdentity = [...Map.groupBy(entries, ({ mutation }) => identityOf(mutation))];
  const creates = entries.filter(({ mutation }) => mutation.kind === 'create');
  const updates = entries.filter(({ mutation }) => mutation.kind === 'update');
  const count = (list: readonly Entry[], matches: (entry: Entry) => boolean) => list.filter(matches).length;
  const isSuccess = ({ reply }: Entry) => reply.result?.__typename.endsWith('Success') ?? false;
  const isTaken = ({ mutation }: Entry) =>
    mutation.kind === 'create' && stored.has(mutation.variables.input.objectReferenceId);
  return {
    creates: creates.length,
    updates: updates.length,
    done: count(entries, ({ told }) => told === 'done'),
    refused: count(entries, (entry) => entry.told === 'failed' && isTaken(entry) && !happened(entry)),
    unknown: count(entries, ({ told }) => told === 'unknown'),
    plainFailures: sumOf(byIdentity, ([identity, equal]) => {
      // Of equal creates, as many happened as were committed.
      const happenings = Math.min(commits.get(identity)?.length ?? 0, equal.length);
      return Math.max(0, happenings - equal.filter(isSuccess).length);
    }),
    duplicates: sumOf(byIdentity, ([identity, equal]) =>
      identity.startsWith('create ') ? Math.max(0, (commits.get(identity)?.length ?? 0) - equal.length) : 0,
    ),
    falseFailures: count(entries, (entry) => entry.told === 'failed' && happened(entry)),
    unexplained: count(entries, (entry) => entry.told === 'failed' && !isTaken(entry)),
    lost: count(entries, (entry) => entry.told === 'done' && !happened(entry)),
    ...undoneUpdates(updates, committed),
    existing: count(creates, (entry) => entry.told === 'done' && !isSuccess(entry)),
  };
}

const sumOf = <T>(list: readonly T[], value: (item: T) => number) => list.reduce((sum, item) => sum + value(item), 0);

/** Each operation has a name of its own, except creates that must be equal. */
function identityOf(mutation: Mutation): string {
  const { kind, variables } = mutation;
  const path = 'id' in variables ? variables.id : variables.input.objectReferenceId;
  return `${kind} ${path} ${variables.input.firstName}`;
}

const identityOfCall = ({ route, pathId, form }: Call) => `${route} ${pathId} ${form?.['first_name'] ?? ''}`;

/** Acknowledged updates after whose commit the provider committed an update that was acknowledged before they began. */
function undoneUpdates(updates: readonly Entry[], committed: readonly Call[]) {
  const entryOf = new Map(updates.map((entry) => [identityOf(entry.mutation), entry]));
  const latest = new Map<string, Entry>();
  /** By the call that undid them. */
  const undone = new Map<Entry, Call>();
  for (const call of committed) {
    const entry = entryOf.get(identityOfCall(call));
    if (entry === undefined) continue;
    const current = latest.get(call.pathId);
    // An update of unknown outcome can take effect at any time: its person knows.
    if (current?.told === 'done' && entry.told === 'done' && entry.endedAt < current.startedAt)
      undone.set(current, call);
    else {
      // The gateway can settle an update by a second commit.
      undone.delete(entry);
      latest.set(call.pathId, entry);
    }
  }
  // After a fault, a call counts as abandoned too.
  const isLate = ({ abandoned, fault = 'slow' }: Call) => abandoned && fault === 'slow';
  const byProvider = [...undone.values()].filter(isLate).length;
  return { undone: undone.size - byProvider, undoneByProvider: byProvider };
}
