import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Operation } from '../customers/customer.ts';
import { GatewayError } from '../errors.ts';
import { correlationOf, type Log, type LogFields, type Metrics, type Outcome } from '../telemetry/log.ts';
import { type Breaker, callResultOf, minTimeoutShare } from './breaker.ts';
import { type Breakers, createBreakers } from './breakers.ts';
import { createRetryBudget } from './budget.ts';
import { CallFailure, type CallKind, NoSuchCustomer, retryAfterMs, unanswered } from './refusal.ts';
import type { Call, Exchange, Key, Transport } from './transport.ts';

/** An answer of the provider, whatever it says. */
export type Answer = Extract<Exchange, { kind: 'answered' }>;

const now = () => performance.now();

/** How often a call is tried, and on what. */
export interface Policy {
  readonly kind: CallKind;
  readonly maxAttempts: number;
  /** Whether one more attempt may be made after a failure; `again`: one that is worth a single repeat had it already. */
  repeats(failure: CallFailure, again: boolean): boolean;
  /** The share of the time left that one attempt may take, 0 to 1. */
  readonly share: number;
  /** Whether the call waits where the breaker or the budget refuses it; else it is answered at once. */
  readonly isPatient: boolean;
}

const isWorthIt = ({ repeat }: CallFailure, again: boolean) => repeat === 'always' || (repeat === 'once' && !again);

/** Reads lose nothing by being repeated. */
export const reading: Policy = { kind: 'get', maxAttempts: 3, repeats: isWorthIt, share: 1, isPatient: false };

/**
 * A read that settles a write: it goes on as long as there is time, since giving up leaves the outcome unknown.
 */
export const settling: Policy = {
  kind: 'get',
  maxAttempts: Number.POSITIVE_INFINITY,
  repeats: ({ repeat }) => repeat !== 'never',
  share: 1,
  isPatient: true,
};

/** A write is repeated only where it has surely not happened, and leaves half of the time for reading back. */
export const writing = (kind: 'create' | 'update'): Policy => ({
  kind,
  maxAttempts: 3,
  repeats: (failure, again) => failure.certainty !== 'unknown' && isWorthIt(failure, again),
  share: 0.5,
  isPatient: false,
});

export interface Resilience {
  /**
   * Makes one call, repeated as the policy and the operation's deadline allow.
   *
   * @param decode turns an answer into a value, or throws; a {@link CallFailure} may be repeated.
   * @throws what `decode` threw last; CallFailure when no answer came.
   */
  call<T>(
    call: Call,
    operation: Operation,
    policy: Policy,
    decode: (answer: Answer, isRepeat: boolean) => T,
  ): Promise<T>;
}

/** One attempt: its number, and the key to try where the one that comes first was refused. */
type Try = { readonly attempt: number; readonly key: Key | undefined };

