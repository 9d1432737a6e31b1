import { never } from '../customers/cancellation.ts';
import {
  type CreateOrigin,
  type Customer,
  type CustomerKey,
  changedOperation,
  differingFields,
  type Operation,
} from '../customers/customer.ts';
import { foldReference } from '../customers/identity.ts';
import type { CustomerChanges, NewCustomer } from '../customers/input.ts';
import { TurnoverMap } from '../customers/turnover-map.ts';
import { GatewayError } from '../errors.ts';
import { type Policy, reading, settling } from './policy.ts';
import { CallFailure, NoSuchCustomer } from './refusal.ts';
import { remainingMs } from './task.ts';

/**
 * The provider's calls. They throw CallFailure; `update` also throws NoSuchCustomer. An unexpected error of `create` or `update`
 * means that nothing was sent.
 */
export interface Calls {
  get(key: CustomerKey, operation: Operation, policy: Policy, withClientAuthToken: boolean): Promise<Customer | null>;
  create(input: NewCustomer, operation: Operation, withClientAuthToken: boolean): Promise<Customer>;
  update(id: string, changes: CustomerChanges, operation: Operation): Promise<Customer>;
}

export type Writes = ReturnType<typeof createWrites>;

/** The state of a reference after a create. The next create of the same reference uses it. */
type ReferenceState = 'exists' | 'unknown' | 'free';

/**
 * Settles ambiguous writes. Every write ends as a success, a definite failure, or `OUTCOME_UNKNOWN`. The provider has no
 * idempotency keys, so this relies on two facts only: references are unique, and every customer can be read back.
 */
export function createWrites(calls: Calls) {
  const creates = createQueues<ReferenceState>();
  const updates = createQueues<'done'>();

  return {
    async create(
      input: NewCustomer,
      operation: Operation,
      withClientAuthToken: boolean,
    ): Promise<{ customer: Customer; origin: CreateOrigin }> {
      // Case-sensitive key: the provider decides whether two spellings are one reference.
      const turn = await creates.waitForTurn(input.objectReferenceId, operation);
      let state: ReferenceState = turn.previous ?? 'free';
      try {
        const created = await createOnce(input, operation, withClientAuthToken, state);
        state = 'exists';
        return created;
      } catch (error) {
        if (error instanceof GatewayError) {
          if (error.code === 'ALREADY_EXISTS') state = 'exists';
          if (error.code === 'OUTCOME_UNKNOWN') state = 'unknown';
        }
        throw error;
      } finally {
        turn.release(state);
      }
    },

    async update(id: string, changes: CustomerChanges, operation: Operation): Promise<Customer> {
      const turn = await updates.waitForTurn(foldReference(id), operation);
      try {
        return await updateOnce(id, changes, operation);
      } finally {
        turn.release('done');
      }
    },
  };

  async function createOnce(
    input: NewCustomer,
    operation: Operation,
    withClientAuthToken: boolean,
    previous: ReferenceState,
  ): Promise<{ customer: Customer; origin: CreateOrigin }> {
    const key = { reference: input.objectReferenceId };
    if (previous === 'exists') throw new GatewayError('ALREADY_EXISTS');
    if (previous === 'unknown' && (await readBack(key, operation, settling, false)) !== null) {
      throw new GatewayError('ALREADY_EXISTS');
    }
    try {
      return { customer: await calls.create(input, operation, withClientAuthToken), origin: 'CREATED' };
    } catch (failure) {
      if (!isAmbiguous(failure)) throw errorOf(failure);
    }

    const unabortable = withoutAbort(operation);
    const compare = (found: Customer): { customer: Customer; origin: CreateOrigin } => {
      if (differingFields(input, found).length > 0) throw new GatewayError('ALREADY_EXISTS');
      return { customer: found, origin: 'RECONCILED' };
    };
    const found = await readBack(key, unabortable, settling, withClientAuthToken);
    if (found !== null) return compare(found);
    try {
      return { customer: await calls.create(input, unabortable, withClientAuthToken), origin: 'CREATED' };
    } catch (failure) {
      // This refusal is not about the reference, so the first attempt may still have succeeded.
      if (!isAmbiguous(failure) && !isAlreadyExists(failure)) throw unknown(failure);
      const policy = isAmbiguous(failure) ? reading : settling;
      const settled = await readBack(key, unabortable, policy, withClientAuthToken);
      if (settled === null) throw unknown(failure);
      return compare(settled);
    }
  }

  async function updateOnce(id: string, changes: CustomerChanges, operation: Operation): Promise<Customer> {
    try {
      return await calls.update(id, changes, operation);
    } catch (failure) {
      if (!isAmbiguous(failure)) throw errorOf(failure);
    }

    const unabortable = withoutAbort(operation);
    const isDone = (customer: Customer) => differingFields(changes, customer).length === 0;
    const found = await readBack({ any: id }, unabortable, settling, false);
    // The read may come from a lagging replica. Only the response to the write itself proves that there is no such customer.
    if (found === null) throw new GatewayError('OUTCOME_UNKNOWN');
    if (isDone(found)) return found;
    try {
      return await calls.update(id, changes, unabortable);
    } catch (failure) {
      const settled = await readBack({ any: id }, unabortable, reading, false);
      if (settled !== null && isDone(settled)) return settled;
      throw unknown(failure);
    }
  }

  /** Reads the customer to settle a write. @throws GatewayError `OUTCOME_UNKNOWN` if the read fails. */
  async function readBack(key: CustomerKey, operation: Operation, policy: Policy, withClientAuthToken: boolean) {
    try {
      return await calls.get(key, operation, policy, withClientAuthToken);
    } catch (failure) {
      throw unknown(failure);
    }
  }
}

