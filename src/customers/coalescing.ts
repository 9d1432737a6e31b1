import { performance } from 'node:perf_hooks';
import { GatewayError } from '../errors.ts';
import { type CancelListener, createCancellation } from './cancellation.ts';
import type {
  CallerKind,
  Customer,
  CustomerKey,
  JoinListener,
  Operation,
  Reader,
  ReadingApi,
  ReadOptions,
  SharedRead,
} from './customer.ts';
import { createDeadlines, type Deadline, type Deadlines } from './deadlines.ts';
import { foldReference } from './identity.ts';
import type { OperationRecord } from './record.ts';

/** The id and the reference of a written customer; `undefined` if it can be any customer. */
export type WrittenIdentifiers = readonly string[] | undefined;

/** Other processes that read the same customers, and share reads among themselves. */
export interface OtherProcesses {
  /** Invalidates their in-flight reads. Resolves when they are invalidated, or after a time limit. Never rejects. */
  invalidate(identifiers: WrittenIdentifiers): Promise<unknown>;
  /** Receives the function that invalidates the in-flight reads of this process. */
  subscribe(invalidate: (identifiers: WrittenIdentifiers) => void): void;
}

/**
 * Shares one upstream call between concurrent operations that read the same customer without the token. Responses are not
 * cached. Reads with a token are never shared. Create one per merchant.
 *
 * A write invalidates the in-flight reads of its customer when it starts and when it ends. So a read that starts after the
 * response of a write never gets a response to an earlier request. The reads of other processes are invalidated before a write
 * has its response.
 */
export function coalescing(
  client: (operation: Operation) => ReadingApi,
  deadlines: Deadlines = createDeadlines(),
  others?: OtherProcesses,
): (operation: Operation) => ReadingApi {
  const inFlight = new Map<string, InFlightRead>();
  others?.subscribe(invalidate);

  return (operation) => {
    const api = client(operation);
    return {
      get: (key, options = {}) => new Promise((resolve, reject) => read(key, options, { resolve, reject })),
      read,

      async create(input, options) {
        invalidate([input.objectReferenceId]);
        let written: Customer | undefined;
        try {
          const created = await api.create(input, options);
          written = created.customer;
          return created;
        } finally {
          const identifiers = [input.objectReferenceId, ...identifiersOf(written)];
          invalidate(identifiers);
          if (others) await others.invalidate(identifiers);
        }
      },

      async update(id, changes) {
        invalidate([id]);
        let written: Customer | undefined;
        try {
          written = await api.update(id, changes);
          return written;
        } finally {
          // Without a response the other identifier of the customer is unknown, and any in-flight read can be its read.
          const identifiers = written && [id, ...identifiersOf(written)];
          invalidate(identifiers);
          if (others) await others.invalidate(identifiers);
        }
      },
    };

    function read(key: CustomerKey, options: ReadOptions, reader: Reader): void {
      // `batched` reads by `any` and checks `id` and `reference` itself, so only `any` is shared.
      if (options.withClientAuthToken || !('any' in key)) return api.read(key, options, reader);
      if (operation.cancellation.isCancelled) return reader.reject(new GatewayError('UPSTREAM_TIMEOUT'));
      const known = inFlight.get(key.any);
      const shared = known ?? new InFlightRead(key.any, operation.record, remove);
      shared.join(new WaitingReader(shared, operation, deadlines, reader));
      if (known !== undefined) {
        operation.record.sharedReads += 1;
        return;
      }
      inFlight.set(key.any, shared);
      shared.start(client);
    }
  };

  /** Later operations must not join this read. */
  function remove(read: InFlightRead): void {
    if (inFlight.get(read.pathId) === read) inFlight.delete(read.pathId);
  }

  function invalidate(identifiers: WrittenIdentifiers): void {
    if (inFlight.size === 0) return;
    if (identifiers === undefined) return inFlight.clear();
    const folded = new Set(identifiers.map(foldReference));
    for (const pathId of inFlight.keys()) if (folded.has(foldReference(pathId))) inFlight.delete(pathId);
  }
}

/** One in-flight GET, which is the operation of its upstream call, and its readers. */
class InFlightRead implements Operation, SharedRead, Reader {
  readonly pathId: string;
  readonly cancellation = createCancellation();
  joinListener: JoinListener | undefined;
  readonly #first: OperationRecord;
  readonly #remove: (read: InFlightRead) => void;
  /** The last reader stays until the read ends: its deadline decides whether the attempt counts as a timeout. */
  #readers: WaitingReader[] = [];
  /** The end of the backoff that the provider demands. */
  #backoffUntilMs = 0;

  /** @param first the record of the operation that starts the read. */
  constructor(pathId: string, first: OperationRecord, remove: (read: InFlightRead) => void) {
    this.pathId = pathId;
    this.#first = first;
    this.#remove = remove;
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
    return this.#readers[0]?.operation;
  }

  /** The latest deadline of the operations that wait. */
  get deadlineAtMs(): number {
    let latest = 0;
    for (const { operation } of this.#readers) latest = Math.max(latest, operation.deadlineAtMs);
    return latest;
  }

  operations(): Operation[] {
    return this.#readers.map(({ operation }) => operation);
  }

  onBackoff(untilMs: number): void {
    this.#backoffUntilMs = untilMs;
    for (const reader of [...this.#readers]) reader.onBackoff(untilMs);
  }

  start(client: (operation: Operation) => ReadingApi): void {
    try {
      client(this).read({ any: this.pathId }, {}, this);
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

  join(reader: WaitingReader): void {
    reader.index = this.#readers.push(reader) - 1;
    this.joinListener?.onJoin(reader.operation);
    reader.onBackoff(this.#backoffUntilMs);
  }

  /** Removes a reader. If no other reader is left, cancels the read instead. */
  leave(reader: WaitingReader): void {
    const readers = this.#readers;
    if (readers.length > 1) {
      const last = readers.pop();
      if (last === undefined || last === reader) return;
      last.index = reader.index;
      readers[reader.index] = last;
    } else {
      this.cancellation.cancel();
      this.#remove(this);
    }
  }

  /** Removes the readers: they keep whole requests in memory, and the finished read may still be referenced. */
  #end(): WaitingReader[] {
    this.#remove(this);
    const readers = this.#readers;
    this.#readers = [];
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

function identifiersOf(customer: Customer | undefined): string[] {
  if (customer === undefined) return [];
  return customer.objectReferenceId === null ? [customer.id] : [customer.id, customer.objectReferenceId];
}