/** The longest that one `Retry-After` holds a merchant's calls back. */
const maxHoldMs = 60_000;
const backoffBaseMs = 100;
const backoffCapMs = 1_000;
/** How long who is patient waits for the budget before it looks again. */
const spentMs = 100;
/**
 * All that stands between one call and the wire, in this order: deadline ▸ retry, within its budget ▸ circuit breaker ▸
 * hold-back ▸ cap ▸ pool (the last two are the transport's).
 *
 * One per merchant: budget, breakers and `Retry-After` are about the calls of that merchant, and of no other.
 *
 * @param options.timeoutMs the longest that one attempt may take.
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
          throw lastFailure ?? new CallFailure(new GatewayError('UPSTREAM_UNAVAILABLE'), 'never', 'never');
        }
        const { exchange, startedAtMs } = sent;
        const known = exchange.kind === 'answered' ? providerRequestId(exchange.headers['x-request-id']) : undefined;
        if (known !== undefined) operation.onProviderRequest?.(known);
        try {
          if (exchange.kind === 'failed') throw unanswered(exchange);
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
          if (exchange.kind === 'answered' && exchange.otherKey !== undefined && key === undefined) {
            // A call of its own, but no repeat of one that failed: the host is well, and nothing is to be waited for.
            key = exchange.otherKey;
            attempt -= 1;
            continue;
          }
          if (attempt >= policy.maxAttempts || !policy.repeats(failure, repeatedOnce)) throw failure;
          repeatedOnce ||= failure.repeat === 'once';
          lastFailure = failure;
          const waitMs = Math.max(backoffMs(attempt), failure.pauseMs, heldUntilMs - now());
          // What the provider said last is a better answer than a timeout, or a refusal, that is sure to come.
          if (operation.signal.aborted || waitMs >= remainingMs(operation)) throw failure;
          if (!policy.isPatient && refusedMs(call, operation, attempt + 1) > 0) throw failure;
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
            ...(exchange.kind === 'answered' && {
              status: exchange.status,
              ...(known !== undefined && { providerRequestId: known }),
            }),
          };
        }
      }
    },
  };

  /**
   * One attempt, which starts when nothing stands in its way. Looked at twice: what refuses it, or holds it back, may
   * come up while it waits for a connection.
   */
  async function send(call: Call, operation: Operation, policy: Policy, { attempt, key }: Try) {
    while (await isClear(call, operation, policy, attempt)) {
      const startedAtMs = now();
      let sentAtMs = 0;
      // Never kept: of a read that is shared, who waits changes.
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
            // With another key it is neither a first attempt nor a repeat.
            if (call.method === 'GET' && (attempt > 1 || key === undefined)) budget.count(attempt);
            return false;
          },
          onExchange(exchange) {
            const attemptMs = givenMs();
            const lateMs = now() - sentAtMs - attemptMs;
            const isAborted = call.method === 'GET' && operation.signal.aborted;
            const isTooShort = attemptMs < timeoutMs * minTimeoutShare;
            report?.(callResultOf(exchange, { attemptMs, lateMs, isTooShort, isAborted }));
            if (exchange.kind !== 'answered') return;
            const askedMs = retryAfterMs(exchange) ?? 0;
            heldUntilMs = Math.max(heldUntilMs, now() + Math.min(askedMs, maxHoldMs));
          },
          // A write that was sent is never aborted: whoever asked may be gone, what it did is not.
          ...(policy.kind === 'get' && { signal: operation.signal }),
          key,
        });
        if (exchange === 'full') {
          // Nothing was sent.
          const code = call.method === 'GET' ? 'OVERLOADED' : 'UPSTREAM_UNAVAILABLE';
          if (!policy.isPatient) throw new CallFailure(new GatewayError(code), 'never', 'never');
          await pause(spentMs, operation);
        } else if (exchange !== 'refused') {
          return { exchange, startedAtMs };
        }
      } finally {
        // For a call that came to nothing at all: told already otherwise.
        report?.('ignored');
      }
    }
    return 'refused';
  }

  /**
   * Waits until the call may be sent. Held back, everybody waits, and who cannot wait that long is told so at once;
   * refused, only who is patient does.
   *
   * @returns `false` where the breaker or the budget has the last word.
   */
  async function isClear(call: Call, operation: Operation, policy: Policy, attempt: number): Promise<boolean> {
    for (;;) {
      const leftMs = remainingMs(operation);
      // Asked each time round: a pause is over at once when nobody waits any more.
      if (operation.signal.aborted || leftMs <= 0) {
        throw new CallFailure(new GatewayError('UPSTREAM_TIMEOUT'), 'never', 'never');
      }
      const heldMs = heldUntilMs - now();
      if (heldMs >= leftMs) {
        // Before anything else: the provider's own word tells when to come back.
        const retryAfterSeconds = Math.ceil(heldMs / 1000);
        throw new CallFailure(new GatewayError('RATE_LIMITED', { retryAfterSeconds }), 'never', 'never');
      }
      const refused = refusedMs(call, operation, attempt);
      if (refused > 0) {
        // With jitter: all that wait for a probe look again at different times.
        const waitMs = refused + backoffMs(1);
        if (!policy.isPatient || waitMs >= leftMs) return false;
        await pause(waitMs, operation);
      } else if (heldMs > 0) {
        operation.onBackoff?.(heldUntilMs);
        await pause(heldMs, operation);
      } else {
        return true;
      }
    }
  }

  /** How long breaker and budget keep a call from being sent, at least. */
  function refusedMs(call: Call, { caller }: Operation, attempt: number): number {
    return breakers[call.method].refusedMs(caller) || (isOverBudget(call, attempt) ? spentMs : 0);
  }

  /** Each repeated GET draws on the budget, one that settles a write too; a repeated write has surely not happened. */
  function isOverBudget({ method }: Call, attempt: number): boolean {
    return method === 'GET' && attempt > 1 && budget.isSpent();
  }

  function openBreakers(method: Call['method']): Breakers {
    const told = { merchant: merchantId, method };
    metrics?.breaker({ ...told, isOpen: false });
    return createBreakers(now, {
      opened(count) {
        log.warn('circuit breaker opened', { ...told, count });
        metrics?.breaker({ ...told, isOpen: true });
      },
      closed(openBreakers) {
        log.warn('circuit breaker closed', told);
        metrics?.breaker({ ...told, isOpen: openBreakers > 0 });
      },
    });
  }
}

/** On the monotonic clock; negative when the deadline is over. */
export function remainingMs(operation: Operation): number {
  return operation.deadlineAtMs - now();
}

/** Exponential with full jitter: many callers that failed together do not come back together. */
function backoffMs(attempt: number): number {
  return Math.random() * Math.min(backoffCapMs, backoffBaseMs * 2 ** (attempt - 1));
}

/** Ends early, without an error, when nobody waits any more: the next step finds that out. */
async function pause(ms: number, { signal }: Operation): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}

/** The provider's own id of the call, where it looks like one: it goes into the log. */
function providerRequestId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w.-]{1,64}$/.test(header) ? header : undefined;
}
