import type { Log, LogFields } from './log.ts';
import { operationFields, operationMessage } from './operation.ts';

export interface LimitedLog extends Required<Log> {
  /** Writes the summaries of suppressed lines immediately. */
  flush(): void;
}

type Level = 'info' | 'warn' | 'error';

const windowMs = 1_000;

/**
 * Limits the log lines that callers can cause to `linesPerSecond` for each message. Suppressed lines are counted, and one summary line
 * reports the count at the end of the second. Messages are constants, so their number is bounded too.
 *
 * Audit lines are exempt because the record of writes must be complete. The lines of operations are exempt because the rate limit and
 * load shedding bound the operations. `debug` lines are exempt because they are off by default.
 */
export function limited(log: Log, linesPerSecond: number): LimitedLog {
  const lines = guarded(log);
  const { debug, audit, operation } = lines;
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
    get isDebugDropped() {
      return lines.isDebugDropped;
    },
    get isInfoDropped() {
      return lines.isInfoDropped;
    },
    debug,
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
    audit,
    operation,
    flush() {
      for (const { report } of [...windows.values()]) report();
    },
  };
}

/**
 * Wraps a log so that it never fails. Ignores exceptions and rejected promises of a custom log, so that they cannot change the outcome of
 * an operation. Audit lines and the lines of operations go to `info` if the log
 * has no method of their own.
 */
export function guarded(log: Log): Required<Log> {
  // Call the methods on the object: a custom log may be a class instance that uses `this`.
  return {
    // The level of the log can change.
    get isDebugDropped() {
      return log.isDebugDropped === true;
    },
    get isInfoDropped() {
      return log.isInfoDropped === true;
    },
    debug: (message, fields) => quietly(() => log.debug(message, fields)),
    info: (message, fields) => quietly(() => log.info(message, fields)),
    warn: (message, fields) => quietly(() => log.warn(message, fields)),
    error: (message, fields) => quietly(() => log.error(message, fields)),
    audit: (message, fields) => quietly(() => (log.audit ? log.audit(message, fields) : log.info(message, fields))),
    operation: (entry) =>
      quietly(() => (log.operation ? log.operation(entry) : log.info(operationMessage, operationFields(entry)))),
  };
}

function quietly(call: () => unknown): void {
  try {
    const result = call();
    // TypeScript accepts an async function as a method that returns `void`.
    if (result instanceof Promise) result.catch(() => undefined);
  } catch {
    // The log itself failed, so there is nowhere to report it.
  }
}
