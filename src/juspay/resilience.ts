import { performance } from 'node:perf_hooks';
import type { Operation } from '../customers/customer.ts';
import { GatewayError } from '../errors.ts';
import { correlationOf, type Log, type LogFields, type Metrics, type Outcome } from '../telemetry/log.ts';
import { type Breakers, createBreakers } from './breakers.ts';
import type { Call, Exchange, Key, Transport } from './exchange.ts';
import { type Failed, FirstAttempt, type Receiver, repeat, type Steps } from './first-attempt.ts';
import { budgetPauseMs, createGate } from './gate.ts';
import { CallFailure, NoSuchCustomer, transportFailure } from './refusal.ts';
import { type AttemptListener, remainingMs, type Task, TaskAttempt } from './task.ts';

const now = () => performance.now();

export interface Resilience {
  /**
   * Makes one call. Repeats it within the policy and the operation's deadline.
   *
   * @param receiver receives the value of `decode`, or the result of `recover` for the last error of `decode`, or for the CallFailure
   *   of a call without a response.
   */
  call<Value>(task: Task<Value>, receiver: Receiver<Value>): void;
}

const backoffBaseMs = 100;
const backoffCapMs = 1_000;

/**
 * Applies the steps of a call in this order: deadline ▸ retry, within its budget ▸ circuit breaker ▸ hold-back ▸ concurrency
 * limit ▸ connection. The last two belong to the transport.
 *
 * The first attempt is sent at once if nothing holds it back, and its response goes to the receiver without a promise. Everything
 * else goes to the loop of `persist`.
 *
 * @param options.timeoutMs the maximum time of one attempt.
 */
