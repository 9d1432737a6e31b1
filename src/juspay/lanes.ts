import { performance } from 'node:perf_hooks';
import type { CancelListener, Cancellation } from '../customers/cancellation.ts';
import type { JoinListener, Operation } from '../customers/customer.ts';
import type { Deadline, Deadlines } from '../customers/deadlines.ts';
import { createFairQueue, type Entry, type FairQueue, type Place } from './fair-queue.ts';

/** The caller and the operation that wait for a lane. A shared read has several of them. */
export type Waiter = Pick<Operation, 'caller' | 'requestId' | 'sharedRead'>;

/** A call that needs a lane. */
export interface Seeker<Lane> {
  readonly waiter: Waiter;
  readonly cancellation: Cancellation;
  /** When the wait for a lane ends, in ms on the clock of `performance.now()`. Read again at that time. */
  readonly waitsUntilMs: number;
  /** Called with a lane, at once or later. Give it back with `release`. Must not throw. */
  onLane(lane: Lane): void;
  /** Called instead of `onLane`. `expired`: the wait took too long or was cancelled. `full`: too many calls wait. */
  onNoLane(reason: 'expired' | 'full'): void;
}

export interface Lanes<Lane> {
  take(seeker: Seeker<Lane>): void;
  /**
   * Gives a lane back. It is used again in the next phase of the event loop, not within this call: a connection is reused only after
   * bytes that the host sent without a request could arrive, and undici expects no new request in its callbacks.
   *
   * @param isBlocked whether the lane is not ready yet. It is used again only if no other one is free.
   */
  release(lane: Lane, isBlocked: boolean): void;
}

/** Maximum number of waiting calls per merchant. At this number, calls of the callers with the longest queues are refused. */
const maxWaiting = 20_000;

/**
 * Shares `count` lanes, one for each connection, fairly: round robin by caller, then by operation, then first in, first out. A
 * caller with many calls does not delay the calls of other callers. The list of free lanes is the limit of concurrent calls. The
 * lane that was released last is used first, because its connection is open.
 *
 * @param open opens a lane. Called when no open lane is free and fewer than `count` are open.
 */
export function createLanes<Lane>(
  count: number,
  open: () => Lane,
  deadlines: Deadlines,
  limit = maxWaiting,
): Lanes<Lane> {
  const free: Lane[] = [];
  const queue = createFairQueue(limit);
  const released: { readonly lane: Lane; readonly isBlocked: boolean }[] = [];
  let opened = 0;

  return {
    take(seeker) {
      if (seeker.cancellation.isCancelled) return seeker.onNoLane('expired');
      const lane = free.pop() ?? openLane();
      if (lane !== undefined) return seeker.onLane(lane);
      if (!queue.makeRoom(seeker.waiter.caller)) return seeker.onNoLane('full');
      new Waiting(seeker, queue, deadlines).start();
    },
    release(lane, isBlocked) {
      if (released.push({ lane, isBlocked }) === 1) setImmediate(serve);
    },
  };

  function serve(): void {
    for (const { lane, isBlocked } of released.splice(0)) {
      if (isBlocked) free.unshift(lane);
      else free.push(lane);
    }
    while (free.length > 0) {
      const next = queue.next() as Waiting<Lane> | undefined;
      if (next === undefined) return;
      next.onTurn(free.pop() as Lane);
    }
  }

  function openLane(): Lane | undefined {
    if (opened === count) return undefined;
    const lane = open();
    opened += 1;
    return lane;
  }
}

/** A call in the queue. */
class Waiting<Lane> implements Entry, Deadline, CancelListener, JoinListener {
  places: Place[] | undefined;
  dueAtMs = 0;
  place = -1;
  readonly #seeker: Seeker<Lane>;
  readonly #queue: FairQueue;
  readonly #deadlines: Deadlines;

  constructor(seeker: Seeker<Lane>, queue: FairQueue, deadlines: Deadlines) {
    this.#seeker = seeker;
    this.#queue = queue;
    this.#deadlines = deadlines;
  }

  start(): void {
    const { waiter, cancellation } = this.#seeker;
    this.#deadlines.add(this, this.#seeker.waitsUntilMs);
    cancellation.add(this);
    const { sharedRead } = waiter;
    if (sharedRead === undefined) {
      this.onJoin(waiter);
      return;
    }
    for (const operation of sharedRead.operations()) this.onJoin(operation);
    sharedRead.joinListener = this;
  }

  /** A shared read has a place in the queue of each of its callers, including those that join later. */
  onJoin({ caller, requestId }: Waiter): void {
    this.#queue.add(this, caller, requestId);
  }

  onTurn(lane: Lane): void {
    this.#leave();
    this.#seeker.onLane(lane);
  }

  onFull(): void {
    this.#leave();
    this.#seeker.onNoLane('full');
  }

  onCancel(): void {
    this.#leave();
    this.#seeker.onNoLane('expired');
  }

  onDue(): void {
    const { waitsUntilMs } = this.#seeker;
    if (waitsUntilMs > performance.now()) this.#deadlines.add(this, waitsUntilMs);
    else this.onCancel();
  }

  #leave(): void {
    const { waiter, cancellation } = this.#seeker;
    this.#deadlines.remove(this);
    cancellation.remove(this);
    if (waiter.sharedRead?.joinListener === this) waiter.sharedRead.joinListener = undefined;
    this.#queue.remove(this);
  }
}
