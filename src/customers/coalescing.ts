import { performance } from 'node:perf_hooks';
import { GatewayError } from '../errors.ts';
import { createCancellation } from './cancellation.ts';
import type { Customer, CustomerApi, Operation, SharedRead } from './customer.ts';
import { foldReference } from './identity.ts';

/** One in-flight GET and the operations that wait for it. */
interface InFlightRead {
  readonly pathId: string;
  readonly response: Promise<Customer | null>;
  readonly waiters: Set<Operation>;
  readonly joinListeners: SharedRead['joinListeners'];
  /** The backoff that the provider demands, and the listeners for changes of it. */
  readonly backoff: { untilMs: number; readonly listeners: Set<() => void> };
  readonly abort: () => void;
}

/**
 * Shares one upstream call between concurrent operations that read the same customer without the token. Responses are not
 * cached. Reads with a token are never shared. Create one per merchant.
 *
 * A write invalidates the in-flight reads of its customer when it starts and when it ends. So a read that starts after the
 * response of a write never gets a response to an earlier request.
 */
export function coalescing(client: (operation: Operation) => CustomerApi): (operation: Operation) => CustomerApi {
  const inFlight = new Map<string, InFlightRead>();

  return (operation) => {
    const api = client(operation);
    return {
      async get(key, options = {}) {
        // `batched` reads by `any` and checks `id` and `reference` itself, so only `any` is shared.
        if (options.withClientAuthToken || !('any' in key)) return api.get(key, options);
        return join(inFlight.get(key.any) ?? start(key.any, operation), operation);
      },

      async create(input, options) {
        invalidate([input.objectReferenceId]);
        let written: Customer | undefined;
        try {
          const created = await api.create(input, options);
          written = created.customer;
          return created;
        } finally {
          invalidate([input.objectReferenceId, ...identifiersOf(written)]);
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
          if (written === undefined) inFlight.clear();
          else invalidate([id, ...identifiersOf(written)]);
        }
      },
    };
  };

  function start(pathId: string, first: Operation): InFlightRead {
    const cancellation = createCancellation();
    const waiters = new Set<Operation>();
    const joinListeners: SharedRead['joinListeners'] = new Set();
    const backoff: InFlightRead['backoff'] = { untilMs: 0, listeners: new Set() };
    /** The first operation that still waits. Its log lines and its summary have the failures of the read. */
    const current = (): Operation => {
      for (const waiter of waiters) return waiter;
      return first;
    };
    const shared: Operation = {
      get requestId() {
        return current().requestId;
      },
      get traceId() {
        return current().traceId;
      },
      get caller() {
        return current().caller;
      },
      onFailure: (name) => current().onFailure?.(name) ?? true,
      cancellation,
      sharedRead: { waiters, joinListeners },
      // The latest deadline of the operations that wait.
      get deadlineAtMs() {
        let latest = 0;
        for (const waiter of waiters) latest = Math.max(latest, waiter.deadlineAtMs);
        return latest;
      },
      onBackoff(untilMs) {
        backoff.untilMs = untilMs;
        for (const listener of backoff.listeners) listener();
      },
    };
    waiters.add(first);
    const response = client(shared).get({ any: pathId });
    const read: InFlightRead = {
      pathId,
      response,
      waiters,
      joinListeners,
      backoff,
      abort: () => cancellation.cancel(),
    };
    const onSettled = () => remove(read);
    response.then(onSettled, onSettled);
    inFlight.set(pathId, read);
    return read;
  }

  /**
   * Waits for an in-flight read.
   *
   * @throws GatewayError `UPSTREAM_TIMEOUT` at the deadline of the operation or when its client disconnects; `RATE_LIMITED` at once if
   *   the provider demands a backoff beyond the deadline.
   */
  function join(read: InFlightRead, operation: Operation): Promise<Customer | null> {
    read.waiters.add(operation);
    for (const listener of read.joinListeners) listener(operation);
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        operation.cancellation.remove(listener);
        read.backoff.listeners.delete(onBackoff);
        // Keep the last waiter: its deadline decides whether the attempt counts as a timeout for the circuit breaker.
        if (read.waiters.size > 1) read.waiters.delete(operation);
      };
      const giveUp = (error: GatewayError) => {
        const isLast = read.waiters.size === 1;
        leave();
        if (isLast) {
          read.abort();
          // Later operations must not join an aborted read.
          remove(read);
        }
        reject(error);
      };
      const onCancel = () => giveUp(new GatewayError('UPSTREAM_TIMEOUT'));
      const listener = { onCancel };
      const onBackoff = () => {
        const backoffMs = read.backoff.untilMs - performance.now();
        if (backoffMs <= 0 || read.backoff.untilMs < operation.deadlineAtMs) return;
        giveUp(new GatewayError('RATE_LIMITED', { retryAfterSeconds: Math.ceil(backoffMs / 1000) }));
      };
      read.backoff.listeners.add(onBackoff);
      const timer = setTimeout(onCancel, Math.max(0, operation.deadlineAtMs - performance.now()));
      operation.cancellation.add(listener);
      read.response.then(
        (customer) => {
          leave();
          resolve(customer);
        },
        (error: unknown) => {
          leave();
          reject(error);
        },
      );
      if (operation.cancellation.isCancelled) onCancel();
      else onBackoff();
    });
  }

  function remove(read: InFlightRead): void {
    if (inFlight.get(read.pathId) === read) inFlight.delete(read.pathId);
  }

  function invalidate(identifiers: readonly string[]): void {
    const folded = new Set(identifiers.map(foldReference));
    for (const pathId of inFlight.keys()) if (folded.has(foldReference(pathId))) inFlight.delete(pathId);
  }
}

function identifiersOf(customer: Customer | undefined): string[] {
  if (customer === undefined) return [];
  return customer.objectReferenceId === null ? [customer.id] : [customer.id, customer.objectReferenceId];
}
