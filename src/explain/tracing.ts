import type { Access } from '../customers/access.ts';
import { type CustomerApi, changedOperation, type Operation, reading } from '../customers/customer.ts';
import type { Attempt, AttemptObserver, OperationRecord } from '../customers/record.ts';
import type { Engine } from '../execution/engine.ts';
import { createOperations, type OperationsOptions } from '../graphql/operations.ts';
import { Asks } from './asks.ts';
import { Calls, type ExplainedCall } from './calls.ts';
import type { Explained } from './explained.ts';
import type { Explanation, TracedAttempt, TracedCall } from './explanation.ts';
import { Placeholders } from './placeholders.ts';
import { pathTemplateOf, reasonOf } from './plan.ts';

/** A call of the client with what it sent. */
interface Step {
  readonly call: ExplainedCall;
  isShared: boolean;
  readonly attempts: Mutable<TracedAttempt>[];
}

type Mutable<Type> = { -readonly [Name in keyof Type]: Type[Name] };

/** Executes the operation, and adds the calls that it has made to the answer. */
export function createTracing(engine: Engine, operations: OperationsOptions): Explained {
  const steps: Step[] = [];
  let caller: Access | undefined;

  return {
    engine,
    openOperation(state, request) {
      const asks = new Asks();
      const calls = new Calls(asks);
      caller = state.caller;
      const traced = createOperations({
        ...operations,
        clientOf(owner) {
          const client = operations.clientOf(owner);
          if (client === undefined) return undefined;
          const open = (operation: Operation) =>
            reading(calls.noted((call) => (call ? follow(call, operation, client.open) : client.open(operation))));
          return { ...client, open };
        },
      });
      const context = traced.open(state, request);
      const { requestId, caller: rights, customers, write } = context;
      return {
        ...{ requestId, caller: rights, write, asks },
        customers: asks.noted(customers, () => undefined),
        audit: (entry) => context.audit(entry),
        onUnexpected: (cause) => context.onUnexpected(cause),
      };
    },
    explain(answer) {
      if (caller === undefined) return answer;
      const explanation: Explanation = { mode: 'trace', calls: tracedCalls(steps, caller) };
      const extensions = JSON.stringify({ explain: explanation });
      // The text of an answer is an object without extensions.
      return { ...answer, body: `${answer.body.slice(0, -1)},"extensions":${extensions}}` };
    },
  };

  /** The client of one call, whose attempts are noted. */
  function follow(call: ExplainedCall, operation: Operation, open: (operation: Operation) => CustomerApi): CustomerApi {
    const step: Step = { call, isShared: false, attempts: [] };
    steps.push(step);
    const { record } = operation;
    const api = open(changedOperation(operation, { record: observed(record, noting(step)) }));
    return {
      create: (input, options) => api.create(input, options),
      update: (id, changes) => api.update(id, changes),
      get(key, options) {
        const before = record.sharedReads;
        const read = api.get(key, options);
        step.isShared = record.sharedReads > before;
        return read;
      },
    };
  }
}

function tracedCalls(steps: readonly Step[], { customers }: Access): TracedCall[] {
  const placeholders = new Placeholders();
  return steps.map(({ call, isShared, attempts }) => ({
    call: call.number,
    method: call.kind === 'get' ? 'GET' : 'POST',
    path: pathTemplateOf(call.kind),
    customer: placeholders.nameOf(call.pathId),
    token: call.withToken,
    reads: call.reads,
    reasons: call.reasons.map(reasonOf),
    shared: isShared,
    attempts: customers === 'any' ? attempts : attempts.map(withoutExistence),
  }));
}

/** A caller that is bound to a customer must not learn whether another customer exists. */
function withoutExistence(attempt: TracedAttempt): TracedAttempt {
  const isKnown = attempt.method === 'POST' || (attempt.outcome !== 'OK' && attempt.outcome !== 'NOT_FOUND');
  return isKnown ? attempt : { ...attempt, status: null, outcome: null };
}

function noting({ attempts }: Step): AttemptObserver {
  const started = new Map<Attempt, Mutable<TracedAttempt>>();
  return {
    onAttemptStart(attempt) {
      const entry: Mutable<TracedAttempt> = {
        method: attempt.method,
        path: pathTemplateOf(attempt.call),
        token: attempt.withToken,
        attempt: attempt.attempt,
        status: null,
        outcome: null,
        durationMs: null,
        queuedMs: rounded(attempt.queuedMs),
      };
      started.set(attempt, entry);
      attempts.push(entry);
    },
    onAttemptEnd(attempt, { status, outcome, durationMs }) {
      const entry = started.get(attempt);
      if (entry === undefined) return;
      entry.status = status ?? null;
      entry.outcome = outcome;
      entry.durationMs = rounded(durationMs);
    },
  };
}

/** The record with one more observer. Everything else is read from and written to the record itself. */
function observed(record: OperationRecord, observer: AttemptObserver): OperationRecord {
  const both: AttemptObserver = {
    onAttemptStart(attempt) {
      record.observer?.onAttemptStart(attempt);
      observer.onAttemptStart(attempt);
    },
    onAttemptEnd(attempt, end) {
      record.observer?.onAttemptEnd(attempt, end);
      observer.onAttemptEnd(attempt, end);
    },
  };
  return new Proxy(record, {
    get(target, name) {
      if (name === 'observer') return both;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value),
  });
}

/** To a tenth of a millisecond. */
function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
