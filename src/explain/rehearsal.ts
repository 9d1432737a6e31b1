import type { CustomerApi, Operation } from '../customers/customer.ts';
import { GatewayError } from '../errors.ts';
import { createClient } from '../juspay/client.ts';
import type { Call } from '../juspay/exchange.ts';
import { settling } from '../juspay/policy.ts';
import { CallFailure, NoSuchCustomer } from '../juspay/refusal.ts';
import type { Resilience } from '../juspay/resilience.ts';
import type { Task } from '../juspay/task.ts';
import { createLog } from '../telemetry/log.ts';
import type { Identities } from './identities.ts';

/**
 * How the provider answers in a rehearsal. `success`: each call succeeds. `exists`: each create is refused, because its reference
 * exists. `unknown`: the outcome of the first attempt of each write is unknown, and the read that settles it finds that the write
 * had no effect.
 */
export type Course = 'success' | 'exists' | 'unknown';

/** A call that the client would make. */
export interface RehearsedCall {
  readonly call: Call;
  /** Whether the call settles a write with an unknown outcome: a lookup, or the write sent again. */
  readonly settles: 'lookup' | 'repeat' | undefined;
}

/**
 * Creates the client of the provider with a provider that is not there: the real client decides which calls it makes, and each
 * of them is answered with a customer of `identities`. Nothing is sent.
 */
export function rehearse(
  course: Course,
  identities: Identities,
  onCall: (call: RehearsedCall) => void,
): (operation: Operation) => CustomerApi {
  let failed: 'create' | 'update' | undefined;

  const resilience: Resilience = {
    call(task, receiver) {
      answer(task).then(
        (value) => receiver.resolve(value),
        (error: unknown) => receiver.reject(error),
      );
    },
  };
  return createClient(resilience, createLog('silent'));

  async function answer<Value>(task: Task<Value>): Promise<Value> {
    const { call, policy } = task;
    const { kind } = policy;
    const isLookup = policy === settling;
    const isRepeat = kind !== 'get' && kind === failed;
    onCall({ call, settles: isLookup ? 'lookup' : isRepeat ? 'repeat' : undefined });
    // A create that had no effect is not found. An update that had none is found with other data.
    if (isLookup && failed === 'create') return task.recover(new NoSuchCustomer());
    if (kind === 'create' && course === 'exists') throw refused();
    if (kind !== 'get' && course === 'unknown' && !isRepeat) {
      failed = kind;
      throw unknown();
    }
    return task.decode({ kind: 'response', status: 200, headers: {}, body: bodyOf(call) }, false);
  }

  function bodyOf({ routingId, withToken }: Call): Buffer {
    const { id, reference } = identities.of(decodeURIComponent(routingId));
    return Buffer.from(
      JSON.stringify({
        id,
        object_reference_id: reference,
        ...(withToken && { juspay: { client_auth_token: 'token', client_auth_token_expiry: '2100-01-01T00:00:00Z' } }),
      }),
    );
  }
}

function refused(): CallFailure {
  return new CallFailure(new GatewayError('ALREADY_EXISTS'), 'refused', 'never');
}

function unknown(): CallFailure {
  return new CallFailure(new GatewayError('UPSTREAM_TIMEOUT'), 'unknown', 'never');
}
