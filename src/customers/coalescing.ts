import { performance } from 'node:perf_hooks';
import { GatewayError } from '../errors.ts';
import type { Customer, CustomerApi, Operation, SharedRead } from './customer.ts';
import { foldReference } from './identity.ts';

/** One GET that is under way, and who waits for it. */
interface Flight {
  readonly pathId: string;
  readonly answer: Promise<Customer | null>;
  readonly waiters: Set<Operation>;
  readonly joinListeners: SharedRead['joinListeners'];
  /** Who is told when the provider holds the call back, and until when it does. */
  readonly held: { untilMs: number; readonly tell: Set<() => void> };
  readonly abort: () => void;
}

/**
 * Token-less reads of one customer by concurrent operations share one upstream call while it is in flight. Nothing is
 * kept afterwards, and a read with a token is never shared. One per merchant.
 *
 * A write cuts the flights of its customer when it starts and again when it ends, so a read that starts after a write
 * was answered never gets an answer that was asked for before it.
 */
export function coalescing(client: (operation: Operation) => CustomerApi): (operation: Operation) => CustomerApi {
  const flights = new Map<string, Flight>();

  return (operation) => {
    const api = client(operation);
    return {
      async get(key, options = {}) {
        // A key that names one identifier is narrowed by the caller of this layer; here the path alone counts.
        if (options.withClientAuthToken || !('any' in key)) return api.get(key, options);
        return join(flights.get(key.any) ?? takeOff(key.any, operation), operation);
      },

      async create(input, options) {
        cut([input.objectReferenceId]);
        let written: Customer | undefined;
        try {
          const created = await api.create(input, options);
          written = created.customer;
          return created;
        } finally {
          cut([input.objectReferenceId, ...identifiersOf(written)]);
        }
      },

      async update(id, changes) {
        cut([id]);
        let written: Customer | undefined;
        try {
          written = await api.update(id, changes);
          return written;
        } finally {
          // Without an answer the customer's other identifier is not known. Each flight may be one of this customer.
          if (written === undefined) flights.clear();
          else cut([id, ...identifiersOf(written)]);
        }
      },
    };
  };

  function takeOff(pathId: string, first: Operation): Flight {
    const controller = new AbortController();
    const waiters = new Set<Operation>();
    const joinListeners: SharedRead['joinListeners'] = new Set();
    const held: Flight['held'] = { untilMs: 0, tell: new Set() };
    const shared: Operation = {
      requestId: first.requestId,
      traceId: first.traceId,
      ...(first.onFailure && { onFailure: first.onFailure }),
      signal: controller.signal,
      sharedRead: { waiters, joinListeners },
      // Of those who still wait.
      get caller() {
        for (const waiter of waiters) return waiter.caller;
        return first.caller;
      },
      // As long as the most patient of those who wait.
      get deadlineAtMs() {
        let latest = 0;
        for (const waiter of waiters) latest = Math.max(latest, waiter.deadlineAtMs);
        return latest;
      },
      onBackoff(untilMs) {
        held.untilMs = untilMs;
        for (const tell of held.tell) tell();
      },
    };
    waiters.add(first);
    const answer = client(shared).get({ any: pathId });
    const flight: Flight = { pathId, answer, waiters, joinListeners, held, abort: () => controller.abort() };
    const land = () => forget(flight);
    answer.then(land, land);
    flights.set(pathId, flight);
    return flight;
  }

  /**
   * Waits for a flight no longer than the operation may, and leaves it when its caller is gone; at once where the provider holds
   * it back for longer than that.
   */
  function join(flight: Flight, operation: Operation): Promise<Customer | null> {
    flight.waiters.add(operation);
    for (const tell of flight.joinListeners) tell(operation);
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        operation.signal.removeEventListener('abort', onAbort);
        flight.held.tell.delete(onBackoff);
        // The last one stays: how long it would have waited tells whether the provider had its time.
        if (flight.waiters.size > 1) flight.waiters.delete(operation);
      };
      const giveUp = (error: GatewayError) => {
        const isLast = flight.waiters.size === 1;
        leave();
        if (isLast) {
          flight.abort();
          // Nobody else may board what was just called off.
          forget(flight);
        }
        reject(error);
      };
      const onAbort = () => giveUp(new GatewayError('UPSTREAM_TIMEOUT'));
      const onBackoff = () => {
        const heldMs = flight.held.untilMs - performance.now();
        if (heldMs <= 0 || flight.held.untilMs < operation.deadlineAtMs) return;
        giveUp(new GatewayError('RATE_LIMITED', { retryAfterSeconds: Math.ceil(heldMs / 1000) }));
      };
      flight.held.tell.add(onBackoff);
      const timer = setTimeout(onAbort, Math.max(0, operation.deadlineAtMs - performance.now()));
      operation.signal.addEventListener('abort', onAbort);
      flight.answer.then(
        (customer) => {
          leave();
          resolve(customer);
        },
        (error: unknown) => {
          leave();
          reject(error);
        },
      );
      if (operation.signal.aborted) onAbort();
      else onBackoff();
    });
  }

  function forget(flight: Flight): void {
    if (flights.get(flight.pathId) === flight) flights.delete(flight.pathId);
  }

  function cut(identifiers: readonly string[]): void {
    const folded = new Set(identifiers.map(foldReference));
    for (const pathId of flights.keys()) if (folded.has(foldReference(pathId))) flights.delete(pathId);
  }
}

function identifiersOf(customer: Customer | undefined): string[] {
  if (customer === undefined) return [];
  return customer.objectReferenceId === null ? [customer.id] : [customer.id, customer.objectReferenceId];
}
