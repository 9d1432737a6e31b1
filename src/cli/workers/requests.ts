import { performance } from 'node:perf_hooks';

/** Requests of a worker to its supervisor. */
export interface Requests<Item, Reply> {
  /** Never rejects. @returns `undefined` if there is no reply in time. */
  ask(item: Item): Promise<Reply | undefined>;
  /** Passes the replies to the items of a message on, in their order. */
  settle(id: number, replies: readonly Reply[] | undefined): void;
  /** Whether the last message got no reply in time, not long ago. */
  readonly isPaused: boolean;
}

/** After a missing reply, nothing waits for the supervisor for so long. */
const pauseMs = 1_000;

/**
 * Combines the requests of one turn of the event loop into one message.
 *
 * @param send never rejects, and returns whether the message was sent.
 * @param replyMs the maximum wait for a reply.
 */
export function createRequests<Item, Reply>(
  send: (id: number, items: readonly Item[]) => Promise<boolean>,
  replyMs: number,
): Requests<Item, Reply> {
  const waiting = new Map<number, (replies: readonly Reply[] | undefined) => void>();
  let batch: { item: Item; resolve: (reply: Reply | undefined) => void }[] = [];
  let lastId = 0;
  let pausedUntilMs = 0;

  return {
    ask: (item) =>
      new Promise((resolve) => {
        if (batch.push({ item, resolve }) === 1) setImmediate(sendBatch);
      }),
    settle: (id, replies) => waiting.get(id)?.(replies),
    get isPaused() {
      return performance.now() < pausedUntilMs;
    },
  };

  function sendBatch(): void {
    const asked = batch;
    batch = [];
    const id = ++lastId;
    const timer = setTimeout(() => {
      pausedUntilMs = performance.now() + pauseMs;
      settle(undefined);
    }, replyMs);
    const settle = (replies: readonly Reply[] | undefined) => {
      clearTimeout(timer);
      waiting.delete(id);
      asked.forEach(({ resolve }, index) => {
        resolve(replies?.[index]);
      });
    };
    waiting.set(id, settle);
    const items = asked.map(({ item }) => item);
    send(id, items).then(
      (isSent) => {
        if (!isSent) settle(undefined);
      },
      () => settle(undefined),
    );
  }
}
