import { performance } from 'node:perf_hooks';
import { GatewayError } from '../errors.ts';
import { type CancelListener, createCancellation } from './cancellation.ts';
import type {
  CallerKind,
  Customer,
  JoinableRead,
  JoinListener,
  Operation,
  Reader,
  ReadingApi,
  SharedRead,
} from './customer.ts';
import { createDeadlines, type Deadline, type Deadlines } from './deadlines.ts';
import { foldReference } from './identity.ts';
import type { OperationRecord } from './record.ts';
import { added } from './short-list.ts';
import { TurnoverMap } from './turnover-map.ts';

/** The id and the reference of a written customer; `undefined` if it can be any customer. */
export type WrittenIdentifiers = readonly string[] | undefined;

/** The reads of a merchant that operations can join. Create one per merchant. */
export class InFlightReads {
  readonly client: (operation: Operation) => ReadingApi;
  readonly deadlines: Deadlines;
  readonly #byPathId = new TurnoverMap<InFlightRead>();

  constructor(client: (operation: Operation) => ReadingApi, deadlines: Deadlines = createDeadlines()) {
    this.client = client;
    this.deadlines = deadlines;
  }

  find(pathId: string): InFlightRead | undefined {
    return this.#byPathId.get(pathId);
  }

  /** Whether operations that start now may join the read. */
  has(read: JoinableRead): boolean {
    return this.#byPathId.get(read.pathId) === read;
  }

  add(read: InFlightRead): void {
    this.#byPathId.set(read.pathId, read);
  }

  /** Later operations must not join this read. */
  remove(read: InFlightRead): void {
    if (this.#byPathId.get(read.pathId) === read) this.#byPathId.delete(read.pathId);
  }

  /** Operations that start later do not join the reads of this customer. */
  invalidate(identifiers: WrittenIdentifiers): void {
    if (this.#byPathId.size === 0) return;
    if (identifiers === undefined) return this.#byPathId.clear();
    const folded = new Set(identifiers.map(foldReference));
    for (const pathId of this.#byPathId.keys()) if (folded.has(foldReference(pathId))) this.#byPathId.delete(pathId);
  }
}

const none: readonly WaitingReader[] = [];

/** One in-flight GET, which is the operation of its upstream call, and its readers. */
export class InFlightRead implements Operation, SharedRead, JoinableRead, Reader {
  readonly pathId: string;
  readonly cancellation = createCancellation();
  joinListener: JoinListener | undefined;
  readonly #first: OperationRecord;
  readonly #inFlight: InFlightReads;
  /** The last reader stays until the read ends: its deadline decides whether the attempt counts as a timeout. */
  #readers: WaitingReader[] | undefined;
  /** The end of the backoff that the provider demands. */
  #backoffUntilMs = 0;

  /** @param first the record of the operation that starts the read. */
  constructor(pathId: string, first: OperationRecord, inFlight: InFlightReads) {
    this.pathId = pathId;
    this.#first = first;
    this.#inFlight = inFlight;
  }

  get sharedRead(): SharedRead {
    return this;
  }

  get requestId(): string {
    return this.#current?.requestId ?? '';
  }

  get traceId(): string | undefined {
    return this.#current?.traceId;
  }

  get sampledTraceId(): string | undefined {
    return this.#current?.sampledTraceId;
  }

  get caller(): string {
    return this.#current?.caller ?? '';
  }

  get callerKind(): CallerKind {
    return this.#current?.callerKind ?? 'anonymous';
  }

  get record(): OperationRecord {
    return this.#current?.record ?? this.#first;
  }

  onFailure(name: string): boolean {
    return this.#current?.onFailure?.(name) ?? true;
  }

  /** An operation that still waits. Its log lines and its record have the attempts and failures of the read. */
  get #current(): Operation | undefined {
    return this.#readers?.[0]?.operation;
  }

  /** The latest deadline of the operations that wait. */
  get deadlineAtMs(): number {
    let latest = 0;
    for (const { operation } of this.#readers ?? none) latest = Math.max(latest, operation.deadlineAtMs);
    return latest;
  }

  operations(): Operation[] {
    return (this.#readers ?? none).map(({ operation }) => operation);
  }

  onBackoff(untilMs: number): void {
    this.#backoffUntilMs = untilMs;
    for (const reader of [...(this.#readers ?? none)]) reader.onBackoff(untilMs);
  }

  start(): void {
    try {
      this.#inFlight.client(this).read({ any: this.pathId }, {}, this);
    } catch (error) {
      this.reject(error);
    }
  }

  resolve(customer: Customer | null): void {
    for (const { reader } of this.#end()) reader.resolve(customer);
  }

  reject(error: unknown): void {
    for (const { reader } of this.#end()) reader.reject(error);
  }

  /** Adds the operation that starts the read, which is its own, or with `add` another one. */
  join(operation: Operation, reader: Reader): void {
    const waiting = new WaitingReader(this, operation, this.#inFlight.deadlines, reader);
    this.#readers = added(this.#readers, waiting);
    waiting.index = this.#readers.length - 1;
    this.joinListener?.onJoin(operation);
    if (this.#backoffUntilMs > 0) waiting.onBackoff(this.#backoffUntilMs);
  }

  add(operation: Operation, reader: Reader): void {
    operation.record.sharedReads += 1;
    this.join(operation, reader);
  }

  /** Removes a reader. If no other reader is left, cancels the read instead. */
  leave(reader: WaitingReader): void {
    const readers = this.#readers;
    if (readers !== undefined && readers.length > 1) {
      const last = readers.pop();
      if (last === undefined || last === reader) return;
      last.index = reader.index;
      readers[reader.index] = last;
    } else {
      this.cancellation.cancel();
      this.#inFlight.remove(this);
    }
  }

  /** Removes the readers: they keep whole requests in memory, and the finished read may still be referenced. */
  #end(): readonly WaitingReader[] {
    this.#inFlight.remove(this);
    const readers = this.#readers ?? none;
    this.#readers = undefined;
    for (const reader of readers) reader.stop();
    return readers;
  }
}

/** An operation that waits for an in-flight read. */
class WaitingReader implements CancelListener, Deadline {
  dueAtMs = 0;
  place = -1;
  /** Its index in the list of the read. */
  index = 0;
  readonly operation: Operation;
  readonly reader: Reader;
  readonly #read: InFlightRead;
  readonly #deadlines: Deadlines;

  constructor(read: InFlightRead, operation: Operation, deadlines: Deadlines, reader: Reader) {
    this.#read = read;
    this.operation = operation;
    this.#deadlines = deadlines;
    this.reader = reader;
    deadlines.add(this, operation.deadlineAtMs);
    operation.cancellation.add(this);
  }

  /** The client disconnected. */
  onCancel(): void {
    this.#giveUp(new GatewayError('UPSTREAM_TIMEOUT'));
  }

  onDue(): void {
    this.#giveUp(new GatewayError('UPSTREAM_TIMEOUT'));
  }

  /** Gives up at once if the backoff outlasts the operation. */
  onBackoff(untilMs: number): void {
    const backoffMs = untilMs - performance.now();
    if (backoffMs <= 0 || untilMs < this.operation.deadlineAtMs) return;
    this.#giveUp(new GatewayError('RATE_LIMITED', { retryAfterSeconds: Math.ceil(backoffMs / 1000) }));
  }

  stop(): void {
    this.#deadlines.remove(this);
    this.operation.cancellation.remove(this);
  }

  #giveUp(error: GatewayError): void {
    this.stop();
    this.#read.leave(this);
    this.reader.reject(error);
  }
}
