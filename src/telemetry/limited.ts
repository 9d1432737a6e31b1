import type { Log, LogFields } from './log.ts';

export interface LimitedLog extends Required<Log> {
  /** Reports at once what was suppressed so far. */
  flush(): void;
}

type Level = 'info' | 'warn' | 'error';

const windowMs = 1_000;

/**
 * Bounds the lines that callers can cause: at most `linesPerSecond` of each message; those beyond are counted, and one line
 * tells their count when the second is over. Messages are constants, so their number is bounded too.
 *
 * The audit is exempt, as a record of writes must be complete, and so is `debug`, which is written on request only.
 */
export function limited(log: Log, linesPerSecond: number): LimitedLog {
  const { debug, audit, ...lines } = guarded(log);
  const windows = new Map<string, { lines: number; report(): void }>();

  function write(level: Level, message: string, fields?: LogFields): void {
    const key = `${level} ${message}`;
    const window = windows.get(key) ?? open(key, level, message);
    window.lines += 1;
    if (window.lines <= linesPerSecond) lines[level](message, fields);
  }

  function open(key: string, level: Level, event: string) {
    const window = {
      lines: 0,
      report() {
        clearTimeout(timer);
        windows.delete(key);
        const count = window.lines - linesPerSecond;
        if (count > 0) lines[level]('log lines suppressed', { event, count });
      },
    };
    const timer = setTimeout(window.report, windowMs).unref();
    windows.set(key, window);
    return window;
  }

  return {
    debug,
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
    audit,
    flush() {
      for (const { report } of [...windows.values()]) report();
    },
  };
}

/**
 * A log that never fails: the outcome of a write must not depend on an embedding program's log. An error that it throws, or
 * a promise of it that is rejected, is dropped. The audit goes to `info` where there is no method for it.
 */
export function guarded(log: Log): Required<Log> {
  // Called on the object: a log of the embedding program may be a class.
  return {
    debug: (message, fields) => quietly(() => log.debug(message, fields)),
    info: (message, fields) => quietly(() => log.info(message, fields)),
    warn: (message, fields) => quietly(() => log.warn(message, fields)),
    error: (message, fields) => quietly(() => log.error(message, fields)),
    audit: (message, fields) => quietly(() => (log.audit ? log.audit(message, fields) : log.info(message, fields))),
  };
}

function quietly(call: () => unknown): void {
  try {
    const result = call();
    // An async function is a `Log` method to the compiler.
    if (result instanceof Promise) result.catch(() => undefined);
  } catch {
    // Nothing is left to report it with.
  }
}
