import type { ErrorCode } from '../errors.ts';

/** The provider's three calls. */
export type CallKind = 'get' | 'create' | 'update';

/** One attempt of an upstream call, when its request is sent. Nothing in it depends on the data of a caller. */
export interface Attempt {
  readonly call: CallKind;
  readonly method: 'GET' | 'POST';
  /** The path without the id. */
  readonly pathTemplate: string;
  /** From 1. The attempt with the other key after a 401 has the number of the refused one. */
  readonly attempt: number;
  /** How often the same call was sent before, with either key. */
  readonly resends: number;
  /** Whether the call requests a client auth token. */
  readonly withToken: boolean;
  /** When the connection was free and the request was sent, in ms on the clock of `performance.now()`. */
  readonly startedAtMs: number;
  /** The wait for a free connection before `startedAtMs`. */
  readonly queuedMs: number;
}

/** The end of an attempt. */
export interface AttemptEnd {
  /** The status of the response; `undefined` without a complete one. */
  readonly status: number | undefined;
  /** `OK`, or the code of this attempt, before retries. `NOT_FOUND` is a successful response too: there is no such customer. */
  readonly outcome: ErrorCode | 'OK';
  /** Since `startedAtMs`. */
  readonly durationMs: number;
}

/**
 * Follows the attempts of one operation. Each start is followed by one end, with the same object; attempts of different calls
 * overlap. A call that waits for a connection has not started, and one that is refused before it is sent never starts. The methods
 * are called synchronously and must not throw.
 */
export interface AttemptObserver {
  /** Called right before the request is written to its connection. */
  onAttemptStart(attempt: Attempt): void;
  /** Called when the response was decoded, or when the attempt failed. May be called after the client has its answer: writes continue. */
  onAttemptEnd(attempt: Attempt, end: AttemptEnd): void;
}

/**
 * What one operation did. Created with its request, counted by the layers between the resolvers and the provider, and complete
 * when the operation and all its writes have ended.
 *
 * Plain fields, because they change on the path of each call: counting must not allocate.
 *
 * A read that several operations share belongs to the one that started it. If that one no longer waits, its further attempts belong
 * to one that does.
 */
export class OperationRecord {
  /** Attempts of `GET /customers/{customer_id}` that were sent, including retries and the reads that settle a write. */
  gets = 0;
  /** Attempts of `POST /customers` that were sent. */
  creates = 0;
  /** Attempts of `POST /customers/{customer_id}` that were sent. */
  updates = 0;
  /** The attempts of `gets`, `creates` and `updates` that sent their call again. */
  retries = 0;
  /** Reads of the operation that another of its reads served. */
  mergedReads = 0;
  /** Reads of the operation that an in-flight read of another operation served. */
  sharedReads = 0;
  /** Responses that carried a client auth token. The provider creates one for each call that requests it. */
  tokens = 0;
  /** The number of failures that are part of the result of a mutation, by code. Set by the first one. */
  failures: Record<string, number> | undefined = undefined;
  /** Set it with `observe`. Without it, attempts are only counted. */
  observer: AttemptObserver | undefined = undefined;

  /** Adds an observer. Call it before the operation is executed. */
  observe(observer: AttemptObserver): void {
    const { observer: first } = this;
    if (first === undefined) {
      this.observer = observer;
      return;
    }
    this.observer = {
      onAttemptStart(attempt) {
        first.onAttemptStart(attempt);
        observer.onAttemptStart(attempt);
      },
      onAttemptEnd(attempt, end) {
        first.onAttemptEnd(attempt, end);
        observer.onAttemptEnd(attempt, end);
      },
    };
  }

  /** Counts a failure that is part of the result. */
  countFailure(code: string): void {
    this.failures ??= {};
    this.failures[code] = (this.failures[code] ?? 0) + 1;
  }

  /** Counts an attempt that is sent. */
  countAttempt(call: CallKind, isRetry: boolean): void {
    if (call === 'get') this.gets += 1;
    else if (call === 'create') this.creates += 1;
    else this.updates += 1;
    if (isRetry) this.retries += 1;
  }
}
