import { performance } from 'node:perf_hooks';
import type { Operation } from '../customers/customer.ts';
import { GatewayError } from '../errors.ts';
import { correlationOf, type Log, type LogFields, type Metrics, type Outcome } from '../telemetry/log.ts';
import { type Breaker, callResultOf, minTimeoutShare } from './breaker.ts';
import { type Breakers, createBreakers } from './breakers.ts';
import { createRetryBudget } from './budget.ts';
import type { Policy } from './policy.ts';
import { CallFailure, NoSuchCustomer, retryAfterMs, transportFailure } from './refusal.ts';
import type { Call, Exchange, Key, Transport } from './transport.ts';

/** A response of the provider, successful or not. */
export type UpstreamResponse = Extract<Exchange, { kind: 'response' }>;

const now = () => performance.now();

export interface Resilience {
  /**
   * Makes one call. Repeats it within the policy and the operation's deadline.
   *
   * @param decode turns a response into a value, or throws. A {@link CallFailure} may be repeated.
   * @throws the last error of `decode`; CallFailure if there was no response.
   */
  call<T>(
    call: Call,
    operation: Operation,
    policy: Policy,
    decode: (response: UpstreamResponse, isRepeat: boolean) => T,
  ): Promise<T>;
}

/** One attempt: its number from 1, and the key to use if the preferred one was refused. */
type Try = { readonly attempt: number; readonly key: Key | undefined };

/** Maximum time for which one `Retry-After` holds back a merchant's calls. */
const maxHoldMs = 60_000;
const backoffBaseMs = 100;
const backoffCapMs = 1_000;
/** With an exhausted budget, waiting calls check again after this time. */
const budgetPauseMs = 100;

/**
 * Applies the steps of a call in this order: deadline ▸ retry, within its budget ▸ circuit breaker ▸ hold-back ▸ concurrency
 * limit ▸ pool. The last two belong to the transport.
 *
 * One per merchant: budget, breakers and `Retry-After` apply to the calls of that merchant only.
 *
 * @param options.timeoutMs the maximum time of one attempt.
 */
