import { performance } from 'node:perf_hooks';
import type { Cancellation } from '../customers/cancellation.ts';
import type { Operation } from '../customers/customer.ts';
import type { Attempt, AttemptObserver, CallKind } from '../customers/record.ts';
import type { ErrorCode } from '../errors.ts';
import { type Breaker, callResultOf, minTimeoutShare, type Timing } from './breaker.ts';
import type { Call, Exchange, Key, Sending, UpstreamResponse } from './exchange.ts';
import type { Gate } from './gate.ts';
import type { Policy } from './policy.ts';

const now = () => performance.now();

/** One call and what becomes of its responses. */
export interface Task<Value> {
  readonly call: Call;
  readonly operation: Operation;
  readonly policy: Policy;
  /** Turns a response into a value, or throws. A `CallFailure` may be repeated. */
  decode(response: UpstreamResponse, isRepeat: boolean): Value;
  /** Turns the last failure into a value, or throws it. */
  recover(failure: unknown): Value;
}

/** Receives the result of an attempt. Its methods must not throw. */
export interface AttemptListener {
  onEnd(result: Exchange | 'refused' | 'full', taskAttempt: TaskAttempt): void;
  onFault(cause: unknown): void;
}

/** One attempt of a task, as the transport's sender: its rules of time and admission, and its report to the breaker. */
export class TaskAttempt implements Sending {
  readonly call: Call;
  readonly waiter: Operation;
  readonly key: Key | undefined;
  /** From 1. */
  readonly attempt: number;
  /** How often the same call was sent before. The attempt with the other key does not count as an attempt. */
  readonly resends: number;
  /** Before the wait for a connection. */
  readonly startedAtMs = now();
  readonly #policy: Policy;
  readonly #gate: Gate;
  readonly #timeoutMs: number;
  readonly #listener: AttemptListener;
  #sentAtMs = 0;
  #report: ReturnType<Breaker['admit']>;
  /** Set while an observer follows the attempt. */
  #observed: Observed | undefined;

  /** @param timeoutMs the maximum time of one attempt. */
  constructor(
    { call, operation, policy }: Task<unknown>,
    { attempt, key }: { readonly attempt: number; readonly key: Key | undefined },
    { gate, timeoutMs }: { readonly gate: Gate; readonly timeoutMs: number },
    listener: AttemptListener,
  ) {
    this.call = call;
    this.waiter = operation;
    this.key = key;
    this.attempt = attempt;
    this.resends = attempt - 1 + (key === undefined ? 0 : 1);
    this.#policy = policy;
    this.#gate = gate;
    this.#timeoutMs = timeoutMs;
    this.#listener = listener;
  }

  get cancellation(): Cancellation {
    return this.waiter.cancellation;
  }

  /** The wait for a connection, of an attempt that was sent. */
  get queuedMs(): number {
    return Math.max(0, this.#sentAtMs - this.startedAtMs);
  }

  endsAtMs(startedAtMs: number): number {
    this.#sentAtMs = startedAtMs;
    return startedAtMs + this.#givenMs();
  }

  get waitsUntilMs(): number {
    return this.waiter.deadlineAtMs;
  }

  isRefused(): boolean {
    const { method } = this.call;
    this.#report = this.#gate.admit(method, this.waiter, this.attempt, this.key !== undefined);
    if (this.#report === undefined) return true;
    if (method === 'POST') this.waiter.onWriteSent?.();
    const { record } = this.waiter;
    record.countAttempt(this.#policy.kind, this.resends > 0);
    if (record.observer !== undefined) this.#observe(record.observer);
    return false;
  }

  onExchange(exchange: Exchange): void {
    this.#report?.(callResultOf(exchange, this));
    this.#gate.hold(exchange);
  }

  timing(): Timing {
    const attemptMs = this.#givenMs();
    return {
      attemptMs,
      lateMs: now() - this.#sentAtMs - attemptMs,
      isTooShort: attemptMs < this.#timeoutMs * minTimeoutShare,
      isAborted: this.call.method === 'GET' && this.waiter.cancellation.isCancelled,
    };
  }

  onEnd(result: Exchange | 'refused' | 'full'): void {
    this.#listener.onEnd(result, this);
  }

  onFault(cause: unknown): void {
    // Has no effect after another report.
    this.#report?.('ignored');
    this.onConcluded('INTERNAL_SERVER_ERROR', undefined);
    this.#listener.onFault(cause);
  }

  /** Call it when the outcome of the attempt is known. */
  onConcluded(outcome: ErrorCode | 'OK', status: number | undefined): void {
    if (this.#observed === undefined) return;
    const { observer, attempt } = this.#observed;
    this.#observed = undefined;
    observer.onAttemptEnd(attempt, { status, outcome, durationMs: now() - attempt.startedAtMs });
  }

  #observe(observer: AttemptObserver): void {
    const { call, attempt, resends } = this;
    const { kind } = this.#policy;
    const startedAtMs = now();
    const queuedMs = startedAtMs - this.startedAtMs;
    const { method, withToken } = call;
    const pathTemplate = pathTemplates[kind];
    const observed = { call: kind, method, pathTemplate, attempt, resends, withToken, startedAtMs, queuedMs };
    this.#observed = { observer, attempt: observed };
    observer.onAttemptStart(observed);
  }

  /** Not cached: the deadline of a shared read changes when another caller joins. */
  #givenMs(): number {
    return Math.min(this.#timeoutMs, (this.waiter.deadlineAtMs - this.#sentAtMs) * this.#policy.share);
  }
}

const pathTemplates: Readonly<Record<CallKind, string>> = {
  get: '/customers/{customer_id}',
  create: '/customers',
  update: '/customers/{customer_id}',
};

interface Observed {
  readonly observer: AttemptObserver;
  readonly attempt: Attempt;
}

/** The time until the deadline, by the monotonic clock. Negative after the deadline. */
export function remainingMs(operation: Operation): number {
  return operation.deadlineAtMs - now();
}
