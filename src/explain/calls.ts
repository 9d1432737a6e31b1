import { type CustomerApi, pathIdOf } from '../customers/customer.ts';
import { isPathId } from '../customers/identity.ts';
import type { Ask, Asks } from './asks.ts';

/**
 * Why a call is made. `READ`: fields read the customer. `TOKEN`: fields select its token. `OWNERSHIP`: the caller is bound to a
 * customer, and the call establishes the owner before a token is created or the customer is changed. `TOKEN_AFTER_UPDATE`: the
 * response to an update has no token. `CREATE`, `UPDATE`: the mutation field.
 */
export type ReasonKind = 'READ' | 'TOKEN' | 'OWNERSHIP' | 'CREATE' | 'UPDATE' | 'TOKEN_AFTER_UPDATE';

export interface Reason {
  readonly kind: ReasonKind;
  /** Paths of fields in the response, without indexes of lists. */
  readonly fields: readonly string[];
}

/** A call of the client, below the merging of reads. */
export interface ExplainedCall {
  /** From 1, in the order of the calls. */
  readonly number: number;
  readonly kind: Ask['kind'];
  /** The id or reference in the path; the reference of a create. */
  readonly pathId: string;
  readonly withToken: boolean;
  /** The root field of a mutation that the call belongs to. */
  readonly root: string;
  readonly reasons: readonly Reason[];
  /** Number of reads of fields and list items that the call answers. 0 for a write, and for a call that only establishes the owner. */
  readonly reads: number;
  /** The number of the call that must succeed before. */
  readonly after: number | undefined;
}

/** Notes the calls of an operation with their reasons. */
export class Calls {
  readonly list: ExplainedCall[] = [];
  readonly #asks: Asks;
  #lastWrite: ExplainedCall | undefined;

  constructor(asks: Asks) {
    this.#asks = asks;
  }

  /** @param open returns the client that makes a call; without a call, the client that rejects an invalid id. */
  noted(open: (call?: ExplainedCall) => CustomerApi): CustomerApi {
    return {
      get: (key, options) => {
        const pathId = pathIdOf(key);
        if (!isPathId(pathId)) return open().get(key, options);
        return open(this.#addRead(pathId, options?.withClientAuthToken ?? false)).get(key, options);
      },
      create: (input, options) => {
        const call = this.#addWrite('create', input.objectReferenceId, options?.withClientAuthToken ?? false);
        return this.#ended(open(call).create(input, options));
      },
      update: (id, changes) => this.#ended(open(this.#addWrite('update', id, false)).update(id, changes)),
    };
  }

  #addRead(pathId: string, withToken: boolean): ExplainedCall {
    const asks = this.#asks.about(pathId);
    const served = asks.filter((ask) => ask.kind === 'get' && !ask.isServed && (withToken || !ask.withToken));
    for (const ask of served) ask.isServed = true;
    // An ask that is not served here is served after the owner is known: a read of the token, or an update.
    const waiting = withToken ? [] : asks.filter((ask) => !ask.isServed);
    const earlier = this.list.findLast((call) => call.pathId === pathId && call.kind === 'get' && !call.withToken);
    const follows = withToken && served.some((ask) => ask.withToken) ? earlier : undefined;
    const isAfterUpdate = [...served, ...waiting].some((ask) => ask.isTokenField);
    return this.#add({
      kind: 'get',
      pathId,
      withToken,
      root: [...served, ...waiting][0]?.root ?? this.#asks.root,
      reasons: [
        ...reasonOf(
          'READ',
          served.flatMap((ask) => (ask.isTokenField ? [] : [ask.field])),
        ),
        ...reasonOf(
          'TOKEN',
          served.flatMap((ask) => (ask.isTokenField ? [] : ask.tokenFields)),
        ),
        ...reasonOf(
          'TOKEN_AFTER_UPDATE',
          served.flatMap((ask) => (ask.isTokenField ? ask.tokenFields : [])),
        ),
        ...reasonOf(
          'OWNERSHIP',
          waiting.flatMap((ask) => (ask.withToken ? ask.tokenFields : [ask.field])),
        ),
      ],
      reads: served.length,
      after: follows?.number ?? (isAfterUpdate ? this.#lastWrite?.number : undefined),
    });
  }

  #addWrite(kind: 'create' | 'update', pathId: string, withToken: boolean): ExplainedCall {
    const ask = this.#asks.about(pathId).find((candidate) => candidate.kind === kind && !candidate.isServed);
    if (ask !== undefined) ask.isServed = true;
    const owner = this.list.findLast((call) => call.pathId === pathId && call.reasons.some(isOwnership));
    const isOwnerNew = owner !== undefined && owner.number > (this.#lastWrite?.number ?? 0);
    this.#lastWrite = this.#add({
      kind,
      pathId,
      withToken,
      root: ask?.root ?? this.#asks.root,
      reasons: [
        ...reasonOf(kind === 'create' ? 'CREATE' : 'UPDATE', ask === undefined ? [] : [ask.field]),
        ...reasonOf('TOKEN', ask?.tokenFields ?? []),
      ],
      reads: 0,
      after: kind === 'update' && isOwnerNew ? owner.number : undefined,
    });
    return this.#lastWrite;
  }

  #add(call: Omit<ExplainedCall, 'number'>): ExplainedCall {
    const numbered = { number: this.list.length + 1, ...call };
    this.list.push(numbered);
    return numbered;
  }

  /** Clears the noted reads when a write ends, as `batched` clears its reads: later reads make calls of their own. */
  async #ended<Result>(write: Promise<Result>): Promise<Result> {
    try {
      return await write;
    } finally {
      this.#asks.clear();
    }
  }
}

function isOwnership({ kind }: Reason): boolean {
  return kind === 'OWNERSHIP';
}

function reasonOf(kind: ReasonKind, fields: readonly string[]): Reason[] {
  return fields.length === 0 ? [] : [{ kind, fields: [...new Set(fields)] }];
}
