import { type Correlation, correlationOf, type Log } from './log.ts';

/**
 * Counts the upstream failures of one operation. The caller logs the first failure of each name. One line sums up the rest when the
 * operation and all its writes have ended: each acquires the count and releases it at its end. A write may outlast its request.
 */
export class FailureCount {
  readonly #log: Log;
  readonly #correlation: Correlation;
  /** Created by the first failure: most operations have none. */
  #counts: Map<string, number> | undefined;
  #inProgress = 0;

  constructor(log: Log, correlation: Correlation) {
    this.#log = log;
    this.#correlation = correlation;
  }

  /** @returns whether this failure is the first of its name. */
  add(name: string): boolean {
    if (this.#counts === undefined) {
      this.#counts = new Map();
      // Reads fail after their operation has ended if the client disconnects. All of them fail in the same turn.
      if (this.#inProgress === 0) setImmediate(() => this.#reportIfEnded());
    }
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    return count === 1;
  }

  acquire(): void {
    this.#inProgress += 1;
  }

  release(): void {
    this.#inProgress -= 1;
    this.#reportIfEnded();
  }

  #reportIfEnded(): void {
    const counts = this.#counts;
    if (this.#inProgress > 0 || counts === undefined) return;
    const isRepeated = [...counts.values()].some((count) => count > 1);
    if (isRepeated) {
      const fields = { ...correlationOf(this.#correlation), failures: Object.fromEntries(counts) };
      this.#log.warn('repeated upstream failures', fields);
    }
    this.#counts = undefined;
  }
}