export function resilient(
  transport: Transport,
  options: { merchantId: string; timeoutMs: number; log: Log; metrics?: Metrics | undefined },
): Resilience {
  const { merchantId, timeoutMs, log, metrics } = options;
  const budget = createRetryBudget(now);
  const breakers = { GET: openBreakers('GET'), POST: openBreakers('POST') };
  let heldUntilMs = 0;

  return {
    async call(call, operation, policy, decode) {
      let lastFailure: CallFailure | undefined;
      let repeatedOnce = false;
      let key: Key | undefined;
      for (let attempt = 1; ; attempt += 1) {
        const sent = await send(call, operation, policy, { attempt, key });
        if (sent === 'refused') {
          log.debug('upstream call refused', { ...correlationOf(operation), call: policy.kind, attempt });
          throw lastFailure ?? new CallFailure(new GatewayError('UPSTREAM_UNAVAILABLE'), 'unsent', 'never');
        }
        const { exchange, startedAtMs } = sent;
        const known = exchange.kind === 'response' ? providerRequestId(exchange.headers['x-request-id']) : undefined;
        if (known !== undefined) operation.onProviderRequest?.(known);
        try {
          if (exchange.kind === 'failure') throw transportFailure(exchange);
          const value = decode(exchange, attempt > 1);
          count('OK');
          log.debug('upstream call', describe(exchange, startedAtMs));
          return value;
        } catch (failure) {
          if (!(failure instanceof CallFailure)) {
            count(failure instanceof NoSuchCustomer ? 'NOT_FOUND' : 'INTERNAL_SERVER_ERROR');
            throw failure;
          }
          const { error } = failure;
          count(error.code);
          log[(operation.onFailure?.(error.code) ?? true) ? 'warn' : 'debug']('upstream call failed', {
            ...describe(exchange, startedAtMs),
            code: error.code,
            cause: error.cause,
          });
          if (exchange.kind === 'response' && exchange.otherKey !== undefined && key === undefined) {
            // This is not a retry: the host works and only the key was refused, so send at once and do not count an attempt.
            key = exchange.otherKey;
            attempt -= 1;
            continue;
          }
          if (attempt >= policy.maxAttempts || !policy.repeats(failure, repeatedOnce)) throw failure;
          repeatedOnce ||= failure.repeat === 'once';
          lastFailure = failure;
          const waitMs = Math.max(backoffMs(attempt), failure.pauseMs, heldUntilMs - now());
          // The provider's last error is more useful than the timeout or refusal that would follow.
          if (operation.cancellation.isCancelled || waitMs >= remainingMs(operation)) throw failure;
          if (!policy.waitsIfRefused && refusedMs(call, operation, attempt + 1) > 0) throw failure;
          if (heldUntilMs > now()) operation.onBackoff?.(heldUntilMs);
          await pause(waitMs, operation);
        }

        function count(outcome: Outcome): void {
          const durationMs = now() - startedAtMs;
          const isRepeat = attempt > 1 || key !== undefined;
          metrics?.attempt({ merchant: merchantId, call: policy.kind, outcome, isRepeat, durationMs });
        }

        function describe(exchange: Exchange, startedAtMs: number): LogFields {
          return {
            ...correlationOf(operation),
            call: policy.kind,
            attempt,
            durationMs: Math.round(now() - startedAtMs),
            ...(exchange.kind === 'response' && {
              status: exchange.status,
              ...(known !== undefined && { providerRequestId: known }),
            }),
          };
        }
      }
    },
  };

  /**
   * Makes one attempt as soon as it may be sent. The breaker, the budget and the hold-back are checked twice, because they can
   * change while the call waits for a connection.
   */
  async function send(call: Call, operation: Operation, policy: Policy, { attempt, key }: Try) {
    while (await waitUntilClear(call, operation, policy, attempt)) {
      const startedAtMs = now();
      let sentAtMs = 0;
      // Not cached: the deadline of a shared read changes when another caller joins.
      const givenMs = () => Math.min(timeoutMs, (operation.deadlineAtMs - sentAtMs) * policy.share);
      let report: ReturnType<Breaker['admit']>;
      try {
        const exchange = await transport.send(call, {
          waiter: operation,
          leftMs(sinceMs) {
            sentAtMs = sinceMs;
            return sentAtMs + givenMs() - now();
          },
          waitMs: () => remainingMs(operation),
          isRefused() {
            if (heldUntilMs > now() || isOverBudget(call, attempt)) return true;
            report = breakers[call.method].admit(operation.caller);
            if (report === undefined) return true;
            // An attempt with the other key is neither a first attempt nor a repeat.
            if (call.method === 'GET' && (attempt > 1 || key === undefined)) budget.count(attempt);
            if (call.method === 'POST') operation.onWriteSent?.();
            return false;
          },
          onExchange(exchange) {
            const attemptMs = givenMs();
            const lateMs = now() - sentAtMs - attemptMs;
            const isAborted = call.method === 'GET' && operation.cancellation.isCancelled;
            const isTooShort = attemptMs < timeoutMs * minTimeoutShare;
            report?.(callResultOf(exchange, { attemptMs, lateMs, isTooShort, isAborted }));
            if (exchange.kind !== 'response') return;
            const askedMs = retryAfterMs(exchange) ?? 0;
            heldUntilMs = Math.max(heldUntilMs, now() + Math.min(askedMs, maxHoldMs));
          },
          // Never abort a write that was sent: it may take effect although the caller has disconnected.
          ...(policy.kind === 'get' && { cancellation: operation.cancellation }),
          key,
        });
        if (exchange === 'full') {
          // Nothing was sent.
          const code = call.method === 'GET' ? 'OVERLOADED' : 'UPSTREAM_UNAVAILABLE';
          if (!policy.waitsIfRefused) throw new CallFailure(new GatewayError(code), 'unsent', 'never');
          await pause(budgetPauseMs, operation);
        } else if (exchange !== 'refused') {
          return { exchange, startedAtMs };
        }
      } finally {
        // If the attempt ended without an exchange. Has no effect after another report.
        report?.('ignored');
      }
    }
    return 'refused';
  }

  /**
   * Waits until the call may be sent. Every call waits for a hold-back that ends before its deadline. Only policies with
   * `waitsIfRefused` wait for the breaker and the budget.
   *
   * @returns `false` if the breaker or the budget refuses the call.
   * @throws CallFailure `RATE_LIMITED` if the hold-back ends after the deadline; `UPSTREAM_TIMEOUT` after it.
   */
  async function waitUntilClear(call: Call, operation: Operation, policy: Policy, attempt: number): Promise<boolean> {
    for (;;) {
      const leftMs = remainingMs(operation);
      // Check after each pause: a pause ends early when the operation is cancelled.
      if (operation.cancellation.isCancelled || leftMs <= 0) {
        throw new CallFailure(new GatewayError('UPSTREAM_TIMEOUT'), 'unsent', 'never');
      }
      const heldMs = heldUntilMs - now();
      if (heldMs >= leftMs) {
        // Check this before the breaker: the error tells the caller when to retry.
        const retryAfterSeconds = Math.ceil(heldMs / 1000);
        throw new CallFailure(new GatewayError('RATE_LIMITED', { retryAfterSeconds }), 'unsent', 'never');
      }
      const refused = refusedMs(call, operation, attempt);
      if (refused > 0) {
        // Jitter spreads the checks of the calls that wait for a probe.
        const waitMs = refused + backoffMs(1);
        if (!policy.waitsIfRefused || waitMs >= leftMs) return false;
        await pause(waitMs, operation);
      } else if (heldMs > 0) {
        operation.onBackoff?.(heldUntilMs);
        await pause(heldMs, operation);
      } else {
        return true;
      }
    }
  }

  /** Minimum time in ms for which the breaker or the budget refuses the call; 0 if neither does. */
  function refusedMs(call: Call, { caller }: Operation, attempt: number): number {
    return breakers[call.method].refusedMs(caller) || (isOverBudget(call, attempt) ? budgetPauseMs : 0);
  }

  /** Every repeated GET uses the budget, including reads that settle a write. Repeated writes do not use it. */
  function isOverBudget({ method }: Call, attempt: number): boolean {
    return method === 'GET' && attempt > 1 && budget.isSpent();
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

/** The time until the deadline, by the monotonic clock. Negative after the deadline. */
export function remainingMs(operation: Operation): number {
  return operation.deadlineAtMs - now();
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
