import {
  type CreateOrigin,
  type Customer,
  type CustomerKey,
  differingFields,
  type Operation,
} from '../customers/customer.ts';
import { foldReference } from '../customers/identity.ts';
import type { CustomerChanges, NewCustomer } from '../customers/input.ts';
import { GatewayError } from '../errors.ts';
import { CallFailure, NoSuchCustomer } from './refusal.ts';
import { type Policy, reading, remainingMs, settling } from './resilience.ts';

/** The provider's calls, one by one. They throw CallFailure, and NoSuchCustomer from an update. */
export interface Calls {
  get(key: CustomerKey, operation: Operation, policy: Policy, withClientAuthToken: boolean): Promise<Customer | null>;
  create(input: NewCustomer, operation: Operation, withClientAuthToken: boolean): Promise<Customer>;
  update(id: string, changes: CustomerChanges, operation: Operation): Promise<Customer>;
}

/** What a create that is over leaves behind for the next one of the same reference. */
type Verdict = 'exists' | 'unknown' | 'free';

/**
 * Writes that end in a truth: done, not done, or honestly unknown. The provider has no idempotency keys, but references
 * are unique and every customer can be read back; nothing else is relied on.
 */
export function createWrites(calls: Calls) {
  const creates = createQueues<Verdict>();
  const updates = createQueues<'done'>();

  return {
    async create(
      input: NewCustomer,
      operation: Operation,
      withClientAuthToken: boolean,
    ): Promise<{ customer: Customer; origin: CreateOrigin }> {
      // Exactly: a provider that minds case makes two customers of two spellings; one that does not refuses the second.
      const turn = await creates.enter(input.objectReferenceId, operation);
      let verdict: Verdict = turn.before ?? 'free';
      try {
        const created = await createOnce(input, operation, withClientAuthToken, verdict);
        verdict = 'exists';
        return created;
      } catch (error) {
        if (error instanceof GatewayError) {
          if (error.code === 'ALREADY_EXISTS') verdict = 'exists';
          if (error.code === 'OUTCOME_UNKNOWN') verdict = 'unknown';
        }
        throw error;
      } finally {
        turn.leave(verdict);
      }
    },

    async update(id: string, changes: CustomerChanges, operation: Operation): Promise<Customer> {
      const turn = await updates.enter(foldReference(id), operation);
      try {
        return await updateOnce(id, changes, operation);
      } finally {
        turn.leave('done');
      }
    },
  };

  async function createOnce(
    input: NewCustomer,
    operation: Operation,
    withClientAuthToken: boolean,
    before: Verdict,
  ): Promise<{ customer: Customer; origin: CreateOrigin }> {
    const key = { reference: input.objectReferenceId };
    if (before === 'exists') throw new GatewayError('ALREADY_EXISTS');
    if (before === 'unknown' && (await readBack(key, operation, settling, false)) !== null) {
      throw new GatewayError('ALREADY_EXISTS');
    }
    try {
      return { customer: await calls.create(input, operation, withClientAuthToken), origin: 'CREATED' };
    } catch (failure) {
      if (!isUnsettled(failure)) throw answerOf(failure);
    }

    const lasting = withoutCaller(operation);
    const compare = (found: Customer): { customer: Customer; origin: CreateOrigin } => {
      if (differingFields(input, found).length > 0) throw new GatewayError('ALREADY_EXISTS');
      return { customer: found, origin: 'RECONCILED' };
    };
    const found = await readBack(key, lasting, settling, withClientAuthToken);
    if (found !== null) return compare(found);
    try {
      return { customer: await calls.create(input, lasting, withClientAuthToken), origin: 'CREATED' };
    } catch (failure) {
      // Refused for another reason than the reference: the first attempt may still have been accepted.
      if (!isUnsettled(failure) && answerOf(failure).code !== 'ALREADY_EXISTS') throw unknown(failure);
      const policy = isUnsettled(failure) ? reading : settling;
      const settled = await readBack(key, lasting, policy, withClientAuthToken);
      if (settled === null) throw unknown(failure);
      return compare(settled);
    }
  }

  async function updateOnce(id: string, changes: CustomerChanges, operation: Operation): Promise<Customer> {
    try {
      return await calls.update(id, changes, operation);
    } catch (failure) {
      if (!isUnsettled(failure)) throw answerOf(failure);
    }

    const lasting = withoutCaller(operation);
    const isDone = (customer: Customer) => differingFields(changes, customer).length === 0;
    const found = await readBack({ any: id }, lasting, settling, false);
    // That there is none may be the word of a replica that lags; "not found" is for the answer to the write itself.
    if (found === null) throw new GatewayError('OUTCOME_UNKNOWN');
    if (isDone(found)) return found;
    try {
      return await calls.update(id, changes, lasting);
    } catch (failure) {
      const settled = await readBack({ any: id }, lasting, reading, false);
      if (settled !== null && isDone(settled)) return settled;
      throw unknown(failure);
    }
  }

  /** A read that settles a write; where it fails, the write's outcome stays unknown. */
  async function readBack(key: CustomerKey, operation: Operation, policy: Policy, withClientAuthToken: boolean) {
    try {
      return await calls.get(key, operation, policy, withClientAuthToken);
    } catch (failure) {
      throw unknown(failure);
    }
  }
}

/** Whoever asked may have gone; a write that was sent is settled all the same, within the deadline. */
function withoutCaller(operation: Operation): Operation {
  return { ...operation, signal: new AbortController().signal };
}

/** Everything that is not known to be refused or unsent, errors of our own included: the write may have happened. */
function isUnsettled(failure: unknown): boolean {
  return !(failure instanceof NoSuchCustomer) && !(failure instanceof CallFailure && failure.certainty !== 'unknown');
}

function answerOf(failure: unknown): GatewayError {
  if (failure instanceof NoSuchCustomer) return new GatewayError('NOT_FOUND');
  return failure instanceof CallFailure ? failure.error : unknown(failure);
}

function unknown(cause: unknown): GatewayError {
  return new GatewayError('OUTCOME_UNKNOWN', { cause });
}

/** First come, first served, by key. `before` is what the one before left behind, `undefined` for the first. */
function createQueues<Outcome>() {
  const tails = new Map<string, Promise<Outcome>>();
  return {
    /** @throws GatewayError `UPSTREAM_TIMEOUT` when the turn does not come in time: nothing was sent. */
    async enter(
      key: string,
      operation: Operation,
    ): Promise<{ before: Outcome | undefined; leave(outcome: Outcome): void }> {
      const previous = tails.get(key);
      const { promise, resolve } = Promise.withResolvers<Outcome>();
      tails.set(key, promise);
      void promise.then(() => {
        if (tails.get(key) === promise) tails.delete(key);
      });
      if (previous === undefined) return { before: undefined, leave: resolve };
      try {
        return { before: await inTime(previous, operation), leave: resolve };
      } catch (error) {
        // Who comes next waits for the same one.
        void previous.then(resolve);
        throw error;
      }
    },
  };
}

async function inTime<T>(promise: Promise<T>, operation: Operation): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new GatewayError('UPSTREAM_TIMEOUT')), Math.max(0, remainingMs(operation)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
