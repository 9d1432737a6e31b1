/** A response that is ready to be sent. */
export interface Sendable {
  /** Sends the response. Must not throw. */
  send(): void;
}

/** Sends the responses of one turn of the event loop together, see docs/decisions/0037-responses-in-one-burst.md. */
export class ResponseBatch {
  /** Bounded by the limit of concurrent operations: each request has one response. */
  #waiting: Sendable[] = [];

  /** Sends the response at the end of this turn of the event loop. */
  add(response: Sendable): void {
    this.#waiting.push(response);
    if (this.#waiting.length === 1) setImmediate(flush, this);
  }

  flush(): void {
    const ready = this.#waiting;
    this.#waiting = [];
    for (const response of ready) response.send();
  }
}

/** One function for all: a closure for each turn would be allocated. */
function flush(batch: ResponseBatch): void {
  batch.flush();
}
