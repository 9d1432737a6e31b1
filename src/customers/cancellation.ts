import { added } from './short-list.ts';

/** Whether an operation was cancelled, because its client has disconnected. */
export interface Cancellation {
  readonly isCancelled: boolean;
  /** Adds a listener. It is called at most once, and never if the operation was cancelled before. */
  add(listener: CancelListener): void;
  remove(listener: CancelListener): void;
}

/**
 * An object with a method, not a function. A function kept as a listener keeps its whole scope alive, and an `AbortController`
 * with a listener costs 3 µs.
 */
export interface CancelListener {
  onCancel(): void;
}

/** A cancellation with the method that triggers it. */
export interface CancellationSource extends Cancellation {
  cancel(): void;
}

export function createCancellation(): CancellationSource {
  return new Source();
}

/** The cancellation of an operation that cannot be cancelled. */
export const never: Cancellation = { isCancelled: false, add() {}, remove() {} };

/** The cancellation that a signal triggers. */
export function cancellationOf(signal: AbortSignal): Cancellation {
  return new SignalSource(signal);
}

class Source implements CancellationSource {
  #listeners: CancelListener[] | undefined;
  #isCancelled = false;

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  get isHeard(): boolean {
    return this.#listeners !== undefined && this.#listeners.length > 0;
  }

  add(listener: CancelListener): void {
    if (!this.isCancelled) this.#listeners = added(this.#listeners, listener);
  }

  remove(listener: CancelListener): void {
    const listeners = this.#listeners;
    const index = listeners?.lastIndexOf(listener) ?? -1;
    if (listeners === undefined || index < 0) return;
    const last = listeners.pop();
    if (last !== undefined && last !== listener) listeners[index] = last;
  }

  cancel(): void {
    this.#isCancelled = true;
    // A listener may remove others, which are then not called.
    const listeners = this.#listeners ?? [];
    for (let next = listeners.pop(); next !== undefined; next = listeners.pop()) next.onCancel();
  }
}

/** Listens to the signal only while it has listeners of its own. */
class SignalSource extends Source {
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    super();
    this.#signal = signal;
  }

  override get isCancelled(): boolean {
    return this.#signal.aborted;
  }

  override add(listener: CancelListener): void {
    const wasHeard = this.isHeard;
    super.add(listener);
    if (!wasHeard && this.isHeard) this.#signal.addEventListener('abort', this);
  }

  override remove(listener: CancelListener): void {
    super.remove(listener);
    if (!this.isHeard) this.#signal.removeEventListener('abort', this);
  }

  handleEvent(): void {
    this.cancel();
  }
}
