import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Operation } from '../customer.ts';
import { GatewayError } from '../errors.ts';
import type { Log, LogFields } from '../telemetry.ts';
import { CallFailure, type CallKind, retryAfterMs } from './refusal.ts';
import type { Call, Exchange, Transport } from './transport.ts';

/** An answer of the provider, whatever it says. */
export type Answer = Extract<Exchange, { kind: 'answered' }>;

/** How often a call is tried, and on what. */
export interface Policy {
  readonly kind: CallKind;
  readonly maxAttempts: number;
  /** Whether one more attempt may be made after a failure; `again`: one that is worth a single repeat had it already. */
  repeats(failure: CallFailure, again: boolean): boolean;
  /** The share of the time left that one attempt may take, 0 to 1. */
  readonly share: number;
}

const isWorthIt = ({ repeat }: CallFailure, again: boolean) => repeat === 'always' || (repeat === 'once' && !again);

/** Reads lose nothing by being repeated. */
export const reading: Policy = { kind: 'get', maxAttempts: 3, repeats: isWorthIt, share: 1 };

/**
 * A read that settles a write: it goes on as long as there is time, since giving up leaves the outcome unknown.
 */
export const settling: Policy = {
  kind: 'get',
  maxAttempts: Number.POSITIVE_INFINITY,
  repeats: ({ repeat }) => repeat !== 'never',
  share: 1,
};

/** A write is repeated only where it has surely not happened, and leaves half of the time for reading back. */
export const writing = (kind: 'create' | 'update'): Policy => ({
  kind,
  maxAttempts: 3,
  repeats: (failure, again) => failure.certainty !== 'unknown' && isWorthIt(failure, again),
  share: 0.5,
});

export interface Resilience {
  /**
   * Makes one call, repeated as the policy and the operation's deadline allow.
   *
   * @param decode turns an answer into a value, or throws; a {@link CallFailure} may be repeated.
   * @throws what `decode` threw last; CallFailure when no answer came.
   */
  call<T>(call: Call, operation: Operation, policy: Policy, decode: (answer: Answer) => T): Promise<T>;
}

/** The longest that one `Retry-After` holds a merchant's calls back. */
const maxHoldMs = 60_000;
const backoffBaseMs = 100;
const backoffCapMs = 1_000;

/**
 * All that stands between one call and the wire, in this order: deadline ▸ retry ▸ hold-back ▸ cap ▸ pool (the last two
 * are the transport's). A circuit breaker and a retry budget belong between retry and hold-back.
 *
 * One per merchant: `Retry-After` holds back all calls of that merchant, and of no other.
 */
export function resilient(transport: Transport, options: { timeoutMs: number; log: Log }): Resilience {
  const { timeoutMs, log } = options;
  let heldUntilMs = 0;

  return {
    async call(call, operation, policy, decode) {
      let repeatedOnce = false;
      for (let attempt = 1; ; attempt += 1) {
        const { exchange, startedAtMs } = await send(call, operation, policy);
        const known = exchange.kind === 'answered' ? providerRequestId(exchange.headers['x-request-id']) : undefined;
        if (known !== undefined) operation.onProviderRequest?.(known);
        try {
          if (exchange.kind === 'failed') throw unanswered(exchange);
          const value = decode(exchange);
          log.debug('upstream call', describe(exchange, startedAtMs));
          return value;
        } catch (failure) {
          if (!(failure instanceof CallFailure)) throw failure;
          const { error } = failure;
          log.warn('upstream call failed', {
            ...describe(exchange, startedAtMs),
            code: error.code,
            cause: error.cause,
          });
          if (attempt >= policy.maxAttempts || !policy.repeats(failure, repeatedOnce)) throw failure;
          repeatedOnce ||= failure.repeat === 'once';
          const waitMs = Math.max(backoffMs(attempt), failure.pauseMs, heldUntilMs - performance.now());
          // What the provider said last is a better answer than a timeout that is sure to come.
          if (operation.signal.aborted || waitMs >= remainingMs(operation)) throw failure;
          await pause(waitMs, operation);
        }

        function describe(exchange: Exchange, startedAtMs: number): LogFields {
          return {
            requestId: operation.requestId,
            call: policy.kind,
            attempt,
            durationMs: Math.round(performance.now() - startedAtMs),
            ...(exchange.kind === 'answered' && {
              status: exchange.status,
              ...(known !== undefined && { providerRequestId: known }),
            }),
          };
        }
      }
    },
  };

  /** One attempt, which starts when nothing holds it back: `Retry-After` may come while it waits for a connection. */
  async function send(call: Call, operation: Operation, policy: Policy) {
    for (;;) {
      await holdBack(operation);
      const startedAtMs = performance.now();
      const exchange = await transport.send(call, {
        leftMs: (sinceMs) =>
          sinceMs + Math.min(timeoutMs, (operation.deadlineAtMs - sinceMs) * policy.share) - performance.now(),
        waitMs: Math.max(1, remainingMs(operation)),
        isHeldBack: () => heldUntilMs > performance.now(),
        onExchange: (answer) => {
          if (answer.kind !== 'answered') return;
          const askedMs = retryAfterMs(answer) ?? 0;
          heldUntilMs = Math.max(heldUntilMs, performance.now() + Math.min(askedMs, maxHoldMs));
        },
        // A write that was sent is never aborted: whoever asked may be gone, what it did is not.
        ...(policy.kind === 'get' && { signal: operation.signal }),
      });
      if (exchange !== 'held back') return { exchange, startedAtMs };
    }
  }

  /** Waits until the merchant's calls are free again; who cannot wait that long is told so at once. */
  async function holdBack(operation: Operation): Promise<void> {
    for (let waitMs = heldUntilMs - performance.now(); waitMs > 0; waitMs = heldUntilMs - performance.now()) {
      if (waitMs >= remainingMs(operation)) {
        const retryAfterSeconds = Math.ceil(waitMs / 1000);
        throw new CallFailure(new GatewayError('RATE_LIMITED', { retryAfterSeconds }), 'never', 'never');
      }
      await pause(waitMs, operation);
    }
    if (operation.signal.aborted || remainingMs(operation) <= 0) {
      throw new CallFailure(new GatewayError('UPSTREAM_TIMEOUT'), 'never', 'never');
    }
  }
}

/** On the monotonic clock; negative when the deadline is over. */
export function remainingMs(operation: Operation): number {
  return operation.deadlineAtMs - performance.now();
}

function unanswered({ sent, timedOut, cause }: Extract<Exchange, { kind: 'failed' }>): CallFailure {
  const error = new GatewayError(timedOut ? 'UPSTREAM_TIMEOUT' : 'UPSTREAM_UNAVAILABLE', { cause });
  return new CallFailure(error, sent ? 'unknown' : 'never', 'always');
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
