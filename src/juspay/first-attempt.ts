import type { Exchange } from './exchange.ts';
import { CallFailure } from './refusal.ts';
import type { AttemptListener, Task, TaskAttempt } from './task.ts';

/** Receives the result of a call: one call of one method. The methods must not throw. */
export interface Receiver<Value> {
  resolve(value: Value): void;
  reject(error: unknown): void;
}

/** An attempt whose response is a failure. */
export interface Failed {
  readonly failure: CallFailure;
  readonly exchange: Exchange;
}

/** The parts of `resilient` that a first attempt uses. */
export interface Steps {
  conclude<Value>(task: Task<Value>, taskAttempt: TaskAttempt, exchange: Exchange): Value;
  /** Counts the wait of an attempt that was not sent. */
  countUnsent(task: Task<unknown>, taskAttempt: TaskAttempt): void;
  persist<Value>(task: Task<Value>, first: Failed | 'full' | 'refused'): Promise<Value>;
}

/** Listens to the first attempt of a call. */
export class FirstAttempt<Value> implements AttemptListener {
  readonly #task: Task<Value>;
  readonly #receiver: Receiver<Value>;
  readonly #steps: Steps;

  constructor(task: Task<Value>, receiver: Receiver<Value>, steps: Steps) {
    this.#task = task;
    this.#receiver = receiver;
    this.#steps = steps;
  }

  onEnd(result: Exchange | 'refused' | 'full', taskAttempt: TaskAttempt): void {
    if (result === 'full' || result === 'refused') {
      this.#steps.countUnsent(this.#task, taskAttempt);
      return repeat(this.#task, result, this.#steps, this.#receiver);
    }
    let value: Value;
    try {
      value = this.#steps.conclude(this.#task, taskAttempt, result);
    } catch (failure) {
      if (!(failure instanceof CallFailure)) return recover(this.#task, failure, this.#receiver);
      return repeat(this.#task, { failure, exchange: result }, this.#steps, this.#receiver);
    }
    this.#receiver.resolve(value);
  }

  onFault(cause: unknown): void {
    recover(this.#task, cause, this.#receiver);
  }
}

/** Continues a call with the loop of `persist`. */
export function repeat<Value>(
  task: Task<Value>,
  first: Failed | 'full' | 'refused',
  { persist }: Steps,
  receiver: Receiver<Value>,
): void {
  persist(task, first).then(
    (value) => receiver.resolve(value),
    (failure: unknown) => recover(task, failure, receiver),
  );
}

function recover<Value>(task: Task<Value>, failure: unknown, receiver: Receiver<Value>): void {
  let value: Value;
  try {
    value = task.recover(failure);
  } catch (error) {
    receiver.reject(error);
    return;
  }
  receiver.resolve(value);
}
