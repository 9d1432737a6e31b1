import type { Caller } from '../auth/caller.ts';
import type { Customer, EndedRead, JoinableRead, Reader } from '../customers/customer.ts';
import { TurnoverMap } from '../customers/turnover-map.ts';
import type { Answer } from '../execution/answer.ts';
import type { OperationRequest, RequestState } from './state.ts';

/** An operation in progress that can share its answer with equal ones. */
export interface Sharer extends OperationRequest {
  /** The body of the request. Operations with the same text are equal. */
  readonly text: string;
  readonly caller: Caller;
  readonly state: RequestState;
  /** The media type of the answer. */
  readonly mediaType: string;
  /** Takes the answer of an equal operation. Must not throw. */
  take(answer: Answer): void;
  /** Executes the operation, whose read has ended. Must not throw. */
  executeAfter(read: EndedRead): void;
}

/** Joins a read without executing the operation. @returns whether it has joined. */
export type JoinRead = (state: RequestState, request: OperationRequest, read: JoinableRead, reader: Reader) => boolean;

/** The longest text that is compared. */
const maxTextLength = 4_096;

/** Shares the answer of an operation with equal ones that wait for the same in-flight read, see docs/decisions/0038-shared-answers.md. */
export class SharedAnswers {
  readonly #joinRead: JoinRead;
  /** The last shareable operation of each text. Bounded by the limit of concurrent operations. */
  readonly #leaders = new TurnoverMap<Leader>();

  constructor(joinRead: JoinRead) {
    this.#joinRead = joinRead;
  }

  /** Makes an operation wait for the answer of an equal one. @returns `false` if it must be executed. */
  join(sharer: Sharer): boolean {
    if (this.#leaders.size === 0) return false;
    const leader = this.#leaders.get(sharer.text);
    if (leader === undefined || !leader.isEqual(sharer)) return false;
    return this.#joinRead(sharer.state, sharer, leader.read, new Follower(leader, sharer));
  }

  /** Lets later operations wait for the answer of one that has joined an in-flight read. */
  lead(sharer: Sharer, read: JoinableRead): Leader | undefined {
    if (sharer.text.length > maxTextLength) return undefined;
    const leader = new Leader(sharer, read, this);
    this.#leaders.set(sharer.text, leader);
    return leader;
  }

  /** Operations that start now must be executed. */
  clear(): void {
    this.#leaders.clear();
  }

  remove(text: string, leader: Leader): void {
    if (this.#leaders.get(text) === leader) this.#leaders.delete(text);
  }
}

/** An operation whose only read is an in-flight one that it has joined. */
export class Leader {
  readonly read: JoinableRead;
  readonly #sharer: Sharer;
  readonly #answers: SharedAnswers;
  #answer: Answer | undefined;
  #isOver = false;
  readonly #waiting: Follower[] = [];

  constructor(sharer: Sharer, read: JoinableRead, answers: SharedAnswers) {
    this.#sharer = sharer;
    this.read = read;
    this.#answers = answers;
  }

  get mergedReads(): number {
    return this.#sharer.state.record.mergedReads;
  }

  /** Whether both operations have the same answer for each result of the read. The caller has compared their texts. */
  isEqual(other: Sharer): boolean {
    const { caller, mediaType } = this.#sharer;
    return mediaType === other.mediaType && (caller === other.caller || hasSameRights(caller, other.caller));
  }

  /** Call it before the operation makes another read, and if it fails. */
  stop(): void {
    this.#end(undefined);
  }

  /** Call it with the answer. One with an error is not shared: it has the id of its request. */
  end(answer: Answer): void {
    this.#end(answer.outcome === 'OK' ? answer : undefined);
  }

  /** The read has ended with a customer, or without one. */
  answer(follower: Follower): void {
    if (!this.#isOver) this.#waiting.push(follower);
    else follower.end(this.#answer);
  }

  #end(answer: Answer | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#answer = answer;
    this.#answers.remove(this.#sharer.text, this);
    for (const follower of this.#waiting.splice(0)) follower.end(answer);
  }
}

/** An operation that waits for the answer of an equal one. Its read keeps its own deadline, and ends when its client disconnects. */
class Follower implements Reader, EndedRead {
  readonly pathId: string;
  readonly #leader: Leader;
  readonly #sharer: Sharer;
  #result: { readonly customer: Customer | null } | { readonly error: unknown } | undefined;

  constructor(leader: Leader, sharer: Sharer) {
    this.pathId = leader.read.pathId;
    this.#leader = leader;
    this.#sharer = sharer;
  }

  resolve(customer: Customer | null): void {
    this.#result = { customer };
    this.#leader.answer(this);
  }

  /** Errors have the ids of their requests, so they are not shared. */
  reject(error: unknown): void {
    this.#result = { error };
    this.#sharer.executeAfter(this);
  }

  end(answer: Answer | undefined): void {
    if (answer === undefined) return this.#sharer.executeAfter(this);
    this.#sharer.state.record.mergedReads = this.#leader.mergedReads;
    this.#sharer.take(answer);
  }

  settle(reader: Reader): void {
    if (this.#result === undefined) throw new Error('The read has not ended.');
    if ('error' in this.#result) reader.reject(this.#result.error);
    else reader.resolve(this.#result.customer);
  }
}

function hasSameRights(one: Caller, other: Caller): boolean {
  return (
    one.merchant === other.merchant &&
    one.denied === other.denied &&
    one.anyDocument === other.anyDocument &&
    one.scopes.size === other.scopes.size &&
    [...one.scopes].every((scope) => other.scopes.has(scope)) &&
    hasSameCustomers(one.customers, other.customers)
  );
}

function hasSameCustomers(one: Caller['customers'], other: Caller['customers']): boolean {
  if (typeof one === 'string' || typeof other === 'string') return one === other;
  return one.length === other.length && one.every((customer, index) => customer === other[index]);
}