export function resilient(
  transport: Transport,
  options: { merchantId: string; timeoutMs: number; log: Log; metrics?: Metrics | undefined },
): Resilience {
  const { merchantId, timeoutMs, log, metrics } = options;
  const gate = createGate(now, { GET: openBreakers('GET'), POST: openBreakers('POST') });
  const rules = { gate, timeoutMs };
  metrics?.merchantOpened(merchantId, {
    retriesLeft: gate.retriesLeft,
    heldMs: () => Math.max(0, gate.heldUntilMs - now()),
  });
  const firstAttempt = { attempt: 1, key: undefined };
  const steps: Steps = { conclude, countUnsent, persist };

  return {
    call(task, receiver) {
      if (isClear(task))
        transport.send(new TaskAttempt(task, firstAttempt, rules, new FirstAttempt(task, receiver, steps)));
      else repeat(task, 'refused', steps, receiver);
    },
  };

  /** Whether the first attempt needs no wait. */
  function isClear({ call, operation }: Task<unknown>): boolean {
    const nowMs = now();
    if (operation.cancellation.isCancelled || operation.deadlineAtMs <= nowMs || gate.heldUntilMs > nowMs) return false;
    return gate.refusedMs(call.method, operation, 1) === 0;
  }

  /**
   * The loop of a call, from its first failure. `refused`: the first attempt was not sent.
   *
   * @throws the last error of `decode`; CallFailure if there was no response.
   */
  async function persist<Value>(task: Task<Value>, first: Failed | 'full' | 'refused'): Promise<Value> {
    const { call, operation, policy } = task;
    let last = typeof first === 'object' ? first : undefined;
    let lastFailure: CallFailure | undefined;
    const repeatedOnce = new Set<string>();
    let key: Key | undefined;
    let attempt = 1;
    if (first === 'full') await waitForRoom(task);
    for (;;) {
      if (last !== undefined) {
        const { failure, exchange } = last;
        if (exchange.kind === 'response' && exchange.otherKey !== undefined && key === undefined) {
          // This is not a retry: the host works and only the key was refused, so send at once and do not count an attempt.
          key = exchange.otherKey;
        } else {
          if (attempt >= policy.maxAttempts || !policy.repeats(failure, repeatedOnce.has(failure.kind))) throw failure;
          if (failure.repeat === 'once') repeatedOnce.add(failure.kind);
          lastFailure = failure;
          const waitMs = Math.max(backoffMs(attempt), failure.pauseMs, gate.heldUntilMs - now());
          // The provider's last error is more useful than the timeout or refusal that would follow.
          if (operation.cancellation.isCancelled || waitMs >= remainingMs(operation)) throw failure;
          attempt += 1;
          if (!policy.waitsIfRefused && gate.refusedMs(call.method, operation, attempt) > 0) throw failure;
          if (gate.heldUntilMs > now()) operation.onBackoff?.(gate.heldUntilMs);
          await pause(waitMs, operation);
        }
      }
      const sent = await send(task, attempt, key);
      if (sent === 'refused') {
        log.debug('upstream call refused', { ...correlationOf(operation), call: policy.kind, attempt });
        throw lastFailure ?? new CallFailure(new GatewayError('UPSTREAM_UNAVAILABLE'), 'unsent', 'never');
      }
      try {
        return conclude(task, sent.taskAttempt, sent.exchange);
      } catch (failure) {
        if (!(failure instanceof CallFailure)) throw failure;
        last = { failure, exchange: sent.exchange };
      }
    }
  }

  /** Counts the wait of an attempt that was not sent. */
  function countUnsent({ operation }: Task<unknown>, taskAttempt: TaskAttempt): void {
    metrics?.queued({ caller: operation.callerKind ?? 'anonymous', waitMs: now() - taskAttempt.startedAtMs });
  }

  /** Makes one attempt as soon as it may be sent. */
  async function send(task: Task<unknown>, attempt: number, key: Key | undefined) {
    while (await waitUntilClear(task, attempt)) {
      const { promise, resolve, reject } = Promise.withResolvers<{
        result: Exchange | 'refused' | 'full';
        taskAttempt: TaskAttempt;
      }>();
      const listener: AttemptListener = {
        onEnd: (result, taskAttempt) => resolve({ result, taskAttempt }),
        onFault: reject,
      };
      transport.send(new TaskAttempt(task, { attempt, key }, rules, listener));
      const { result, taskAttempt } = await promise;
      if (result === 'full' || result === 'refused') countUnsent(task, taskAttempt);
      if (result === 'full') await waitForRoom(task);
      else if (result !== 'refused') return { exchange: result, taskAttempt };
    }
    return 'refused';
  }

  /** Too many calls wait, and nothing was sent. @throws CallFailure if the policy does not wait. */
  async function waitForRoom({ call, operation, policy }: Task<unknown>): Promise<void> {
    const code = call.method === 'GET' ? 'OVERLOADED' : 'UPSTREAM_UNAVAILABLE';
    if (!policy.waitsIfRefused) throw new CallFailure(new GatewayError(code), 'unsent', 'never');
    await pause(budgetPauseMs, operation);
  }

  /**
   * Waits until the call may be sent. Every call waits for a hold-back that ends before its deadline. Only policies with
   * `waitsIfRefused` wait for the breaker and the budget.
   *
   * @returns `false` if the breaker or the budget refuses the call.
   * @throws CallFailure `RATE_LIMITED` if the hold-back ends after the deadline; `UPSTREAM_TIMEOUT` after it.
   */
  async function waitUntilClear({ call, operation, policy }: Task<unknown>, attempt: number): Promise<boolean> {
    for (;;) {
      const leftMs = remainingMs(operation);
      // Check after each pause: a pause ends early when the operation is cancelled.
      if (operation.cancellation.isCancelled || leftMs <= 0) {
        throw new CallFailure(new GatewayError('UPSTREAM_TIMEOUT'), 'unsent', 'never');
      }
      const heldMs = gate.heldUntilMs - now();
      if (heldMs >= leftMs) {
        // Check this before the breaker: the error contains the time of the next retry.
        const retryAfterSeconds = Math.ceil(heldMs / 1000);
        throw new CallFailure(new GatewayError('RATE_LIMITED', { retryAfterSeconds }), 'unsent', 'never');
      }
      const refused = gate.refusedMs(call.method, operation, attempt);
      if (refused > 0) {
        // Jitter spreads the checks of the calls that wait for a probe.
        const waitMs = refused + backoffMs(1);
        if (!policy.waitsIfRefused || waitMs >= leftMs) return false;
        await pause(waitMs, operation);
      } else if (heldMs > 0) {
        operation.onBackoff?.(gate.heldUntilMs);
        await pause(heldMs, operation);
      } else {
        return true;
      }
    }
  }

  /** Decodes, counts and logs a finished attempt. @throws what `decode` throws; CallFailure if there is no response. */
  function conclude<Value>(task: Task<Value>, taskAttempt: TaskAttempt, exchange: Exchange): Value {
    const { operation, policy } = task;
    const known = exchange.kind === 'response' ? providerRequestId(exchange.headers['x-request-id']) : undefined;
    if (known !== undefined) operation.onProviderRequest?.(known);
    try {
      if (exchange.kind === 'failure') throw transportFailure(exchange);
      const value = task.decode(exchange, taskAttempt.attempt > 1);
      count('OK');
      if (log.isDebugDropped !== true) log.debug('upstream call', describe());
      return value;
    } catch (failure) {
      if (!(failure instanceof CallFailure)) {
        count(failure instanceof NoSuchCustomer ? 'NOT_FOUND' : 'INTERNAL_SERVER_ERROR');
        throw failure;
      }
      const { code, cause } = failure.error;
      count(code);
      log[(operation.onFailure?.(code) ?? true) ? 'warn' : 'debug']('upstream call failed', {
        ...describe(),
        code,
        cause,
      });
      throw failure;
    }

    function count(outcome: Outcome): void {
      taskAttempt.onConcluded(outcome, exchange.kind === 'response' ? exchange.status : undefined);
      const durationMs = now() - taskAttempt.startedAtMs;
      if (metrics !== undefined) {
        const { sampledTraceId: traceId, callerKind: caller = 'anonymous' } = operation;
        const { resends, queuedMs: waitMs } = taskAttempt;
        const isRepeat = resends > 0;
        metrics.attempt({ merchant: merchantId, call: policy.kind, outcome, isRepeat, durationMs, traceId });
        metrics.queued({ caller, waitMs });
      }
    }

    function describe(): LogFields {
      return {
        ...correlationOf(operation),
        call: policy.kind,
        attempt: taskAttempt.attempt,
        durationMs: Math.round(now() - taskAttempt.startedAtMs),
        ...(exchange.kind === 'response' && {
          status: exchange.status,
          ...(known !== undefined && { providerRequestId: known }),
        }),
      };
    }
  }

  function openBreakers(method: Call['method']): Breakers {
    const fields = { merchant: merchantId, method };
    metrics?.breaker({ ...fields, isOpen: false });
    return createBreakers(now, {
      opened(count) {
        log.warn('circuit breaker opened', { ...fields, count });
        metrics?.breaker({ ...fields, isOpen: true });
      },
      closed(openBreakers) {
        log.warn('circuit breaker closed', fields);
        metrics?.breaker({ ...fields, isOpen: openBreakers > 0 });
      },
    });
  }
}

/** Exponential backoff with full jitter: calls that failed together are not repeated together. */
function backoffMs(attempt: number): number {
  return Math.random() * Math.min(backoffCapMs, backoffBaseMs * 2 ** (attempt - 1));
}

/** Ends early and without an error when the operation is cancelled. The caller checks the cancellation. */
function pause(ms: number, { cancellation }: Operation): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      cancellation.remove(listener);
      resolve();
    };
    const listener = { onCancel: end };
    const timer = setTimeout(end, ms);
    if (cancellation.isCancelled) end();
    else cancellation.add(listener);
  });
}

/** The provider's id of the call, for the log. Ignores values that do not have the form of an id. */
function providerRequestId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w.-]{1,64}$/.test(header) ? header : undefined;
}