/** A write that was sent is settled before the deadline even if the caller disconnects. */
function withoutAbort(operation: Operation): Operation {
  return changedOperation(operation, { cancellation: never });
}

/** Whether the write may have taken effect. */
function isAmbiguous(failure: unknown): boolean {
  return failure instanceof CallFailure && failure.certainty === 'unknown';
}

function isAlreadyExists(failure: unknown): boolean {
  return failure instanceof CallFailure && failure.error.code === 'ALREADY_EXISTS';
}

/** The error for the caller. Returns an unexpected error unchanged. */
function errorOf(failure: unknown): unknown {
  if (failure instanceof NoSuchCustomer) return new GatewayError('NOT_FOUND');
  return failure instanceof CallFailure ? failure.error : failure;
}

/** An unexpected error stays the cause, so that it is logged. */
function unknown(failure: unknown): GatewayError {
  return new GatewayError('OUTCOME_UNKNOWN', { cause: errorOf(failure) });
}

/** One first-in, first-out queue per key. */
function createQueues<Outcome>() {
  const tails = new TurnoverMap<Promise<Outcome>>();
  return {
    /**
     * Waits until the previous entry of the key is released.
     *
     * @returns `previous`: the outcome of the previous entry, `undefined` if the queue was empty.
     * @throws GatewayError `UPSTREAM_TIMEOUT` if the deadline passes first. Nothing was sent.
     */
    async waitForTurn(
      key: string,
      operation: Operation,
    ): Promise<{ previous: Outcome | undefined; release(outcome: Outcome): void }> {
      const tail = tails.get(key);
      const { promise, resolve } = Promise.withResolvers<Outcome>();
      tails.set(key, promise);
      void promise.then(() => {
        if (tails.get(key) === promise) tails.delete(key);
      });
      if (tail === undefined) return { previous: undefined, release: resolve };
      try {
        return { previous: await beforeDeadline(tail, operation), release: resolve };
      } catch (error) {
        // The next entry waits for the previous one instead.
        void tail.then(resolve);
        throw error;
      }
    },
  };
}

async function beforeDeadline<T>(promise: Promise<T>, operation: Operation): Promise<T> {
  const { promise: expired, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new GatewayError('UPSTREAM_TIMEOUT')), Math.max(0, remainingMs(operation)));
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
  }
}
