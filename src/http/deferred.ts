/** How long after the start a part is opened if no request has needed it yet. */
const openAfterMs = 1_000;

/** A part of the gateway that is opened after the start. */
export interface Deferred<Part> {
  /** The part, or a promise of it while it is being opened. After a failure, the next call opens it again. */
  get(): Part | Promise<Part>;
  dispose(): void;
}

/**
 * Opens a part on the first use, or a second after the start. It is not left to the first use alone: by then its modules could be
 * missing, or the process could be out of file descriptors.
 */
export function deferred<Part extends object>(open: () => Promise<Part>): Deferred<Part> {
  let part: Part | undefined;
  let opening: Promise<Part> | undefined;
  const start = async () => {
    try {
      part = await open();
      return part;
    } finally {
      opening = undefined;
    }
  };
  const load = () => {
    clearTimeout(timer);
    opening ??= start();
    return opening;
  };
  // A failure is reported when a request needs the part.
  const timer = setTimeout(() => load().catch(() => undefined), openAfterMs).unref();
  return { get: () => part ?? load(), dispose: () => clearTimeout(timer) };
}
